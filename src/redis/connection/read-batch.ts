import { Buffer } from 'node:buffer';
import type { Redis } from 'ioredis';
import { isSuccess } from './circuit-breaker.ts';
import { failureOf, missingPermissionIn, queryErrorOf } from '../redis-failure.ts';
import { Query } from '../query.ts';
import { BufferFull, type RedisReply, TOO_LARGE, type TooLarge } from '../redis-reply.ts';
import { encodeReply, isEmptyReply } from './encoded-reply.ts';
import type { TtlReads } from './read-commands.ts';
import type { ValueMemory } from './value-memory.ts';

/** A reply to a query or PTTL: decoded, but the reply to a query other than GET as it is, encoded in RESP2. */
export type ReadReply = Buffer | TooLarge | BufferFull | number | Error | null;

/** A reply to a query other than GET. */
type QueryReply = Buffer | TooLarge | BufferFull | Error;

/** A reply to GET. */
type GetReply = Buffer | TooLarge | BufferFull | Error | null;

const NO_KEY = Buffer.alloc(0);

export interface Read {
  readonly query: Query;
  readonly onReply: (reply: RedisReply) => void;
  readonly memory: ValueMemory | undefined;
}

/** Replace reads that have ended, so that their queries and callbacks are not retained. */
const EMPTY_GET: Read = { query: Query.get(NO_KEY), onReply: () => undefined, memory: undefined };
const EMPTY_QUERY: Read = { ...EMPTY_GET, query: Query.of(NO_KEY, [NO_KEY]) };

/** Receives results that concern the connection. */
export interface BatchObserver {
  /**
   * Called with the first success, and before that with the last failure if all reads failed: a success may arrive after the
   * time-out.
   */
  onCircuitOutcome(reply: RedisReply): void;
  /** Called with the first success of GET, which shows whether the account has the permissions that every read needs. */
  onGetReply(reply: RedisReply): void;
  /** Called with the permission that another query lacked, in the syntax of ACL SETUSER. */
  onRefusedQuery(permission: string): void;
}

/** Reads that are sent together: queries, followed by PTTL of their keys. They share one time-out, from the first read. */
export abstract class ReadBatch {
  /** 2 if PTTL is sent after it, else 1. */
  readonly #repliesPerGet: number;
  readonly #repliesPerQuery: number;
  readonly #reads: Read[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #observer: BatchObserver;
  /** Number of queries other than GET. */
  #queries = 0;
  /** Whether one of the replies was a success, and whether one of those to GET was. */
  #succeeded = false;
  #getSucceeded = false;
  /** Number of pending replies. */
  #repliesLeft = 0;
  /** Number of reads that have ended, in order. */
  #settled = 0;
  /** Index of the first read with a pending reply. */
  #current = 0;
  /** The reply to its query, while the reply to its PTTL is pending. */
  #queryReply: GetReply | undefined;

  constructor(ttlReads: TtlReads, timeoutMs: number, observer: BatchObserver) {
    this.#repliesPerGet = ttlReads === 'all' ? 2 : 1;
    this.#repliesPerQuery = ttlReads === 'none' ? 1 : 2;
    this.#observer = observer;
    this.#timer = setTimeout(() => this.failAll({ kind: 'timeout' }), timeoutMs);
  }

  /**
   * @param onReply called exactly once.
   * @param memory for a value that arrives in several parts.
   */
  add(query: Query, onReply: (reply: RedisReply) => void, memory: ValueMemory): void {
    this.#reads.push({ query, onReply, memory });
    if (!query.isGet) this.#queries++;
  }

  /** The memory account for the next value; undefined if its read has ended. */
  get memory(): ValueMemory | undefined {
    return this.#queryReply === undefined ? this.#reads.at(this.#current)?.memory : undefined;
  }

  /** Whether the next reply is accepted as it is, encoded in RESP2, unless it is an error. */
  get expectsRawReply(): boolean {
    return this.#queryReply === undefined && this.#isQuery;
  }

  /** Sends the reads, once. */
  abstract send(redis: Redis): void;

  /** Closes the connection, because its replies do not match the requests. */
  protected abstract abortConnection(): void;

  /** Must be called before the first reply is accepted. */
  protected expectReplies(): void {
    const gets = this.#reads.length - this.#queries;
    this.#repliesLeft = gets * this.#repliesPerGet + this.#queries * this.#repliesPerQuery;
  }

  /** The reads, while none of them has ended. */
  protected get reads(): readonly Read[] {
    return this.#reads;
  }

