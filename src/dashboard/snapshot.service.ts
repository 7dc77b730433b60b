import { Inject, Injectable } from '@nestjs/common';
import { Access } from '../access/access.ts';
import { AdminTokens } from '../access/bearer-tokens.ts';
import { CacheService } from '../cache/cache.service.ts';
import { CoherenceCounts } from '../instance/counts/coherence-counts.ts';
import { CoherenceState } from '../instance/coherence-state.ts';
import { InstanceStats } from '../instance/instance-stats.ts';
import { DURATION_BUCKETS, READ_OUTCOMES, ReadMetrics, TRANSPORTS } from '../instance/read-metrics.ts';
import { WarmupState } from '../instance/warmup-state.ts';
import { RedisReader } from '../redis/redis-reader.ts';
import { packageVersion } from '../config/package-version.ts';
import type { ConfigType } from '@nestjs/config';
import { cacheConfig, proxyConfig } from '../config/namespaces.ts';
import type { DashboardSnapshot } from './dashboard-snapshot.ts';

/** Reads the figures of the dashboard from the memory shared by all threads. */
@Injectable()
export class SnapshotService {
  readonly #cache: CacheService;
  readonly #readMetrics: ReadMetrics;
  readonly #instance: InstanceStats;
  readonly #coherence: CoherenceState;
  readonly #coherenceCounts: CoherenceCounts;
  readonly #warmup: WarmupState;
  readonly #redis: RedisReader;
  readonly #auth: DashboardSnapshot['auth'];
  readonly #maxConnections: number;
  readonly #hasPurgeChannel: boolean;

  constructor(
    cache: CacheService,
    readMetrics: ReadMetrics,
    instance: InstanceStats,
    coherence: CoherenceState,
    coherenceCounts: CoherenceCounts,
    warmup: WarmupState,
    redis: RedisReader,
    access: Access,
    adminTokens: AdminTokens,
    @Inject(proxyConfig.KEY) proxy: ConfigType<typeof proxyConfig>,
    @Inject(cacheConfig.KEY) { purgeChannel }: ConfigType<typeof cacheConfig>,
  ) {
    this.#cache = cache;
    this.#readMetrics = readMetrics;
    this.#instance = instance;
    this.#coherence = coherence;
    this.#coherenceCounts = coherenceCounts;
    this.#warmup = warmup;
    this.#redis = redis;
    this.#auth = { tokenRequired: access.tokenRequired, adminEnabled: adminTokens.exist };
    this.#maxConnections = proxy.maxConnections;
    this.#hasPurgeChannel = purgeChannel !== undefined;
  }

  /** Returns the current snapshot. */
  read(): DashboardSnapshot {
    const instance = this.#instance;
    return {
      at: Date.now(),
      version: packageVersion(),
      uptimeSeconds: Math.floor(process.uptime()),
      reads: this.#reads(),
      cache: this.#cacheState(),
      loads: {
        count: this.#readMetrics.loads,
        errors: this.#readMetrics.loadErrors,
        inFlight: instance.loads,
        queued: instance.queuedLoads,
        durations: { bounds: DURATION_BUCKETS, buckets: this.#readMetrics.loadDurations().buckets },
      },
      redis: {
        connected: instance.redisConnections,
        circuits: {
          closed: instance.circuits('closed'),
          'half-open': instance.circuits('half-open'),
          open: instance.circuits('open'),
        },
      },
      readSources: this.#readSources(),
      coherence: {
        state: this.#coherence.current,
        invalidations: this.#coherenceCounts.invalidations,
        losses: this.#coherenceCounts.losses,
      },
      purgeChannel: this.#hasPurgeChannel
        ? { subscribed: this.#coherenceCounts.isSubscribed, purges: this.#coherenceCounts.purges }
        : null,
      warmup: this.#warmupState(),
      threads: { count: instance.threads, restarts: instance.restarts },
      connections: { open: instance.connections, max: this.#maxConnections },
      auth: this.#auth,
    };
  }

  #reads(): DashboardSnapshot['reads'] {
    return Object.fromEntries(
      TRANSPORTS.map((transport) => [
        transport,
        Object.fromEntries(READ_OUTCOMES.map((outcome) => [outcome, this.#readMetrics.reads(transport, outcome)])),
      ]),
    );
  }

  #readSources(): DashboardSnapshot['readSources'] {
    const { sources = [] } = this.#redis.sources ?? {};
    if (sources.length === 0) return null;
    return {
      servers: sources.map(({ role, address = null }) => ({ role, address })),
      lagSeconds: this.#instance.readSources.lagSeconds,
    };
  }

  #warmupState(): DashboardSnapshot['warmup'] {
    const { current: state, done, total } = this.#warmup;
    return state === 'off' ? null : { state, done, total };
  }

  #cacheState(): DashboardSnapshot['cache'] {
    const { entries, bytes, limits, hits, misses, collapsed, ...stats } = this.#cache.stats();
    return {
      entries,
      capacity: limits.capacity,
      bytes,
      maxBytes: limits.maxBytes,
      hits,
      misses,
      collapsed,
      evictions: {
        capacity: stats.evictionsByCapacity,
        bytes: stats.evictionsByBytes,
        expired: stats.expirations,
        purged: stats.invalidations,
      },
    };
  }
}
