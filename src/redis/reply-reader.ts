import type { Redis } from 'ioredis';
import { ReadBatch } from './read-batch.ts';

type OnData = (chunk: Buffer) => void;

const BULK = 0x24;
const INTEGER = 0x3a;
const NULL = 0x5f;
const CR = 0x0d;
const MINUS = 0x2d;
const ZERO = 0x30;

const NOT_READ = -1;

/**
 * Takes the replies to {@link ReadBatch}es off a connection before ioredis decodes them, which costs more than all else
 * that a load needs: bulk strings, integers and nulls that have arrived whole. What is anything else, an error or the
 * first part of a reply, goes to ioredis, and so does all that follows until no reply is awaited any more.
 */
export class ReplyReader {
  readonly #redis: Redis;
  readonly #decode: OnData;
  /** Whether ioredis may be in the middle of a reply. */
  #passing = false;
  /** What was read last. */
  #reply: Buffer | number | null = null;
  #number = 0;

  private constructor(redis: Redis, decode: OnData) {
    this.#redis = redis;
    this.#decode = decode;
  }

  /** To be called when a connection is ready. */
  static attach(redis: Redis): void {
    const { stream } = redis;
    // ioredis puts its decoder first. It is taken as it is found: were there none, replies would go the usual way.
    const decode = stream.listeners('data')[0] as OnData | undefined;
    if (decode === undefined) return;
    const reader = new ReplyReader(redis, decode);
    stream.off('data', decode);
    stream.prependListener('data', (chunk: Buffer) => reader.#take(chunk));
  }

  #take(chunk: Buffer): void {
    const rest = this.#passing ? chunk : this.#read(chunk);
    if (rest === undefined) return;
    this.#decode(rest);
    this.#passing = this.#redis.commandQueue.length > 0;
  }

  /** Reads replies as far as possible; answers what is left. */
  #read(chunk: Buffer): Buffer | undefined {
    const { commandQueue } = this.#redis;
    for (let at = 0; at < chunk.length;) {
      const batch: unknown = commandQueue.peekFront()?.command;
      const end = batch instanceof ReadBatch ? this.#readReply(chunk, at) : NOT_READ;
      if (end === NOT_READ) return at === 0 ? chunk : chunk.subarray(at);
      at = end;
      if ((batch as ReadBatch).accept(this.#reply)) commandQueue.shift();
    }
    return undefined;
  }

  /** Reads the reply at `at`; answers where it ends, or NOT_READ. */
  #readReply(chunk: Buffer, at: number): number {
    switch (chunk[at]) {
      case BULK:
        return this.#readBulk(chunk, at + 1);
      case INTEGER: {
        const end = this.#readNumber(chunk, at + 1);
        this.#reply = this.#number;
        return end;
      }
      case NULL:
        this.#reply = null;
        return at + 3 <= chunk.length ? at + 3 : NOT_READ;
      default:
        return NOT_READ;
    }
  }

  #readBulk(chunk: Buffer, at: number): number {
    const from = this.#readNumber(chunk, at);
    if (from === NOT_READ) return NOT_READ;
    if (this.#number < 0) {
      this.#reply = null;
      return from;
    }
    const to = from + this.#number;
    if (to + 2 > chunk.length) return NOT_READ;
    this.#reply = chunk.subarray(from, to);
    return to + 2;
  }

  /** Reads a number and the line end behind it. */
  #readNumber(chunk: Buffer, from: number): number {
    const negative = chunk[from] === MINUS;
    let at = negative ? from + 1 : from;
    let number = 0;
    for (; at < chunk.length && chunk[at] !== CR; at++) number = number * 10 + chunk[at] - ZERO;
    if (at + 2 > chunk.length) return NOT_READ;
    this.#number = negative ? -number : number;
    return at + 2;
  }
}
