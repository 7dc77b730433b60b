import { Buffer } from 'node:buffer';
import { MAX_ID_BYTES, MAX_SELECTOR_BYTES } from '../cache/shared-lru/memory/layout.ts';
import { Query, selectorOf, writeArgumentLength } from '../redis/query.ts';
import type { ReplyShape } from '../replies/reply-shape.ts';

/** An option among the arguments of a command. */
export interface CommandOption {
  /** Number of arguments that follow the word and belong to it. */
  readonly values: number;
  /** Shape of the reply if the option is given; undefined: the option does not change it. */
  readonly shape?: ReplyShape;
}

/** An option and its word. */
interface NamedOption extends CommandOption {
  /** In upper case. */
  readonly word: Buffer;
}

/** The bit that distinguishes lower-case from upper-case ASCII letters, and nothing else in words of options. */
const LOWER_CASE_BIT = 0x20;

/** Syntax of a command about one key, which is its first argument, and the shape of its reply. */
export class QuerySyntax {
  /** In upper case. */
  readonly name: Buffer;
  readonly shape: ReplyShape;
  /** Selector of the command without arguments after the key. */
  readonly prefix: Buffer;
  /** Index of the first argument that may be an option, the key included; Infinity: there are no options. */
  readonly optionsFrom: number;
  readonly #options: readonly NamedOption[];

  /**
   * @param required number of arguments after the key that precede the options.
   * @param options by word, in upper case: letters only.
   */
  constructor(
    name: string,
    shape: ReplyShape = 'same',
    required = 0,
    options: Readonly<Record<string, CommandOption>> = {},
  ) {
    this.name = Buffer.from(name.toUpperCase());
    this.shape = shape;
    this.prefix = selectorOf([this.name]);
    this.#options = Object.entries(options).map(([word, option]) => ({ ...option, word: Buffer.from(word) }));
    this.optionsFrom = this.#options.length === 0 ? Infinity : 1 + required;
  }

  /** Returns the option whose word, in any case, is bytes `from` to `to`; undefined if there is none. */
  optionAt(bytes: Uint8Array, from: number, to: number): NamedOption | undefined {
    for (const option of this.#options) {
      if (option.word.length === to - from && isWord(bytes, from, option.word)) return option;
    }
    return undefined;
  }

  /**
   * Returns the arguments in canonical form, option words in upper case, and the shape of the reply. The first word that is
   * not known, and what follows, stays as it is: it is data, or Redis replies with an error.
   *
   * @param args arguments after the name: the key first.
   */
  parse(args: readonly Buffer[]): { readonly args: readonly Buffer[]; readonly shape: ReplyShape } {
    let { shape } = this;
    if (args.length <= this.optionsFrom) return { args, shape };
    const canonical = args.slice();
    for (let at = this.optionsFrom; at < args.length; at++) {
      const option = this.optionAt(args[at], 0, args[at].length);
      if (option === undefined) break;
      canonical[at] = option.word;
      shape = option.shape ?? shape;
      at += option.values;
    }
    return { args: canonical, shape };
  }

  /**
   * Returns the query. It has copies of the arguments.
   *
   * @param args arguments after the name, in canonical form: the key first.
   */
  query([key, ...args]: readonly Buffer[]): Query {
    return Query.of(Buffer.from(key), [this.name, ...args.map((arg) => Buffer.from(arg))]);
  }
}

function isWord(bytes: Uint8Array, from: number, word: Buffer): boolean {
  for (let i = 0; i < word.length; i++)
    if ((bytes[from + i] | LOWER_CASE_BIT) !== (word[i] | LOWER_CASE_BIT)) return false;
  return true;
}

/**
 * Encodes the ids of queries as {@link Query.of} does, into a buffer that is reused, so that hits do not allocate:
 * {@link start}, then {@link add} for each argument after the key. Both return false if the id is too long for an entry.
 */
export class QueryEncoder {
  /** The id: the key, followed by the selector. */
  readonly bytes = Buffer.allocUnsafeSlow(MAX_ID_BYTES);
  /** Length of the id. */
  length = 0;
  #keyLength = 0;
  #maxLength = 0;

  get selectorLength(): number {
    return this.length - this.#keyLength;
  }

  /** Starts the id of a query whose key is bytes `from` to `to`. */
  start({ prefix }: QuerySyntax, bytes: Uint8Array, from: number, to: number): boolean {
    const keyLength = to - from;
    this.#keyLength = keyLength;
    this.#maxLength = Math.min(MAX_ID_BYTES, keyLength + MAX_SELECTOR_BYTES);
    this.length = 0;
    if (keyLength + prefix.length > this.#maxLength) return false;
    this.#append(bytes, from, to);
    this.#append(prefix, 0, prefix.length);
    return true;
  }

  /** Adds an argument in canonical form: bytes `from` to `to`. */
  add(bytes: Uint8Array, from: number, to: number): boolean {
    const length = to - from;
    // The length has up to three bytes.
    if (this.length + 3 + length > this.#maxLength) return false;
    this.length = writeArgumentLength(length, this.bytes, this.length);
    this.#append(bytes, from, to);
    return true;
  }

  /** Encodes the id of a query. @param args arguments after the name, in canonical form: the key first. */
  encode(syntax: QuerySyntax, args: readonly Buffer[]): boolean {
    if (!this.start(syntax, args[0], 0, args[0].length)) return false;
    for (let i = 1; i < args.length; i++) if (!this.add(args[i], 0, args[i].length)) return false;
    return true;
  }

  #append(source: Uint8Array, from: number, to: number): void {
    const { bytes } = this;
    let at = this.length;
    // Few bytes are copied faster one by one than by a call and a view.
    if (to - from > 48) bytes.set(source.subarray(from, to), at);
    else for (let i = from; i < to; i++) bytes[at++] = source[i];
    this.length += to - from;
  }
}
