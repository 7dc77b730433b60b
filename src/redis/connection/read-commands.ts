import { Buffer } from 'node:buffer';

const CRLF = Buffer.from('\r\n');
/** The heads of commands for keys up to this length are kept. */
const LONGEST_KEPT = 255;

/** The wire format of `GET key`, and of `PTTL key` behind it, for many keys (RESP2: arrays of bulk strings). */
export class ReadCommands {
  readonly #heads: readonly CommandHeads[];

  /** @param readTtl whether PTTL is asked as well. */
  constructor(readTtl: boolean) {
    this.#heads = (readTtl ? ['GET', 'PTTL'] : ['GET']).map((name) => new CommandHeads(name));
  }

  /** Commands for each key, and so replies. */
  get perKey(): number {
    return this.#heads.length;
  }

  encode(keys: readonly { readonly key: Buffer }[]): Buffer {
    let bytes = 0;
    for (const { key } of keys) {
      for (const heads of this.#heads) bytes += heads.of(key.length).length + key.length + CRLF.length;
    }
    const target = Buffer.allocUnsafe(bytes);
    let at = 0;
    for (const { key } of keys) {
      for (const heads of this.#heads) {
        const head = heads.of(key.length);
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

/** What comes before the key in a command that has no other argument. */
class CommandHeads {
  readonly #name: string;
  readonly #kept: Buffer[];

  constructor(name: string) {
    this.#name = name;
    this.#kept = Array.from({ length: LONGEST_KEPT + 1 }, (_, length) => this.#head(length));
  }

  of(keyBytes: number): Buffer {
    return keyBytes <= LONGEST_KEPT ? this.#kept[keyBytes] : this.#head(keyBytes);
  }

  #head(keyBytes: number): Buffer {
    return Buffer.from(`*2\r\n$${this.#name.length}\r\n${this.#name}\r\n$${keyBytes}\r\n`);
  }
}
