import { setImmediate } from 'node:timers/promises';
import { Inject, Injectable, Optional } from '@nestjs/common';
import { cacheConfig, httpConfig, redisConfig } from '../config/namespaces.ts';
import type { Settings } from '../config/settings.ts';
import { CoherenceState } from '../instance/coherence-state.ts';
import { ReadMetrics, TRANSPORTS } from '../instance/read-metrics.ts';
import { ThreadContext } from '../instance/thread-context.ts';
import { RedisReader } from '../redis/redis-reader.ts';
import { READ_TRACER, type ReadTracer } from './read-tracer.ts';
import { BufferedBytes } from './read-through/buffered-bytes.ts';
import { KeyQueries, type KeyStore } from './read-through/key-queries.ts';
import { LoadLimiter } from './read-through/load-limiter.ts';
import type { BackingStore, Lifetimes, StorePolicy } from './read-through/loader.ts';
import { ReadThrough } from './read-through/read-through.ts';
import type { HitBuffer } from './shared-lru/hit-buffer.ts';
import type { HotKeysReport } from './shared-lru/hot-keys/hot-keys-report.ts';
import type { KeySelection } from './shared-lru/walks/matching-purge.ts';
import type { LruLimits } from './shared-lru/memory/layout.ts';
import type { LruStats, SharedLru } from './shared-lru/shared-lru.ts';
import { COMPRESSED, DECOMPRESSED, type VariantNumber } from './variants/variant-id.ts';
import { VariantReads } from './variants/variant-reads.ts';

/** The settings that values have variants for. */
export type VariantSettings = Pick<Settings['http'], 'compression' | 'contentEncodings'>;

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

/** The cache for the rest of the application: reads through it, its statistics, and changes to all of it. */
@Injectable()
export class CacheService extends ReadThrough {
  /** Queries about keys that the cache cannot answer. */
  readonly queries: KeyQueries;
  /** Reads of compressed and decompressed values. */
  readonly variants: VariantReads;
  readonly #lru: SharedLru;
  readonly #metrics: ReadMetrics;

  constructor(
    { lru, clock }: ThreadContext,
    @Inject(RedisReader) store: BackingStore & KeyStore,
    limiter: LoadLimiter,
    metrics: ReadMetrics,
    @Inject(CoherenceState) coherence: StorePolicy,
    buffered: BufferedBytes,
    @Inject(cacheConfig.KEY) lifetimes: Lifetimes,
    @Inject(httpConfig.KEY) http: VariantSettings,
    @Inject(redisConfig.KEY) { maxValueBytes }: Pick<Settings['redis'], 'maxValueBytes'>,
    @Optional() @Inject(READ_TRACER) tracer?: ReadTracer,
  ) {
    const variants = variantsIn(http);
    super({ lru, store, limiter, counts: metrics, clock, coherence, buffered, lifetimes, tracer, variants });
    this.variants = new VariantReads({ lru, reads: this, buffered, maxBytes: maxValueBytes });
    this.queries = new KeyQueries(store, limiter, metrics, clock, tracer);
    this.#lru = lru;
    this.#metrics = metrics;
  }

  /**
   * Copies a fresh entry of at most 16 KiB into `hit` without allocating. Returns false, with nothing counted, if the caller
   * must use {@link read} instead. The id is bytes `from` to `to` of `bytes`.
   *
   * @param selectorLength bytes of the selector, at the end of the id.
   */
  tryGetInto(bytes: Uint8Array, from: number, to: number, hit: HitBuffer, selectorLength = 0): boolean {
    return this.#lru.tryGetInto(bytes, from, to, hit, selectorLength);
  }

  /** Purges a key, with all its queries; returns whether any was cached. */
  purge(key: Buffer): boolean {
    return this.#lru.purge(key) > 0;
  }

  /**
   * Purges the keys that a selection contains, in steps between which this thread serves requests; resolves to the number of
   * entries ended.
   */
  async purgeMatching(selection: KeySelection): Promise<number> {
    const purge = this.#lru.purgeMatching(selection);
    while (!purge.step()) await setImmediate();
    return purge.purged;
  }

  /** Purges every key; returns how many were cached. */
  flush(): number {
    return this.#lru.flush();
  }

  /** Returns at most `limit` keys that were read most in the last minute; undefined with CACHE_HOT_KEYS=off. */
  hotKeys(limit: number): HotKeysReport | undefined {
    return this.#lru.hotKeys(limit);
  }

  stats(): CacheStats {
    const stats = this.#lru.stats();
    const reads = stats.hits + stats.misses + stats.collapsed;
    const { loads, loadErrors } = this.#metrics;
    return {
      ...stats,
      loads,
      loadErrors,
      stale: TRANSPORTS.reduce((sum, transport) => sum + this.#metrics.reads(transport, 'stale'), 0),
      limits: this.#lru.limits,
      hitRatio: reads === 0 ? undefined : stats.hits / reads,
    };
  }
}

/** Returns the numbers of the variants that values may have. */
function variantsIn({ compression, contentEncodings }: VariantSettings): readonly VariantNumber[] {
  const compressed = compression.map((coding) => COMPRESSED[coding]);
  return contentEncodings.length > 0 ? [...compressed, DECOMPRESSED] : compressed;
}
