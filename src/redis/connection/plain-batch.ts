import { Buffer } from 'node:buffer';
import type { Redis } from 'ioredis';
import { type BatchObserver, ReadBatch, type ReadReply } from './read-batch.ts';
import { encodeReply } from './encoded-reply.ts';
import type { TtlReads } from './read-commands.ts';
import { BufferFull, TOO_LARGE } from '../redis-reply.ts';

/** Larger values arrive in several parts and are charged to the buffered-bytes limit. */
const CHUNK_BYTES = 64 * 1024;

/** Reads of one connection through the public API of ioredis. */
export class PlainReads {
  readonly #redis: Redis;
  readonly #maxValueBytes: number;
  readonly #batches = new Set<PlainBatch>();

  constructor(redis: Redis, maxValueBytes: number) {
    this.#redis = redis;
    this.#maxValueBytes = maxValueBytes;
  }

  /** Creates a batch; the arguments are those of {@link ReadBatch}. */
  batch(ttlReads: TtlReads, timeoutMs: number, observer: BatchObserver): PlainBatch {
    const options = {
      ttlReads,
      maxValueBytes: this.#maxValueBytes,
      abortConnection: () => this.abortConnection(),
    };
    const batch: PlainBatch = new PlainBatch(options, timeoutMs, observer, () => this.#batches.delete(batch));
    this.#batches.add(batch);
    return batch;
  }

  /** Reconnects, because the replies do not match the requests, and fails all batches; ioredis still decodes received data. */
  abortConnection(): void {
    this.#redis.disconnect(true);
    for (const batch of this.#batches) batch.failAll({ kind: 'unavailable', reason: 'PROTOCOL' });
    this.#batches.clear();
  }
}

/**
 * Reads as one pipeline of ioredis. A value over the limit is in memory until it has arrived completely, because ioredis does
 * not report its length earlier; and replies after the time-out are not noticed.
 */
class PlainBatch extends ReadBatch {
  readonly #options: PlainOptions;
  readonly #done: () => void;

  constructor(options: PlainOptions, timeoutMs: number, observer: BatchObserver, done: () => void) {
    super(options.ttlReads, timeoutMs, observer);
    this.#options = options;
    this.#done = done;
  }

  send(redis: Redis): void {
    this.expectReplies();
    const { ttlReads } = this.#options;
    const pipeline = redis.pipeline();
    const onReply = (error: Error | null | undefined, reply?: Buffer | number | null): void => {
      if (Buffer.isBuffer(reply) && reply.length > CHUNK_BYTES) this.#acceptLarge(reply);
      else this.acceptReply(error ?? this.#limit(reply ?? null));
    };
    for (const { query } of this.reads) {
      const { key } = query;
      if (query.isGet) {
        pipeline.getBuffer(key, onReply);
        if (ttlReads === 'all') pipeline.pttl(key, onReply);
      } else {
        const [name, ...args] = query.command;
        pipeline.callBuffer(name.toString('latin1'), [key, ...args], (error, reply) => {
          onReply(error, error == null ? encodeReply(reply, query) : undefined);
        });
        if (ttlReads !== 'none') pipeline.pttl(key, onReply);
      }
    }
    // Each command's callback has received its own error.
    void pipeline.exec().then(this.#done, this.#done);
  }

  protected abortConnection(): void {
    this.#options.abortConnection();
  }

  /** Copies the value to accounted memory. */
  #acceptLarge(value: Buffer): void {
    const { memory } = this;
    const reply = this.#limit(value);
    const copy = reply === value ? memory?.allocate(value.length) : undefined;
    copy?.set(value);
    this.acceptReply(reply === value ? (copy ?? new BufferFull(value.length)) : reply);
    if (copy !== undefined) memory?.releaseAfterTick(copy.buffer);
  }

  #limit(reply: Buffer | number | null): ReadReply {
    return Buffer.isBuffer(reply) && reply.length > this.#options.maxValueBytes ? TOO_LARGE : reply;
  }
}

interface PlainOptions {
  readonly ttlReads: TtlReads;
  readonly maxValueBytes: number;
  abortConnection(): void;
}
