import { type RedisTtl, type RedisType, isFailure } from '../../redis/redis-reply.ts';
import type { Clock } from '../shared-lru/clock.ts';
import type { LoadLimiter } from './load-limiter.ts';
import type { ReadMetrics } from '../../instance/read-metrics.ts';

/** Reads metadata of keys from the backing store. */
export interface KeyStore {
  ttl(key: Buffer): Promise<RedisTtl>;
  type(key: Buffer): Promise<RedisType>;
}

/** Too many reads are queued, or this one has been queued for too long. */
interface Overloaded {
  readonly kind: 'overloaded';
}

export type TtlOutcome = RedisTtl | Overloaded;
export type TypeOutcome = RedisType | Overloaded;

/**
 * Queries Redis about keys each time: their times to live, of which the cache knows only how long it may hold them, and
 * their types, of which it knows only whether they are strings. These queries acquire permits and are counted as loads are.
 */
export class KeyQueries {
  readonly #store: KeyStore;
  readonly #limiter: LoadLimiter;
  readonly #counts: ReadMetrics;
  readonly #clock: Clock;

  constructor(store: KeyStore, limiter: LoadLimiter, counts: ReadMetrics, clock: Clock) {
    this.#store = store;
    this.#limiter = limiter;
    this.#counts = counts;
    this.#clock = clock;
  }

  /** Returns one outcome per key, in order. All keys are one round trip and one permit. */
  ttls(keys: readonly Buffer[]): Promise<readonly TtlOutcome[]> {
    return this.#query(keys, (key) => this.#store.ttl(key));
  }

  /** As {@link ttls}. */
  types(keys: readonly Buffer[]): Promise<readonly TypeOutcome[]> {
    return this.#query(keys, (key) => this.#store.type(key));
  }

  async #query<Reply extends { readonly kind: string }>(
    keys: readonly Buffer[],
    send: (key: Buffer) => Promise<Reply>,
  ): Promise<readonly (Reply | Overloaded)[]> {
    const admission = this.#limiter.acquire();
    if ((admission instanceof Promise ? await this.#queue(admission) : admission) !== 'admitted') {
      return keys.map(() => ({ kind: 'overloaded' }));
    }
    try {
      return await Promise.all(keys.map((key) => this.#observe(send(key))));
    } finally {
      this.#limiter.release();
    }
  }

  async #queue<Result>(queued: Promise<Result>): Promise<Result> {
    const since = this.#clock();
    const result = await queued;
    this.#counts.observeQueue(this.#clock() - since);
    return result;
  }

  async #observe<Reply extends { readonly kind: string }>(reply: Promise<Reply>): Promise<Reply> {
    const since = this.#clock();
    this.#counts.countLoad();
    const outcome = await reply;
    if (outcome.kind !== 'unavailable') this.#counts.observeLoad(this.#clock() - since);
    if (isFailure(outcome)) this.#counts.countLoadError();
    return outcome;
  }
}
