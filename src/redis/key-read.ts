import { Buffer } from 'node:buffer';
import type { Command } from 'ioredis';
import { failureOf } from './redis-failure.ts';
import type { RedisReply } from './redis-reply.ts';

/** What a connection of ioredis uses of a command that it sends. */
type SentCommand = Pick<
  Command,
  'name' | 'args' | 'isTraced' | 'setReplyContext' | 'setTimeout' | 'toWritable' | 'resolve' | 'reject'
>;

const NOTHING = Buffer.alloc(0);

/**
 * The read of one key, as ioredis sends it: once for GET and once more for PTTL, whose replies come in this order. The
 * commands that ioredis makes have promises, closures and timers, which cost several times what the reading does.
 */
export class KeyRead implements SentCommand {
  readonly key: Buffer;
  readonly name = 'get';
  /** ioredis adds them to errors, of which nobody sees more than the first word. */
  readonly args = [];
  /** Tracing wants a promise. */
  isTraced = true;
  /** What ioredis is to write for this command. */
  bytes: Buffer = NOTHING;
  #repliesLeft: number;
  #value: Buffer | null | undefined;
  #settle: ((reply: RedisReply) => void) | undefined;

  /**
   * @param replies 1: of GET; 2: of GET and of PTTL.
   * @param settle is called once.
   */
  constructor(key: Buffer, replies: number, settle: (reply: RedisReply) => void) {
    this.key = key;
    this.#repliesLeft = replies;
    this.#settle = settle;
  }

  setReplyContext(): void {
    // Replies are taken as they are.
  }

  setTimeout(): void {
    // One timer is enough for all that is sent together.
  }

  toWritable(): Buffer {
    return this.bytes;
  }

  resolve(reply: unknown): void {
    const pttl = this.#value === undefined ? undefined : (reply as number);
    if (this.#value === undefined) this.#value = reply as Buffer | null;
    if (--this.#repliesLeft === 0) this.end(replyOf(this.#value, pttl));
  }

  reject(error: Error): void {
    this.end(failureOf(error));
  }

  /** Only the first end counts. */
  end(reply: RedisReply): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(reply);
  }
}

function replyOf(value: Buffer | null, pttl: number | undefined): RedisReply {
  if (value === null) return { kind: 'missing' };
  // -1: no expiry. -2: the key went between the two commands, so its value is already out of date.
  const ttlMs = pttl === undefined || pttl === -1 ? undefined : Math.max(0, pttl);
  return { kind: 'value', value, ttlMs };
}
