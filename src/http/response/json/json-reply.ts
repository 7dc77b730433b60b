import { Buffer } from 'node:buffer';
import { ARRAY, INTEGER, ReplyCursor } from '../../../replies/reply-cursor.ts';
import { type AfterStep, type EncodedBytes, JsonText } from './json-text.ts';

/** Longer strings are converted in steps of their own. */
const MAX_SHORT_BYTES = 4096;
/** Characters of JSON after which short elements are a step. */
const STEP_CHARACTERS = 16 * 1024;

/** A reply of Redis, encoded in RESP2, and the representation of its strings in JSON. */
export interface EncodedReply {
  readonly reply: Buffer;
  readonly encoding: EncodedBytes['encoding'];
}

/**
 * A reply of Redis as JSON: strings, integers, null, and arrays of them. Its length is known before it is written, and it is
 * converted twice, so that no memory is needed in proportion to the number of its elements.
 */
export class JsonReply {
  /** Length in bytes. */
  readonly bytes: number;
  readonly #source: EncodedReply;
  /** The long strings, in order. */
  readonly #texts: readonly JsonText[];

  private constructor(source: EncodedReply, bytes: number, texts: readonly JsonText[]) {
    this.#source = source;
    this.bytes = bytes;
    this.#texts = texts;
  }

  /** Measures a reply; undefined if it exceeds `maxBytes`. */
  static async of(source: EncodedReply, maxBytes: number, afterStep: AfterStep): Promise<JsonReply | undefined> {
    const texts: JsonText[] = [];
    let bytes = 0;
    for (const piece of piecesOf(source)) {
      if (typeof piece === 'string') {
        const length = Buffer.byteLength(piece);
        bytes += length;
        const due = afterStep(length);
        if (due !== undefined) await due;
      } else {
        const text = await JsonText.of({ value: piece, encoding: source.encoding }, maxBytes - bytes, afterStep);
        if (text === undefined) return undefined;
        texts.push(text);
        bytes += text.bytes;
      }
      if (bytes > maxBytes) return undefined;
    }
    return new JsonReply(source, bytes, texts);
  }

  /** Writes the reply to `target` at `at`. */
  async write(target: Buffer, at: number, afterStep: AfterStep): Promise<void> {
    const texts = this.#texts.values();
    let end = at;
    for (const piece of piecesOf(this.#source)) {
      if (typeof piece === 'string') {
        const length = target.write(piece, end);
        end += length;
        const due = afterStep(length);
        if (due !== undefined) await due;
      } else {
        const text = texts.next().value as JsonText;
        await text.write(target, end, afterStep);
        end += text.bytes;
      }
    }
  }
}

/** Yields the JSON of a reply in pieces: text, and strings that are long. */
function* piecesOf({ reply, encoding }: EncodedReply): Generator<string | Buffer, void> {
  const cursor = new ReplyCursor();
  cursor.start(reply);
  /** How many elements are left in each array that is open. */
  const left: number[] = [];
  let text = '';
  do {
    cursor.next();
    if (cursor.isNull) {
      text += 'null';
    } else if (cursor.type === ARRAY) {
      text += '[';
      if (cursor.length > 0) {
        left.push(cursor.length);
        continue;
      }
      text += ']';
    } else if (cursor.type === INTEGER) {
      text += cursor.value().toString('latin1');
    } else if (cursor.length <= MAX_SHORT_BYTES) {
      text += shortText(cursor.value(), encoding);
    } else {
      yield text;
      text = '';
      yield cursor.value();
    }
    while (left.length > 0 && --left[left.length - 1] === 0) {
      left.pop();
      text += ']';
    }
    if (left.length > 0) text += ',';
    if (text.length >= STEP_CHARACTERS) {
      yield text;
      text = '';
    }
  } while (left.length > 0);
  yield text;
}

function shortText(value: Buffer, encoding: EncodedReply['encoding']): string {
  return encoding === 'base64' ? `"${value.toString('base64')}"` : JSON.stringify(value.toString());
}
