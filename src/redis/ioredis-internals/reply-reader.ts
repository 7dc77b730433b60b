import { Buffer } from 'node:buffer';
import { type Redis, ReplyError } from 'ioredis';
import { breakOff } from './break-off.ts';
import { DirectBatch } from './direct-batch.ts';
import { LongValue } from './long-value.ts';
import { redisBatches } from './redis-batches.ts';
import type { ReadReply } from '../connection/read-batch.ts';
import { NoRoom, TOO_LARGE } from '../redis-reply.ts';
import type { ValueMemory } from '../connection/value-memory.ts';

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
 * Takes the replies to {@link DirectBatch}es off a connection before ioredis decodes them, which costs more than all else
 * that a load needs. Replies to ioredis' own commands are handed to it one by one, as long as they are of the simple
 * kinds; with one that is not, all that follows goes to ioredis until no reply is awaited any more.
 *
 * A value is put together in memory of its own length, once; one that is over the limit, or for which there is no room
 * when its length is known, is dropped as it comes. To cut the connection instead would fail all other reads on it.
 */
export class ReplyReader {
  readonly #redis: Redis;
  readonly #decode: OnData;
  readonly #maxValueBytes: number;
  /** Whether ioredis may be in the middle of a reply. */
  #passing = false;
  /** A value of which the first part has come, where its memory is from, and what is replied when it has all come. */
  #long: LongValue | undefined;
  #memory: ValueMemory | undefined;
  #longReply: ReadReply = null;
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

  /** To be called when a connection is ready. Returns false, and changes nothing, if ioredis has no decoder there. */
  static attach(redis: Redis, maxValueBytes: number): boolean {
    const { stream } = redis;
    // ioredis puts its decoder first.
    const decode = stream.listeners('data')[0] as OnData | undefined;
    if (decode === undefined) return false;
    const reader = new ReplyReader(redis, decode, maxValueBytes);
    stream.off('data', decode);
    stream.prependListener('data', (chunk: Buffer) => {
      try {
        reader.#take(chunk);
      } catch (error) {
        redisBatches.disable(error);
        // Nobody knows any more which reply is whose.
        redis.disconnect(true);
        stream.destroy();
      }
    });
    stream.once('close', () => reader.#passLong());
    return true;
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
      const end = this.#readReply(chunk, at, command instanceof DirectBatch ? command : undefined);
      if (end === UNFINISHED) return this.#keep(chunk, at);
      if (end === BROKEN) return breakOff(this.#redis);
      if (end === FOREIGN) return this.#pass(at === 0 ? chunk : chunk.subarray(at));
      if (command instanceof DirectBatch) this.#give(command);
      else this.#decode(chunk.subarray(at, end));
      at = end;
    }
  }

  #give(batch: DirectBatch): void {
    if (batch.accept(this.#reply)) this.#redis.commandQueue.shift();
  }

  /** Reads more of a value; answers where what comes after it begins. */
  #readOn(long: LongValue, chunk: Buffer): number {
    const end = long.take(chunk, 0);
    if (long.missing > 0) return end;
    this.#passLong();
    if (!long.ended) {
      breakOff(this.#redis);
      return chunk.length;
    }
    const command: unknown = this.#redis.commandQueue.peekFront()?.command;
    this.#reply = this.#longReply;
    if (command instanceof DirectBatch) this.#give(command);
    return end;
  }

  /** Ends the value that is being put together: whoever wanted it has it now, or it is lost with the connection. */
  #passLong(): void {
    if (this.#long?.memory !== undefined) this.#memory?.pass(this.#long.memory.buffer);
    this.#long = undefined;
    this.#memory = undefined;
  }

  /** Keeps what has come of a reply. */
  #keep(chunk: Buffer, at: number): void {
    if (this.#long !== undefined) return;
    if (chunk.length - at > LONGEST_LINE) return this.#pass(chunk.subarray(at));
    this.#start = Buffer.from(chunk.subarray(at));
  }

  /** Reads the reply at `at`; answers where it ends, or why there is none to read. */
  #readReply(chunk: Buffer, at: number, own: DirectBatch | undefined): number {
    switch (chunk[at]) {
      case BULK:
        return own === undefined ? FOREIGN : this.#readBulk(chunk, at + 1, own);
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
        return own === undefined ? this.#endOfLine(chunk, at) : FOREIGN;
      default:
        return FOREIGN;
    }
  }

  #readError(chunk: Buffer, at: number): number {
    const end = this.#endOfLine(chunk, at);
    if (end > 0) this.#reply = new ErrorReply(chunk.toString('utf8', at + 1, end - 2));
    return end;
  }

  #readBulk(chunk: Buffer, at: number, batch: DirectBatch): number {
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
    const long = this.#beginLong(this.#number, batch.memory);
    const end = long.take(chunk, from);
    if (long.missing > 0) return UNFINISHED;
    this.#reply = this.#longReply;
    this.#passLong();
    return long.ended ? end : BROKEN;
  }

  #beginLong(length: number, memory: ValueMemory | undefined): LongValue {
    const isTooLarge = length > this.#maxValueBytes;
    const bytes = isTooLarge ? undefined : memory?.allocate(length);
    this.#longReply = isTooLarge ? TOO_LARGE : (bytes ?? new NoRoom(length));
    this.#memory = memory;
    return (this.#long = new LongValue(length, bytes));
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
