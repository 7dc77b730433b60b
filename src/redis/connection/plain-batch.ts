import { Buffer } from 'node:buffer';
import type { Redis } from 'ioredis';
import { ReadBatch, type ReadReply } from './read-batch.ts';
import { NoRoom, type RedisReply, TOO_LARGE } from '../redis-reply.ts';

/** A larger value has not arrived in one piece, and its memory counts. */
const CHUNK_BYTES = 64 * 1024;

/** The reads of one connection that are sent with public API of ioredis. */
export class PlainReads {
  readonly #redis: Redis;
  readonly #maxValueBytes: number;
  readonly #batches = new Set<PlainBatch>();

  constructor(redis: Redis, maxValueBytes: number) {
    this.#redis = redis;
    this.#maxValueBytes = maxValueBytes;
  }

  /** As the constructor of {@link ReadBatch}. */
  batch(repliesPerKey: number, timeoutMs: number, judge: (reply: RedisReply) => void): PlainBatch {
    const options = { repliesPerKey, maxValueBytes: this.#maxValueBytes, breakOff: () => this.breakOff() };
    const batch: PlainBatch = new PlainBatch(options, timeoutMs, judge, () => this.#batches.delete(batch));
    this.#batches.add(batch);
    return batch;
  }

  /** Reconnects, as the replies are not those to what was asked; until it has, ioredis goes on with what has arrived. */
  breakOff(): void {
    this.#redis.disconnect(true);
    for (const batch of this.#batches) batch.end({ kind: 'unavailable', reason: 'PROTOCOL' });
    this.#batches.clear();
  }
}

/**
 * Reads as one pipeline of ioredis. A value over the limit is in memory until it has arrived whole, as ioredis does not tell
 * the length before; and that Redis answers after time was up is not noticed.
 */
class PlainBatch extends ReadBatch {
  readonly #options: PlainOptions;
  readonly #done: () => void;

  constructor(options: PlainOptions, timeoutMs: number, judge: (reply: RedisReply) => void, done: () => void) {
    super(options.repliesPerKey, timeoutMs, judge);
    this.#options = options;
    this.#done = done;
  }

  send(redis: Redis): void {
    this.expectReplies();
    const pipeline = redis.pipeline();
    const take = (error: Error | null | undefined, reply?: Buffer | number | null): void => {
      if (Buffer.isBuffer(reply) && reply.length > CHUNK_BYTES) this.#acceptLarge(reply);
      else this.accept(error ?? this.#limit(reply ?? null));
    };
    for (const { key } of this.reads) {
      pipeline.getBuffer(key, take);
      if (this.#options.repliesPerKey > 1) pipeline.pttl(key, take);
    }
    // Each command has been told of its own error.
    void pipeline.exec().then(this.#done, this.#done);
  }

  protected breakOff(): void {
    this.#options.breakOff();
  }

  /** Copies the value to memory that is counted. */
  #acceptLarge(value: Buffer): void {
    const { memory } = this;
    const limited = this.#limit(value);
    const room = limited === value ? memory?.allocate(value.length) : undefined;
    room?.set(value);
    this.accept(limited === value ? (room ?? new NoRoom(value.length)) : limited);
    if (room !== undefined) memory?.pass(room.buffer);
  }

  #limit(reply: Buffer | number | null): ReadReply {
    return Buffer.isBuffer(reply) && reply.length > this.#options.maxValueBytes ? TOO_LARGE : reply;
  }
}

interface PlainOptions {
  readonly repliesPerKey: number;
  readonly maxValueBytes: number;
  breakOff(): void;
}
