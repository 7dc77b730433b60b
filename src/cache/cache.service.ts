import { Injectable } from '@nestjs/common';
import type { HitBuffer } from './shared-lru/hit-buffer.ts';
import type { Omitted } from './read-through/bounded-results.ts';
import { type TtlOutcome, KeyQueries, type TypeOutcome } from './read-through/key-queries.ts';
import type { LruLimits } from './shared-lru/memory/layout.ts';
import type { ReadDirectives } from './read-through/read-through.ts';
import type { DirectedOutcome, ReadOutcome } from './read-through/read-outcome.ts';
import { type ReadOptions, ReadThrough } from './read-through/read-through.ts';
import { ReadMetrics, TRANSPORTS } from '../instance/read-metrics.ts';
import type { LruStats, SharedLru } from './shared-lru/shared-lru.ts';
import { ThreadContext } from '../instance/thread-context.ts';

export interface CacheStats extends LruStats {
  readonly limits: LruLimits;
  /** Redis reads started. */
  readonly loads: number;
  /** Redis reads that failed. */
  readonly loadErrors: number;
  /** Reads served with an expired value because Redis was unavailable. */
  readonly stale: number;
  /** Share of reads that were hits, 0 to 1; undefined before the first read. */
  readonly hitRatio: number | undefined;
}

/** Facade of the cache for the rest of the application. */
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
   * Copies a fresh entry of at most 16 KiB into `hit` without allocating. Returns false, with nothing counted, if the caller
   * must use {@link read} instead. The key is bytes `from` to `to` of `bytes`.
   */
  tryGetInto(bytes: Uint8Array, from: number, to: number, hit: HitBuffer): boolean {
    return this.#lru.tryGetInto(bytes, from, to, hit);
  }

  /** Reads a key: returns a hit synchronously and a miss as a promise. */
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
   * Reads many keys; loads those that are missing from the cache in a few round trips. Returns one outcome per key, in order.
   *
   * @param maxBytes see {@link ReadThrough.readMany}.
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

  /** Returns the TTL of each key, see {@link KeyQueries.ttls}. */
  ttls(keys: readonly Buffer[]): Promise<readonly TtlOutcome[]> {
    return this.#keyQueries.ttls(keys);
  }

  /** Returns the type of each key, see {@link KeyQueries.types}. */
  types(keys: readonly Buffer[]): Promise<readonly TypeOutcome[]> {
    return this.#keyQueries.types(keys);
  }

  /** Purges a key; returns whether it was cached. */
  purge(key: Buffer): boolean {
    return this.#lru.purge(key);
  }

  /** Purges every key; returns how many were cached. */
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