  /** Accepts the next reply; returns whether it was the last one. */
  acceptReply(reply: ReadReply): boolean {
    if (this.#queryReply === undefined) {
      // Null is encoded in replies to other queries.
      if (!isGetReply(reply) || (reply === null && this.#isQuery)) return this.#failDesynchronised();
      if (this.#repliesPerGet === 1 && !this.#isQuery) this.#settle(replyOf(reply, undefined));
      else if (reply !== null && this.#repliesPerQuery === 1) this.#settleQuery(queryReplyOf(reply));
      else this.#queryReply = reply;
    } else {
      if (typeof reply !== 'number' && !(reply instanceof Error)) return this.#failDesynchronised();
      const value = this.#queryReply;
      this.#queryReply = undefined;
      if (value === null || !this.#isQuery) this.#settle(replyOf(value, reply));
      else this.#settleQuery(withPttl(queryReplyOf(value), reply, this.#repliesPerGet > 1));
    }
    return --this.#repliesLeft === 0;
  }

  /** Accepts the next reply, which ioredis has decoded; returns whether it was the last one. */
  acceptDecoded(reply: unknown): boolean {
    if (!this.expectsRawReply) return this.acceptReply(reply as ReadReply);
    return this.acceptReply(encodeReply(reply, this.#reads[this.#current].query) ?? null);
  }

  /** Moves the reads, none of which has been sent, to a new batch with the same observer. */
  moveTo(createBatch: (observer: BatchObserver) => ReadBatch): ReadBatch {
    clearTimeout(this.#timer);
    const batch = createBatch(this.#observer);
    for (const { query, onReply, memory } of this.#reads.splice(0)) {
      if (memory !== undefined) batch.add(query, onReply, memory);
    }
    return batch;
  }

  /** Ends all pending reads with `reply`; later replies are discarded. */
  failAll(reply: RedisReply): void {
    while (this.#settled < this.#reads.length) this.#end(reply);
  }

  /** Whether the read with the next reply is one of a query other than GET. */
  get #isQuery(): boolean {
    return this.#queries > 0 && this.#reads.at(this.#current)?.query.isGet === false;
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
    const index = this.#current++;
    if (index === this.#settled) this.#end(reply);
    else if (isSuccess(reply)) this.#reportSuccess(reply, this.#reads[index].query.isGet);
  }

  #settleQuery(reply: RedisReply): void {
    const missing = reply.kind === 'unavailable' ? reply.missingPermission : undefined;
    if (missing !== undefined) this.#observer.onRefusedQuery(missing);
    this.#settle(reply);
  }

  #end(reply: RedisReply): void {
    const { query, onReply } = this.#reads[this.#settled];
    // The callback may retain a value, and must not be retained itself while other replies are pending.
    this.#reads[this.#settled++] = query.isGet ? EMPTY_GET : EMPTY_QUERY;
    const last = this.#settled === this.#reads.length;
    if (last) clearTimeout(this.#timer);
    if (isSuccess(reply)) this.#reportSuccess(reply, query.isGet);
    else if (last && !this.#succeeded) this.#observer.onCircuitOutcome(reply);
    onReply(reply);
  }

  #reportSuccess(reply: RedisReply, isGet: boolean): void {
    if (!this.#succeeded) {
      this.#succeeded = true;
      this.#observer.onCircuitOutcome(reply);
    }
    if (this.#getSucceeded || !isGet) return;
    this.#getSucceeded = true;
    this.#observer.onGetReply(reply);
  }
}

function isGetReply(reply: ReadReply): reply is GetReply {
  if (reply === null || reply === TOO_LARGE) return true;
  return reply instanceof Buffer || reply instanceof BufferFull || reply instanceof Error;
}

/** @param pttl undefined if PTTL was not sent. */
function replyOf(value: GetReply, pttl: number | Error | undefined): RedisReply {
  if (value instanceof Error) return permissionFailure(failureOf(value), pttl);
  if (pttl instanceof Error) return failureOf(pttl);
  if (value === null) return { kind: 'missing' };
  if (value === TOO_LARGE || value instanceof BufferFull) return value;
  // -1: no expiry. -2: the key was deleted between the two commands, so its value is outdated.
  const ttlMs = pttl === undefined || pttl === -1 ? undefined : Math.max(0, pttl);
  return { kind: 'value', value: value as Buffer, ttlMs };
}

/** Converts the reply to a query other than GET, without that to PTTL. */
function queryReplyOf(reply: QueryReply): RedisReply {
  if (reply instanceof Error) return queryErrorOf(reply);
  return Buffer.isBuffer(reply) ? { kind: 'value', value: reply, ttlMs: undefined } : reply;
}

/**
 * Completes the reply to a query other than GET by that to PTTL, which tells whether the key exists.
 *
 * @param respectTtl whether the TTL of the key limits that of the reply.
 */
export function withPttl(reply: RedisReply, pttl: number | Error, respectTtl: boolean): RedisReply {
  if (reply.kind === 'unavailable' || reply.kind === 'error-reply') return permissionFailure(reply, pttl);
  if (pttl instanceof Error) return failureOf(pttl);
  if (reply.kind !== 'value') return reply;
  const { value } = reply;
  // The key does not exist, or was deleted between the two commands, so that the reply is outdated.
  if (pttl === -2) return isEmptyReply(value) ? { kind: 'missing', reply: value } : { kind: 'value', value, ttlMs: 0 };
  return { kind: 'value', value, ttlMs: respectTtl && pttl !== -1 ? Math.max(0, pttl) : undefined };
}

/** Returns the failure of a query, or that of PTTL: a refused command concerns every key, a refused key only itself. */
function permissionFailure(failure: RedisReply, pttl: number | Error | undefined): RedisReply {
  const isRefused = failure.kind === 'unavailable' && failure.reason === 'NOPERM';
  return isRefused && missingPermissionIn(pttl) !== undefined ? failureOf(pttl) : failure;
}
