import { Buffer } from 'node:buffer';
import type { Redis } from 'ioredis';
import { isSuccess } from './circuit-breaker.ts';
import { failureOf, missingPermissionIn } from '../redis-failure.ts';
import { Query } from '../query.ts';
import { BufferFull, type RedisReply, TOO_LARGE, type TooLarge } from '../redis-reply.ts';
import type { ValueMemory } from './value-memory.ts';

/** A decoded reply to GET or PTTL. */
export type ReadReply = Buffer | TooLarge | BufferFull | number | Error | null;

/** A reply to GET. */
type GetReply = Buffer | TooLarge | BufferFull | Error | null;

const NO_QUERY = Query.get(Buffer.alloc(0));

export interface Read {
  readonly query: Query;
  readonly onReply: (reply: RedisReply) => void;
  readonly memory: ValueMemory | undefined;
}

/** Replaces a read that has ended, so that its key and callback are not retained. */
const EMPTY_READ: Read = { query: NO_QUERY, onReply: () => undefined, memory: undefined };

/** Reads that are sent together: GET of each key, optionally followed by PTTL. They share one time-out, from the first read. */
export abstract class ReadBatch {
  readonly #repliesPerKey: number;
  readonly #reads: Read[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #onCircuitOutcome: (reply: RedisReply) => void;
  /** Whether one of the replies was a success. */
  #succeeded = false;
  /** Number of pending replies. */
  #repliesLeft = 0;
  /** Number of reads that have ended, in order. */
  #settled = 0;
  /** Index of the first read with a pending reply. */
  #current = 0;
  /** The reply to its GET, while the reply to its PTTL is pending. */
  #getReply: GetReply | undefined;

  /**
   * @param onCircuitOutcome called with the first success, and before that with the last failure if all reads failed: a
   *   success may arrive after the time-out.
   */
  constructor(repliesPerKey: number, timeoutMs: number, onCircuitOutcome: (reply: RedisReply) => void) {
    this.#repliesPerKey = repliesPerKey;
    this.#onCircuitOutcome = onCircuitOutcome;
    this.#timer = setTimeout(() => this.failAll({ kind: 'timeout' }), timeoutMs);
  }

  /**
   * @param onReply called exactly once.
   * @param memory for a value that arrives in several parts.
   */
  add(query: Query, onReply: (reply: RedisReply) => void, memory: ValueMemory): void {
    this.#reads.push({ query, onReply, memory });
  }

  /** The memory account for the next value; undefined if its read has ended. */
  get memory(): ValueMemory | undefined {
    return this.#getReply === undefined ? this.#reads.at(this.#current)?.memory : undefined;
  }

  /** Sends the reads, once. */
  abstract send(redis: Redis): void;

  /** Closes the connection, because its replies do not match the requests. */
  protected abstract abortConnection(): void;

  /** Must be called before the first reply is accepted. */
  protected expectReplies(): void {
    this.#repliesLeft = this.#reads.length * this.#repliesPerKey;
  }

  /** The reads, while none of them has ended. */
  protected get reads(): readonly Read[] {
    return this.#reads;
  }

  /** Accepts the next reply; returns whether it was the last one. */
  acceptReply(reply: ReadReply): boolean {
    if (this.#getReply === undefined) {
      if (!isGetReply(reply)) return this.#failDesynchronised();
      if (this.#repliesPerKey === 1) this.#settle(replyOf(reply, undefined));
      else this.#getReply = reply;
    } else {
      if (typeof reply !== 'number' && !(reply instanceof Error)) return this.#failDesynchronised();
      const value = this.#getReply;
      this.#getReply = undefined;
      this.#settle(replyOf(value, reply));
    }
    return --this.#repliesLeft === 0;
  }

  /** Moves the reads, none of which has been sent, to a new batch with the same `onCircuitOutcome`. */
  moveTo(createBatch: (onCircuitOutcome: (reply: RedisReply) => void) => ReadBatch): ReadBatch {
    clearTimeout(this.#timer);
    const batch = createBatch(this.#onCircuitOutcome);
    for (const { query, onReply, memory } of this.#reads.splice(0)) {
      if (memory !== undefined) batch.add(query, onReply, memory);
    }
    return batch;
  }

  /** Ends all pending reads with `reply`; later replies are discarded. */
  failAll(reply: RedisReply): void {
    while (this.#settled < this.#reads.length) this.#end(reply);
  }

  /** Aborts: after one reply that does not match, a value could be returned for another key. */
  #failDesynchronised(): boolean {
    this.abortConnection();
    // ioredis may have removed the command from its queue.
    this.failAll({ kind: 'unavailable', reason: 'PROTOCOL' });
    return false;
  }

  #settle(reply: RedisReply): void {
    // Unless the read has timed out.
    if (this.#current++ === this.#settled) this.#end(reply);
    else if (isSuccess(reply)) this.#reportSuccess(reply);
  }

  #end(reply: RedisReply): void {
    const { onReply } = this.#reads[this.#settled];
    // The callback may retain a value, and must not be retained itself while other replies are pending.
    this.#reads[this.#settled++] = EMPTY_READ;
    const last = this.#settled === this.#reads.length;
    if (last) clearTimeout(this.#timer);
    if (isSuccess(reply)) this.#reportSuccess(reply);
    else if (last && !this.#succeeded) this.#onCircuitOutcome(reply);
    onReply(reply);
  }

  #reportSuccess(reply: RedisReply): void {
    if (this.#succeeded) return;
    this.#succeeded = true;
    this.#onCircuitOutcome(reply);
  }
}

function isGetReply(reply: ReadReply): reply is GetReply {
  if (reply === null || reply === TOO_LARGE) return true;
  return reply instanceof Buffer || reply instanceof BufferFull || reply instanceof Error;
}

/** @param pttl undefined if PTTL was not sent. */
function replyOf(value: GetReply, pttl: number | Error | undefined): RedisReply {
  if (value instanceof Error) {
    const failure = failureOf(value);
    // A refused command concerns every key, a refused key only itself.
    const isKeyRefused = failure.kind === 'unavailable' && failure.reason === 'NOPERM';
    return isKeyRefused && missingPermissionIn(pttl) !== undefined ? failureOf(pttl) : failure;
  }
  if (pttl instanceof Error) return failureOf(pttl);
  if (value === null) return { kind: 'missing' };
  if (value === TOO_LARGE || value instanceof BufferFull) return value;
  // -1: no expiry. -2: the key was deleted between the two commands, so its value is outdated.
  const ttlMs = pttl === undefined || pttl === -1 ? undefined : Math.max(0, pttl);
  return { kind: 'value', value: value as Buffer, ttlMs };
}
