import { Buffer } from 'node:buffer';
import { type Redis, ReplyError } from 'ioredis';
import { breakOff } from './break-off.ts';
import { LongValue } from './long-value.ts';
import { ReadBatch, type ReadReply } from './read-batch.ts';

type OnData = (chunk: Buffer) => void;

const BULK = 0x24;
const INTEGER = 0x3a;
const ERROR = 0x2d;
const SIMPLE = 0x2b;
const NULL = 0x5f;
const PUSH = 0x3e;
const CR = 0x0d;
const LF = 0x0a;
const MINUS = 0x2d;
const ZERO = 0x30;

const ErrorReply = ReplyError as new (message: string) => Error;

/** A line that is longer is not one of a Redis. */
const LONGEST_LINE = 65_536;
/** Digits of a number. What has more is none of a Redis, and no number is too large to be exact. */
const MOST_DIGITS = 15;

/** The rest of the reply is still to come. */
const UNFINISHED = -1;
/** It is for ioredis to judge. */
const FOREIGN = -2;
/** No reply ends like this. */
const BROKEN = -3;

/**
 * Takes the replies to {@link ReadBatch}es off a connection before ioredis decodes them, which costs more than all else
 * that a load needs. Replies to ioredis' own commands are handed to it one by one, as long as they are of the simple
 * kinds; with one that is not, all that follows goes to ioredis until no reply is awaited any more.
 *
 * A value is put together in memory of its own length, once; one over the limit is told to be too large when its length
 * is known, and dropped as it comes. To cut the connection instead would fail all other reads on it.
 */
export class ReplyReader {
  readonly #redis: Redis;
  readonly #decode: OnData;
  readonly #maxValueBytes: number;
  /** Whether ioredis may be in the middle of a reply. */
  #passing = false;
  /** A value of which the first part has come. */
  #long: LongValue | undefined;
  /** The first part of a line. */
  #start: Buffer | undefined;
  /** What was read last. */
  #reply: ReadReply = null;
  #number = 0;

  private constructor(redis: Redis, decode: OnData, maxValueBytes: number) {
    this.#redis = redis;
    this.#decode = decode;
    this.#maxValueBytes = maxValueBytes;
  }

  /** To be called when a connection is ready. */
  static attach(redis: Redis, maxValueBytes: number): void {
    const { stream } = redis;
    // ioredis puts its decoder first. It is taken as it is found: were there none, replies would go the usual way.
    const decode = stream.listeners('data')[0] as OnData | undefined;
    if (decode === undefined) return;
    const reader = new ReplyReader(redis, decode, maxValueBytes);
    stream.off('data', decode);
    stream.prependListener('data', (chunk: Buffer) => reader.#take(chunk));
  }

  #take(chunk: Buffer): void {
    if (this.#passing) return this.#pass(chunk);
    if (this.#start !== undefined) {
      const start = this.#start;
      this.#start = undefined;
      return this.#read(Buffer.concat([start, chunk]));
    }
    this.#read(chunk);
  }

  #pass(chunk: Buffer): void {
    this.#decode(chunk);
    this.#passing = this.#redis.commandQueue.length > 0;
  }

  #read(chunk: Buffer): void {
    const { commandQueue } = this.#redis;
    let at = this.#long === undefined ? 0 : this.#readOn(this.#long, chunk);
    while (at < chunk.length) {
      const command: unknown = commandQueue.peekFront()?.command;
      // A moment later it would be the answer to somebody's question.
      if (command === undefined && chunk[at] !== PUSH) return breakOff(this.#redis);
      const end = this.#readReply(chunk, at, command instanceof ReadBatch);
      if (end === UNFINISHED) return this.#keep(chunk, at);
      if (end === BROKEN) return breakOff(this.#redis);
      if (end === FOREIGN) return this.#pass(at === 0 ? chunk : chunk.subarray(at));
      if (command instanceof ReadBatch) this.#give(command);
      else this.#decode(chunk.subarray(at, end));
      at = end;
    }
  }

  #give(batch: ReadBatch): void {
    if (batch.accept(this.#reply)) this.#redis.commandQueue.shift();
  }

  /** Reads more of a value; answers where what comes after it begins. */
  #readOn(long: LongValue, chunk: Buffer): number {
    const end = long.take(chunk, 0);
    if (long.missing > 0) return end;
    this.#long = undefined;
    if (!long.ended) {
      breakOff(this.#redis);
      return chunk.length;
    }
    const command: unknown = this.#redis.commandQueue.peekFront()?.command;
    this.#reply = long.value;
    if (command instanceof ReadBatch) this.#give(command);
    return end;
  }

  /** Keeps what has come of a reply. */
  #keep(chunk: Buffer, at: number): void {
    if (this.#long !== undefined) return;
    if (chunk.length - at > LONGEST_LINE) return this.#pass(chunk.subarray(at));
    this.#start = Buffer.from(chunk.subarray(at));
  }

  /** Reads the reply at `at`; answers where it ends, or why there is none to read. */
  #readReply(chunk: Buffer, at: number, own: boolean): number {
    switch (chunk[at]) {
      case BULK:
        return own ? this.#readBulk(chunk, at + 1) : FOREIGN;
      case INTEGER: {
        const end = this.#readNumber(chunk, at + 1);
        this.#reply = this.#number;
        return end;
      }
      case NULL:
        this.#reply = null;
        return this.#endOfLine(chunk, at);
      case ERROR:
        return this.#readError(chunk, at);
      case SIMPLE:
        return own ? FOREIGN : this.#endOfLine(chunk, at);
      default:
        return FOREIGN;
    }
  }

  #readError(chunk: Buffer, at: number): number {
    const end = this.#endOfLine(chunk, at);
    if (end > 0) this.#reply = new ErrorReply(chunk.toString('utf8', at + 1, end - 2));
    return end;
  }

  #readBulk(chunk: Buffer, at: number): number {
    const from = this.#readNumber(chunk, at);
    if (from < 0) return from;
    if (this.#number < 0) {
      this.#reply = null;
      return from;
    }
    const to = from + this.#number;
    if (to + 2 <= chunk.length && this.#number <= this.#maxValueBytes) {
      this.#reply = chunk.subarray(from, to);
      return chunk[to] === CR && chunk[to + 1] === LF ? to + 2 : BROKEN;
    }
    this.#long = new LongValue(this.#number, this.#maxValueBytes);
    const end = this.#long.take(chunk, from);
    if (this.#long.missing > 0) return UNFINISHED;
    const { value, ended } = this.#long;
    this.#reply = value;
    this.#long = undefined;
    return ended ? end : BROKEN;
  }

  /** Reads a number and the line end behind it. */
  #readNumber(chunk: Buffer, from: number): number {
    const negative = chunk[from] === MINUS;
    const first = negative ? from + 1 : from;
    let at = first;
    let number = 0;
    for (; at < chunk.length && chunk[at] !== CR; at++) {
      const digit = chunk[at] - ZERO;
      if (digit < 0 || digit > 9) return BROKEN;
      number = number * 10 + digit;
    }
    if (at - first > MOST_DIGITS) return BROKEN;
    if (at + 2 > chunk.length) return UNFINISHED;
    if (at === first || chunk[at + 1] !== LF) return BROKEN;
    this.#number = negative ? -number : number;
    return at + 2;
  }

  #endOfLine(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(CR, at);
    return end < 0 || end + 2 > chunk.length ? UNFINISHED : end + 2;
  }
}
