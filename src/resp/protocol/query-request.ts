import { KEY_COMMANDS } from '../../redis-commands/key-command-table.ts';
import { QueryEncoder, type QuerySyntax } from '../../redis-commands/query-encoder.ts';
import type { ReplyShape } from '../../replies/reply-shape.ts';

const MAX_NAME_BYTES = 20;
const MAX_LENGTH_DIGITS = 5;
const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;
const ASTERISK = 0x2a;
const DOLLAR = 0x24;
/** Mask that makes lower-case ASCII letters upper-case. */
const UPPER_CASE_MASK = 0xdf;

/**
 * Recognises complete requests that are one query, with up to 99 arguments, and encodes the query's id, without allocating:
 *
 * ```
 *   *3\r\n$4\r\nHGET\r\n$<length>\r\n<key>\r\n$<length>\r\n<field>\r\n
 * ```
 */
export class QueryRequest {
  /** The id of the query. */
  readonly id = new QueryEncoder();
  shape: ReplyShape = 'same';
  /** Start and end offset of the key. */
  keyFrom = 0;
  keyTo = 0;
  /** Offset after the request. */
  end = 0;
  readonly #names = new NameTable();
  /** Start and end offset of the argument that was read last. */
  #from = 0;
  #to = 0;

  /**
   * Whether a complete request that is a query starts at `at` and ends before `end`; sets all fields. False does not mean
   * that it is another command: it may be incomplete, encoded in another way, or too long for an entry.
   */
  match(bytes: Buffer, at: number, end: number): boolean {
    if (bytes[at] !== ASTERISK) return false;
    let cursor = at + 1;
    let count = bytes[cursor++] - ZERO;
    // Redis accepts no leading zeros.
    if (!(count >= 1 && count <= 9)) return false;
    if (bytes[cursor] !== CR) {
      const digit = bytes[cursor++] - ZERO;
      if (!(digit >= 0 && digit <= 9)) return false;
      count = count * 10 + digit;
    }
    if (count < 2 || bytes[cursor] !== CR || bytes[cursor + 1] !== LF) return false;
    if (!this.#read(bytes, cursor + 2, end) || this.#to - this.#from > MAX_NAME_BYTES) return false;
    const syntax = this.#names.find(bytes, this.#from, this.#to);
    if (syntax === undefined || !this.#read(bytes, this.#to + 2, end)) return false;
    this.keyFrom = this.#from;
    this.keyTo = this.#to;
    if (!this.id.start(syntax, bytes, this.#from, this.#to)) return false;
    this.shape = syntax.shape;
    if (count > 2 && !this.#readArguments(syntax, bytes, count - 1, end)) return false;
    this.end = this.#to + 2;
    return true;
  }

  /** Reads the arguments after the key. @param count number of arguments after the name. */
  #readArguments(syntax: QuerySyntax, bytes: Buffer, count: number, end: number): boolean {
    const { id } = this;
    let optionsFrom = syntax.optionsFrom;
    for (let index = 1; index < count; index++) {
      if (!this.#read(bytes, this.#to + 2, end)) return false;
      const option = index === optionsFrom ? syntax.optionAt(bytes, this.#from, this.#to) : undefined;
      if (option === undefined) {
        if (!id.add(bytes, this.#from, this.#to)) return false;
        continue;
      }
      if (!id.add(option.word, 0, option.word.length)) return false;
      this.shape = option.shape ?? this.shape;
      optionsFrom = index + 1 + option.values;
    }
    return true;
  }

  /** Reads a bulk string at `at`; returns whether it ends before `end`. */
  #read(bytes: Buffer, at: number, end: number): boolean {
    if (bytes[at] !== DOLLAR) return false;
    let cursor = at + 1;
    let length = 0;
    for (; cursor <= at + MAX_LENGTH_DIGITS; cursor++) {
      const digit = bytes[cursor] - ZERO;
      if (!(digit >= 0 && digit <= 9)) break;
      length = length * 10 + digit;
    }
    if (cursor === at + 1 || bytes[cursor] !== CR || bytes[cursor + 1] !== LF) return false;
    if (bytes[at + 1] === ZERO && cursor > at + 2) return false;
    const from = cursor + 2;
    const to = from + length;
    if (to + 2 > end || bytes[to] !== CR || bytes[to + 1] !== LF) return false;
    this.#from = from;
    this.#to = to;
    return true;
  }
}

/** Finds the syntax of a command by its name in any case, without allocating. */
class NameTable {
  /** By hash; the size is such that no two names have the same. */
  readonly #syntaxes: readonly (QuerySyntax | undefined)[];
  readonly #names: readonly (Buffer | undefined)[];

  constructor() {
    const all = KEY_COMMANDS.flatMap((command): (readonly [Buffer, QuerySyntax])[] => {
      // With several keys, no entry has the id that a request with the syntax for one would have.
      const syntax =
        command.returns === 'ttl' ? undefined : command.returns === 'reply' ? command.syntax : command.single;
      return syntax === undefined ? [] : [[Buffer.from(command.name.toUpperCase()), syntax]];
    });
    let size = 128;
    const indexOf = ([name]: readonly [Buffer, QuerySyntax]): number => hashOf(name, 0, name.length) & (size - 1);
    while (new Set(all.map(indexOf)).size < all.length) size *= 2;
    const syntaxes = Array.from({ length: size }, (): QuerySyntax | undefined => undefined);
    const names = Array.from({ length: size }, (): Buffer | undefined => undefined);
    for (const each of all) [names[indexOf(each)], syntaxes[indexOf(each)]] = each;
    this.#syntaxes = syntaxes;
    this.#names = names;
  }

  find(bytes: Buffer, from: number, to: number): QuerySyntax | undefined {
    const index = hashOf(bytes, from, to) & (this.#names.length - 1);
    const name = this.#names[index];
    if (name?.length !== to - from) return undefined;
    for (let i = 0; i < name.length; i++) if (upperCase(bytes[from + i]) !== name[i]) return undefined;
    return this.#syntaxes[index];
  }
}

function hashOf(bytes: Buffer, from: number, to: number): number {
  let hash = to - from;
  for (let i = from; i < to; i++) hash = (Math.imul(hash, 31) + (bytes[i] & UPPER_CASE_MASK)) | 0;
  return hash ^ (hash >>> 15);
}

function upperCase(byte: number): number {
  return byte >= 0x61 && byte <= 0x7a ? byte & UPPER_CASE_MASK : byte;
}
