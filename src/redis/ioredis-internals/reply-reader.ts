import { Buffer } from 'node:buffer';
import { type Redis, ReplyError } from 'ioredis';
import { DirectBatch, abortConnection } from './direct-batch.ts';
import { LongValue } from './long-value.ts';
import { RawReplyReader } from './raw-reply-reader.ts';
import { redisBatches } from './redis-batches.ts';
import { INCOMPLETE, MALFORMED } from './reply-scanner.ts';
import type { ReadReply } from '../connection/read-batch.ts';
import { BufferFull, TOO_LARGE } from '../redis-reply.ts';
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

/** Maximum length of a line; longer lines are passed to ioredis. */
const MAX_LINE_BYTES = 65_536;
/** Maximum digits of a number, so that it is exact as a double; Redis sends no longer ones. */
const MAX_DIGITS = 15;

/** Not a reply of a known type: ioredis decodes it. */
const OTHER_COMMAND = -2;

/**
 * Decodes the replies to {@link DirectBatch}es before ioredis does: its decoder costs more than the rest of a load. Replies to
 * other commands are passed to ioredis one by one while they have simple types; from the first other type on, everything is
 * passed to ioredis until no reply is pending.
 *
 * Replies to queries other than GET are accepted as they are ({@link RawReplyReader}).
 *
 * A value that arrives in several parts is copied once, into a buffer of its exact length. A value that exceeds the size limit
 * or does not fit in the buffered-bytes limit is discarded while it arrives; closing the connection would fail all other
 * reads on it.
 */
export class ReplyReader {
  readonly #redis: Redis;
  readonly #decode: OnData;
  readonly #maxValueBytes: number;
  /** Whether ioredis may be in the middle of a reply. */
  #passThrough = false;
  /** A partially received value, the account of its memory, and the reply once it is complete. */
  #long: LongValue | undefined;
  #memory: ValueMemory | undefined;
  #longReply: ReadReply = null;
  readonly #raw: RawReplyReader;
  /** A partially received reply. */
  #partial: Buffer | undefined;
  /** The last decoded reply and number. */
  #reply: ReadReply = null;
  #number = 0;

  private constructor(redis: Redis, decode: OnData, maxValueBytes: number) {
    this.#redis = redis;
    this.#decode = decode;
    this.#maxValueBytes = maxValueBytes;
    this.#raw = new RawReplyReader(maxValueBytes);
  }

  /** Attaches to a connection that is ready. Returns false, with nothing changed, if the decoder of ioredis is not found. */
  static attach(redis: Redis, maxValueBytes: number): boolean {
    const { stream } = redis;
    // The decoder of ioredis is the first listener.
    const decode = stream.listeners('data')[0] as OnData | undefined;
    if (decode === undefined) return false;
    const reader = new ReplyReader(redis, decode, maxValueBytes);
    stream.off('data', decode);
    stream.prependListener('data', (chunk: Buffer) => {
      try {
        reader.#onData(chunk);
      } catch (error) {
        redisBatches.disable(error);
        // Replies can no longer be matched with commands.
        redis.disconnect(true);
        stream.destroy();
      }
    });
    stream.once('close', () => {
      reader.#finishLong();
      reader.#raw.release();
    });
    return true;
  }

  #onData(chunk: Buffer): void {
    if (this.#passThrough) return this.#pass(chunk);
    if (this.#partial !== undefined) {
      const partial = this.#partial;
      this.#partial = undefined;
      return this.#read(Buffer.concat([partial, chunk]));
    }
    this.#read(chunk);
  }

