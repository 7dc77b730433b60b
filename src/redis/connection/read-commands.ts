import { Buffer } from 'node:buffer';
import type { Query } from '../query.ts';

const CRLF = Buffer.from('\r\n');
/** Maximum key length for which command heads are cached. */
const MAX_CACHED_LENGTH = 255;

/** The queries that PTTL is sent after. */
export type TtlReads = 'all' | 'other-than-get' | 'none';

/** Encodes queries, and PTTL of their keys, for many reads (RESP2 arrays of bulk strings). */
export class ReadCommands {
  readonly ttlReads: TtlReads;
  readonly #getHeads: readonly CommandHeads[];
  readonly #ttlHeads = new CommandHeads('PTTL');

  constructor(ttlReads: TtlReads) {
    const get = new CommandHeads('GET');
    this.ttlReads = ttlReads;
    this.#getHeads = ttlReads === 'all' ? [get, this.#ttlHeads] : [get];
  }

  encode(reads: readonly { readonly query: Query }[]): Buffer {
    let bytes = 0;
    for (const { query } of reads) bytes += this.#bytesOf(query);
    const target = Buffer.allocUnsafe(bytes);
    let at = 0;
    for (const { query } of reads)
      at = query.isGet ? this.#writeGet(target, at, query) : this.#write(target, at, query);
    return target;
  }

  #bytesOf(query: Query): number {
    const { key } = query;
    let bytes = 0;
    if (query.isGet) {
      for (const heads of this.#getHeads) bytes += heads.headFor(key.length).length + key.length + CRLF.length;
      return bytes;
    }
    const [name, ...args] = query.command;
    bytes += `*${query.command.length + 1}`.length + CRLF.length + bulkBytes(name) + bulkBytes(key);
    for (const argument of args) bytes += bulkBytes(argument);
    if (this.ttlReads === 'none') return bytes;
    return bytes + this.#ttlHeads.headFor(key.length).length + key.length + CRLF.length;
  }

  #writeGet(target: Buffer, from: number, { key }: Query): number {
    let at = from;
    for (const heads of this.#getHeads) at = writeKeyCommand(target, at, heads, key);
    return at;
  }

  #write(target: Buffer, from: number, { command, key }: Query): number {
    const [name, ...args] = command;
    let at = from + target.write(`*${command.length + 1}\r\n`, from, 'latin1');
    at = writeBulk(target, at, name);
    at = writeBulk(target, at, key);
    for (const argument of args) at = writeBulk(target, at, argument);
    return this.ttlReads === 'none' ? at : writeKeyCommand(target, at, this.#ttlHeads, key);
  }
}

/** Writes a command whose only argument is the key; returns the position after it. */
function writeKeyCommand(target: Buffer, from: number, heads: CommandHeads, key: Buffer): number {
  const head = heads.headFor(key.length);
  target.set(head, from);
  target.set(key, from + head.length);
  target.set(CRLF, from + head.length + key.length);
  return from + head.length + key.length + CRLF.length;
}

function bulkBytes({ length }: Buffer): number {
  return `$${length}`.length + CRLF.length + length + CRLF.length;
}

/** Writes a bulk string; returns the position after it. */
function writeBulk(target: Buffer, from: number, bytes: Buffer): number {
  const at = from + target.write(`$${bytes.length}\r\n`, from, 'latin1');
  target.set(bytes, at);
  target.set(CRLF, at + bytes.length);
  return at + bytes.length + CRLF.length;
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
