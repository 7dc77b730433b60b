import { Buffer } from 'node:buffer';
import { MAX_ID_BYTES, MAX_SELECTOR_BYTES } from '../cache/shared-lru/memory/layout.ts';
import { Query, selectorOf } from '../redis/query.ts';
import type { ReplyShape } from '../replies/reply-shape.ts';

const MAX_WORD_BYTES = 16;

/** An option among the arguments of a command. */
export interface CommandOption {
  /** Number of arguments that follow the word and belong to it. */
  readonly values: number;
  /** Shape of the reply if the option is given; undefined: the option does not change it. */
  readonly shape?: ReplyShape;
}

/** Syntax of a command about one key, which is its first argument, and the shape of its reply. */
export class QuerySyntax {
  /** In upper case. */
  readonly name: Buffer;
  readonly shape: ReplyShape;
  /** Selector of the command without arguments after the key. */
  readonly prefix: Buffer;
  /** Index of the first argument that may be an option, the key included. */
  readonly #optionsFrom: number;
  readonly #options: ReadonlyMap<string, { readonly word: Buffer } & CommandOption>;

  /**
   * @param required number of arguments after the key that precede the options.
   * @param options by word, in upper case.
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
    this.#optionsFrom = 1 + required;
    this.#options = new Map(
      Object.entries(options).map(([word, option]) => [word, { ...option, word: Buffer.from(word) }]),
    );
  }

  get hasOptions(): boolean {
    return this.#options.size > 0;
  }

  /**
   * Returns the arguments in canonical form, option words in upper case, and the shape of the reply. The first word that is
   * not known, and what follows, stays as it is: it is data, or Redis replies with an error.
   *
   * @param args arguments after the name: the key first.
   */
  parse(args: readonly Buffer[]): { readonly args: readonly Buffer[]; readonly shape: ReplyShape } {
    let { shape } = this;
    if (!this.hasOptions) return { args, shape };
    const canonical = args.slice();
    for (let at = this.#optionsFrom; at < args.length; at++) {
      const option = this.#options.get(args[at].toString('latin1', 0, MAX_WORD_BYTES).toUpperCase());
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

/** Encodes the ids of queries into a buffer that is reused, so that hits do not allocate. */
export class QueryEncoder {
  /** The id: the key, followed by the selector. */
  readonly bytes = Buffer.allocUnsafeSlow(MAX_ID_BYTES);
  /** Length of the id. */
  length = 0;
  selectorLength = 0;

  /**
   * Encodes an id as {@link Query.of} does; returns false if it is too long for an entry.
   *
   * @param args arguments after the name, in canonical form: the key first.
   */
  encode({ prefix }: QuerySyntax, args: readonly Buffer[]): boolean {
    const { bytes } = this;
    const from = args[0].length;
    const max = Math.min(MAX_ID_BYTES, from + MAX_SELECTOR_BYTES);
    if (from + prefix.length > max) return false;
    let at = append(bytes, args[0], 0);
    at = append(bytes, prefix, at);
    for (let i = 1; i < args.length; i++) {
      const { length } = args[i];
      // The length has up to three bytes.
      if (at + 3 + length > max) return false;
      let rest = length;
      for (; rest > 127; rest >>>= 7) bytes[at++] = (rest & 127) | 128;
      bytes[at++] = rest;
      at = append(bytes, args[i], at);
    }
    this.length = at;
    this.selectorLength = at - from;
    return true;
  }
}

/** Writes bytes at `at`; returns where they end. */
function append(target: Buffer, source: Buffer, at: number): number {
  const { length } = source;
  // Calling copy() takes longer than copying a few bytes.
  if (length > 32) source.copy(target, at);
  else for (let i = 0; i < length; i++) target[at + i] = source[i];
  return at + length;
}
