import { Buffer } from 'node:buffer';
import type { ValueMemory } from './connection/value-memory.ts';
import type { BufferFull, TooLarge } from './redis-reply.ts';

/**
 * The bytes that are stored in place of a reply; undefined if what the query asks for does not exist. `buffer-full`: they do
 * not fit in the buffered-bytes limit now.
 */
export type Rendered = Buffer | undefined | TooLarge | BufferFull;

/** How the reply to a query is stored, if not as it is. */
export interface StoredForm {
  /** Distinguishes the forms in which the reply to one command is stored: 1 to 15. */
  readonly id: number;
  /**
   * Converts a reply, encoded in RESP2, to the bytes that are stored: a view of the reply, or memory from `memory`, which must
   * be released. A promise is returned for a long reply, so that other requests are served in between.
   */
  readonly render: (reply: Buffer, memory: Pick<ValueMemory, 'allocate'>) => Rendered | Promise<Rendered>;
}

const NO_ARGUMENTS: readonly Buffer[] = [];

/**
 * A read-only command about one key. An entry of the cache is the result of one query: of `GET key`, whose entry is the value
 * itself, or of another command, whose entry is the reply of Redis, encoded in RESP2, or what a {@link StoredForm} makes of it.
 */
export class Query {
  readonly key: Buffer;
  /** Identifies the entry together with {@link selectorLength}: the key, followed by the selector, which is empty for GET. */
  readonly id: Buffer;
  /** Bytes of the selector, at the end of {@link id}. */
  readonly selectorLength: number;
  /** Name of the command, in upper case, and its arguments after the key, in canonical form; empty for GET. */
  readonly command: readonly Buffer[];
  readonly form: StoredForm | undefined;

  private constructor(
    key: Buffer,
    id: Buffer,
    selectorLength: number,
    command: readonly Buffer[],
    form: StoredForm | undefined,
  ) {
    this.key = key;
    this.id = id;
    this.selectorLength = selectorLength;
    this.command = command;
    this.form = form;
  }

  /** Whether this is `GET key`, whose entry is the value itself. */
  get isGet(): boolean {
    return this.selectorLength === 0;
  }

  /** Text that is the same for equal queries only. */
  get name(): string {
    return `${this.selectorLength}:${this.id.toString('latin1')}`;
  }

  /** Returns the query `GET key`. */
  static get(key: Buffer): Query {
    return new Query(key, key, 0, NO_ARGUMENTS, undefined);
  }

  /**
   * Returns the query of another command.
   *
   * @param command its name, in upper case, and its arguments after the key, in canonical form.
   * @param form undefined: the reply is stored as it is.
   * @param selector of the command and form, as {@link selectorOf} returns it.
   */
  static of(key: Buffer, command: readonly Buffer[], form?: StoredForm, selector = selectorOf(command, form)): Query {
    return new Query(key, Buffer.concat([key, selector]), selector.length, command, form);
  }
}

/**
 * Encodes a command and the form in which its reply is stored: the id of the form, 0 for none, and each argument after its
 * length (in base 128, least significant digits first, all but the last with their highest bit set).
 */
export function selectorOf(command: readonly Buffer[], form?: StoredForm): Buffer {
  const bytes = command.reduce((sum, { length }) => sum + length + lengthBytes(length), 1);
  const selector = Buffer.allocUnsafe(bytes);
  let at = 0;
  selector[at++] = form?.id ?? 0;
  for (const argument of command) {
    at = writeArgumentLength(argument.length, selector, at);
    selector.set(argument, at);
    at += argument.length;
  }
  return selector;
}

/** Decodes a selector, as {@link selectorOf} encodes it; undefined if it is not one. */
export function parseSelector(selector: Buffer): { readonly formId: number; readonly command: Buffer[] } | undefined {
  const command: Buffer[] = [];
  let at = 1;
  while (at < selector.length) {
    let length = 0;
    let shift = 0;
    let digit: number;
    do {
      if (at === selector.length || shift > 14) return undefined;
      digit = selector[at++];
      length += (digit & 127) << shift;
      shift += 7;
    } while (digit > 127);
    if (at + length > selector.length) return undefined;
    command.push(selector.subarray(at, at + length));
    at += length;
  }
  return command.length === 0 ? undefined : { formId: selector[0], command };
}

/** Writes the length of an argument as {@link selectorOf} does, and returns its end. */
export function writeArgumentLength(length: number, target: Uint8Array, at: number): number {
  let end = at;
  let rest = length;
  for (; rest > 127; rest >>>= 7) target[end++] = (rest & 127) | 128;
  target[end++] = rest;
  return end;
}

function lengthBytes(length: number): number {
  let bytes = 1;
  for (let rest = length; rest > 127; rest >>>= 7) bytes++;
  return bytes;
}
