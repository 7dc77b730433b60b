import { Buffer } from 'node:buffer';
import type { Query } from '../query.ts';

const CRLF = Buffer.from('\r\n');
/** Maximum key length for which command heads are cached. */
const MAX_CACHED_LENGTH = 255;

/** Encodes `GET key`, optionally followed by `PTTL key`, for many keys (RESP2 arrays of bulk strings). */
export class ReadCommands {
  readonly #heads: readonly CommandHeads[];

  /** @param readTtl whether to send PTTL after each GET. */
  constructor(readTtl: boolean) {
    this.#heads = (readTtl ? ['GET', 'PTTL'] : ['GET']).map((name) => new CommandHeads(name));
  }

  /** Number of commands, and replies, per key. */
  get perKey(): number {
    return this.#heads.length;
  }

  encode(reads: readonly { readonly query: Query }[]): Buffer {
    let bytes = 0;
    for (const { query } of reads) {
      const { key } = query;
      for (const heads of this.#heads) bytes += heads.headFor(key.length).length + key.length + CRLF.length;
    }
    const target = Buffer.allocUnsafe(bytes);
    let at = 0;
    for (const { query } of reads) {
      const { key } = query;
      for (const heads of this.#heads) {
        const head = heads.headFor(key.length);
        target.set(head, at);
        at += head.length;
        target.set(key, at);
        at += key.length;
        target.set(CRLF, at);
        at += CRLF.length;
      }
    }
    return target;
  }
}

/** The bytes before the key in a command whose only argument is the key. */
class CommandHeads {
  readonly #name: string;
  readonly #cached: Buffer[];

  constructor(name: string) {
    this.#name = name;
    this.#cached = Array.from({ length: MAX_CACHED_LENGTH + 1 }, (_, length) => this.#head(length));
  }

  headFor(keyBytes: number): Buffer {
    return keyBytes <= MAX_CACHED_LENGTH ? this.#cached[keyBytes] : this.#head(keyBytes);
  }

  #head(keyBytes: number): Buffer {
    return Buffer.from(`*2\r\n$${this.#name.length}\r\n${this.#name}\r\n$${keyBytes}\r\n`);
  }
}