  #pass(chunk: Buffer): void {
    this.#decode(chunk);
    this.#passThrough = this.#redis.commandQueue.length > 0;
  }

  #read(chunk: Buffer): void {
    const { commandQueue } = this.#redis;
    let at = this.#long === undefined ? 0 : this.#continueLong(this.#long, chunk);
    if (this.#raw.pending) at = this.#continueRaw(chunk);
    while (at < chunk.length) {
      const command: unknown = commandQueue.peekFront()?.command;
      // An unsolicited reply would be matched with the next command.
      if (command === undefined && chunk[at] !== PUSH) return abortConnection(this.#redis);
      const end = this.#readReply(chunk, at, command instanceof DirectBatch ? command : undefined);
      if (end === INCOMPLETE) return this.#keepPartial(chunk, at);
      if (end === MALFORMED) return abortConnection(this.#redis);
      if (end === OTHER_COMMAND) return this.#pass(at === 0 ? chunk : chunk.subarray(at));
      if (command instanceof DirectBatch) this.#deliver(command);
      else this.#decode(chunk.subarray(at, end));
      at = end;
    }
  }

  #deliver(batch: DirectBatch): void {
    if (batch.acceptReply(this.#reply)) this.#redis.commandQueue.shift();
  }

  /** Reads more of a partially received value; returns the position after it. */
  #continueLong(long: LongValue, chunk: Buffer): number {
    const end = long.append(chunk, 0);
    if (long.missing > 0) return end;
    this.#finishLong();
    if (!long.hasLineEnd) {
      abortConnection(this.#redis);
      return chunk.length;
    }
    const command: unknown = this.#redis.commandQueue.peekFront()?.command;
    this.#reply = this.#longReply;
    if (command instanceof DirectBatch) this.#deliver(command);
    return end;
  }

  /** Reads more of a partially received reply to a query; returns the position after it. */
  #continueRaw(chunk: Buffer): number {
    const end = this.#raw.continue(chunk);
    if (end === INCOMPLETE) return chunk.length;
    if (end === MALFORMED) {
      abortConnection(this.#redis);
      return chunk.length;
    }
    const command: unknown = this.#redis.commandQueue.peekFront()?.command;
    this.#reply = this.#raw.reply;
    if (command instanceof DirectBatch) this.#deliver(command);
    this.#raw.release();
    return end;
  }

  /** Forgets the partially received value, because it was delivered or the connection was closed, and releases its memory. */
  #finishLong(): void {
    if (this.#long?.memory !== undefined) this.#memory?.releaseAfterTick(this.#long.memory.buffer);
    this.#long = undefined;
    this.#memory = undefined;
  }

  /** Keeps a partially received reply until more arrives. */
  #keepPartial(chunk: Buffer, at: number): void {
    if (this.#long !== undefined || this.#raw.pending) return;
    if (chunk.length - at > MAX_LINE_BYTES) return this.#pass(chunk.subarray(at));
    this.#partial = Buffer.from(chunk.subarray(at));
  }

  /** Decodes the reply at `at`; returns the position after it, INCOMPLETE, OTHER_COMMAND or MALFORMED. */
  #readReply(chunk: Buffer, at: number, batch: DirectBatch | undefined): number {
    if (batch?.expectsRawReply && chunk[at] !== ERROR) return this.#readRaw(chunk, at, batch);
    switch (chunk[at]) {
      case BULK:
        return batch === undefined ? OTHER_COMMAND : this.#readBulk(chunk, at + 1, batch);
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
        return batch === undefined ? this.#endOfLine(chunk, at) : MALFORMED;
      default:
        return batch === undefined ? OTHER_COMMAND : MALFORMED;
    }
  }

  #readRaw(chunk: Buffer, at: number, batch: DirectBatch): number {
    const end = this.#raw.begin(chunk, at, batch.memory);
    if (end > 0) this.#reply = this.#raw.reply;
    return end;
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
      return chunk[to] === CR && chunk[to + 1] === LF ? to + 2 : MALFORMED;
    }
    const long = this.#beginLong(this.#number, batch.memory);
    const end = long.append(chunk, from);
    if (long.missing > 0) return INCOMPLETE;
    this.#reply = this.#longReply;
    this.#finishLong();
    return long.hasLineEnd ? end : MALFORMED;
  }

  #beginLong(length: number, memory: ValueMemory | undefined): LongValue {
    const isTooLarge = length > this.#maxValueBytes;
    const bytes = isTooLarge ? undefined : memory?.allocate(length);
    this.#longReply = isTooLarge ? TOO_LARGE : (bytes ?? new BufferFull(length));
    this.#memory = memory;
    return (this.#long = new LongValue(length, bytes));
  }

  /** Decodes a number and its line end; returns the position after it, INCOMPLETE or MALFORMED. */
  #readNumber(chunk: Buffer, from: number): number {
    const negative = chunk[from] === MINUS;
    const first = negative ? from + 1 : from;
    let at = first;
    let number = 0;
    for (; at < chunk.length && chunk[at] !== CR; at++) {
      const digit = chunk[at] - ZERO;
      if (digit < 0 || digit > 9) return MALFORMED;
      number = number * 10 + digit;
    }
    if (at - first > MAX_DIGITS) return MALFORMED;
    if (at + 2 > chunk.length) return INCOMPLETE;
    if (at === first || chunk[at + 1] !== LF) return MALFORMED;
    this.#number = negative ? -number : number;
    return at + 2;
  }

  #endOfLine(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(CR, at);
    return end < 0 || end + 2 > chunk.length ? INCOMPLETE : end + 2;
  }
}
