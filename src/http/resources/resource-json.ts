import { type Buffer, isUtf8 } from 'node:buffer';
import { ReplyCursor } from '../../replies/reply-cursor.ts';
import { escapedLength, writeEscaped } from '../response/json/json-text.ts';

/** How the elements of an array are written as JSON: in groups of one or two. */
interface Layout {
  /** Text before each element of a group. */
  readonly before: readonly [string] | readonly [string, string];
  /** Text after each group. */
  readonly after: string;
  readonly open: string;
  readonly close: string;
  /** Whether the second element of a group is a score. */
  readonly scored: boolean;
}

/** Layouts of the JSON that is made of a reply. */
export const LAYOUTS = {
  /** `["a","b"]` */
  array: { open: '[', before: [''], after: '', close: ']', scored: false },
  /** `{"name":"value"}` */
  object: { open: '{', before: ['', ':'], after: '', close: '}', scored: false },
  /** `[{"field":{"base64":"/w=="},"value":"value"}]`: an object whose names need not be text. */
  fields: { open: '[', before: ['{"field":', ',"value":'], after: '}', close: ']', scored: false },
  /** `[{"member":"a","score":1}]` */
  scored: { open: '[', before: ['{"member":', ',"score":'], after: '}', close: ']', scored: true },
} as const satisfies Readonly<Record<string, Layout>>;

/** A number of JSON (RFC 8259, section 6), which most scores are. */
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const BASE64_OPEN = '{"base64":"';
const BASE64_CLOSE = '"}';
const QUOTE = 0x22;
const COMMA = 0x2c;
/** Strings of up to this many bytes are copied byte by byte, which is faster than a call. */
const MAX_LOOP_BYTES = 24;

/**
 * JSON made of an array of bulk strings, which is measured before it is written. A string that is not valid UTF-8 becomes
 * `{"base64":"…"}`. A score stays the text that Redis sent, so that no digit is lost; `inf`, `-inf` and `nan` become strings.
 */
export class ResourceJson {
  readonly #reply: Buffer;
  readonly #layout: Layout;
  /** Whether all strings of the reply are valid UTF-8: their headers are ASCII, so the reply as a whole is, too. */
  readonly #isText: boolean;

  private constructor(reply: Buffer, layout: Layout, isText: boolean) {
    this.#reply = reply;
    this.#layout = layout;
    this.#isText = isText;
  }

  static of(reply: Buffer, layout: Layout): ResourceJson {
    return new ResourceJson(reply, layout, isUtf8(reply));
  }

  /**
   * Returns JSON made of names and values: an object, or an array if some of the names are not text; after steps of about
   * `stepBytes` of the reply.
   */
  static *ofFields(reply: Buffer, stepBytes: number): Generator<undefined, ResourceJson> {
    const isText = isUtf8(reply);
    const isObject = isText || (yield* hasTextNames(reply, stepBytes));
    return new ResourceJson(reply, isObject ? LAYOUTS.object : LAYOUTS.fields, isText);
  }

  /**
   * Returns the length of the JSON in bytes, or some number beyond `maxBytes`, after steps of about `stepBytes` of the reply.
   */
  measure(maxBytes: number, stepBytes: number): Generator<undefined, number> {
    return this.#run(undefined, maxBytes, stepBytes);
  }

  /** Writes the JSON to `target`, which is as long as it. */
  write(target: Buffer, stepBytes: number): Generator<undefined, number> {
    return this.#run(target, Infinity, stepBytes);
  }

  /** Measures the JSON, and writes it if there is a `target`; so both cannot differ. */
  *#run(target: Buffer | undefined, maxBytes: number, stepBytes: number): Generator<undefined, number> {
    const { open, before, after, close, scored } = this.#layout;
    const cursor = arrayIn(this.#reply);
    let at = put(target, 0, open);
    let nextYield = stepBytes;
    for (let left = cursor.length, inGroup = 0, isFirst = true; left > 0; left--) {
      if (inGroup === 0 && !isFirst) at = putByte(target, at, COMMA);
      isFirst = false;
      at = put(target, at, before[inGroup] ?? '');
      cursor.next();
      if (scored && inGroup === 1) at = this.#putScore(target, at, cursor);
      else at = this.#putString(target, at, cursor);
      inGroup++;
      if (inGroup === before.length) {
        at = put(target, at, after);
        inGroup = 0;
      }
      if (at > maxBytes) return at;
      if (cursor.at > nextYield) {
        nextYield = cursor.at + stepBytes;
        yield;
      }
    }
    return put(target, at, close);
  }

  #putString(target: Buffer | undefined, at: number, { from, to }: ReplyCursor): number {
    const reply = this.#reply;
    if (!this.#isText && !isUtf8(reply.subarray(from, to))) {
      const start = put(target, at, BASE64_OPEN);
      const end = start + 4 * Math.ceil((to - from) / 3);
      target?.write(reply.toString('base64', from, to), start, 'latin1');
      return put(target, end, BASE64_CLOSE);
    }
    if (target === undefined) return at + escapedLength(reply, from, to) + 2;
    target[at] = QUOTE;
    let end = at + 1;
    if (to - from <= MAX_LOOP_BYTES || escapedLength(reply, from, to) > to - from) {
      end = writeEscaped(reply, from, to, target, end);
    } else {
      end += reply.copy(target, end, from, to);
    }
    target[end] = QUOTE;
    return end + 1;
  }

  #putScore(target: Buffer | undefined, at: number, { from, to }: ReplyCursor): number {
    const score = this.#reply.toString('latin1', from, to);
    return put(target, at, NUMBER.test(score) ? score : JSON.stringify(score));
  }
}

/** Returns a cursor at an array. */
function arrayIn(reply: Buffer): ReplyCursor {
  const cursor = new ReplyCursor();
  cursor.start(reply);
  cursor.next();
  return cursor;
}

/** Whether the names in an array of names and values are valid UTF-8. */
function* hasTextNames(reply: Buffer, stepBytes: number): Generator<undefined, boolean> {
  const cursor = arrayIn(reply);
  let nextYield = stepBytes;
  for (let left = cursor.length; left > 0; left -= 2) {
    cursor.next();
    if (!isUtf8(cursor.value())) return false;
    cursor.next();
    if (cursor.at > nextYield) {
      nextYield = cursor.at + stepBytes;
      yield;
    }
  }
  return true;
}

function put(target: Buffer | undefined, at: number, ascii: string): number {
  if (target !== undefined) for (let i = 0; i < ascii.length; i++) target[at + i] = ascii.charCodeAt(i);
  return at + ascii.length;
}

function putByte(target: Buffer | undefined, at: number, byte: number): number {
  if (target !== undefined) target[at] = byte;
  return at + 1;
}
