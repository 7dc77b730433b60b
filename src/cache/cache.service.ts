import { Injectable } from '@nestjs/common';
import type { HitBuffer } from './shared-lru/hit-buffer.ts';
import type { Omitted } from './read-through/bounded-results.ts';
import { type ExpiryOutcome, KeyQueries, type TypeOutcome } from './read-through/key-queries.ts';
import type { LruLimits } from './shared-lru/memory/layout.ts';
import type { ReadDirectives } from './read-through/read-directives.ts';
import type { DirectedOutcome, ReadOutcome } from './read-through/read-outcome.ts';
import { type ReadOptions, ReadThrough } from './read-through/read-through.ts';
import { ReadMetrics, TRANSPORTS } from '../instance/read-metrics.ts';
import type { LruStats, SharedLru } from './shared-lru/shared-lru.ts';
import { ThreadContext } from '../instance/thread-context.ts';

export interface CacheStats extends LruStats {
  readonly limits: LruLimits;
  /** Reads of Redis. */
  readonly loads: number;
  /** Reads of Redis that it could not answer. */
  readonly loadErrors: number;
  /** Reads answered with a value whose time was over, as Redis could not be asked. */
  readonly stale: number;
  /** Hits among all reads, 0 to 1; undefined before the first read. */
  readonly hitRatio: number | undefined;
}

/** The cache, as the rest of the application uses it. */
@Injectable()
export class CacheService {
  readonly #lru: SharedLru;
  readonly #readThrough: ReadThrough;
  readonly #keyQueries: KeyQueries;
  readonly #counts: ReadMetrics;

  constructor(thread: ThreadContext, readThrough: ReadThrough, keyQueries: KeyQueries, counts: ReadMetrics) {
    this.#lru = thread.lru;
    this.#readThrough = readThrough;
    this.#keyQueries = keyQueries;
    this.#counts = counts;
  }

  /**
   * Reads a key, bytes `from` to `to` of `bytes`, if it is held with a value of at most 16 KiB: what most requests need,
   * without an object made for it. False when {@link read} is to be asked, which counts the read then.
   */
  hit(bytes: Uint8Array, from: number, to: number, hit: HitBuffer): boolean {
    return this.#lru.tryGetInto(bytes, from, to, hit);
  }

  /** Reads a key: a hit on the spot, a miss as a promise. */
  read(key: Buffer, directives?: undefined, options?: ReadOptions): ReadOutcome | Promise<ReadOutcome>;
  read(
    key: Buffer,
    directives: ReadDirectives | undefined,
    options?: ReadOptions,
  ): DirectedOutcome | Promise<DirectedOutcome>;
  read(key: Buffer, directives?: ReadDirectives, options?: ReadOptions): DirectedOutcome | Promise<DirectedOutcome> {
    return this.#readThrough.read(key, directives, options);
  }

  /**
   * Reads many keys, all that have to be loaded in one round trip: one outcome per key, in order.
   *
   * @param maxBytes as {@link ReadThrough.readMany}.
   */
  readMany(keys: readonly Buffer[]): readonly ReadOutcome[] | Promise<readonly ReadOutcome[]>;
  readMany(
    keys: readonly Buffer[],
    maxBytes: number,
    options?: ReadOptions,
  ): readonly (ReadOutcome | Omitted)[] | Promise<readonly (ReadOutcome | Omitted)[]>;
  readMany(
    keys: readonly Buffer[],
    maxBytes = Infinity,
    options?: ReadOptions,
  ): readonly (ReadOutcome | Omitted)[] | Promise<readonly (ReadOutcome | Omitted)[]> {
    return this.#readThrough.readMany(keys, maxBytes, options);
  }

  /** As {@link KeyQueries.expiries}. */
  expiries(keys: readonly Buffer[]): Promise<readonly ExpiryOutcome[]> {
    return this.#keyQueries.expiries(keys);
  }

  /** As {@link KeyQueries.types}. */
  types(keys: readonly Buffer[]): Promise<readonly TypeOutcome[]> {
    return this.#keyQueries.types(keys);
  }

  /** Forgets a key; answers whether it was held. */
  purge(key: Buffer): boolean {
    return this.#lru.purge(key);
  }

  /** Forgets every key; answers how many were held. */
  flush(): number {
    return this.#lru.flush();
  }

  stats(): CacheStats {
    const stats = this.#lru.stats();
    const reads = stats.hits + stats.misses + stats.collapsed;
    const { loads, loadErrors } = this.#counts;
    return {
      ...stats,
      loads,
      loadErrors,
      stale: TRANSPORTS.reduce((sum, transport) => sum + this.#counts.reads(transport, 'stale'), 0),
      limits: this.#lru.limits,
      hitRatio: reads === 0 ? undefined : stats.hits / reads,
    };
  }
}
