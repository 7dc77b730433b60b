import { Injectable } from '@nestjs/common';
import { Access } from '../access/access.ts';
import { AdminTokens } from '../access/admin-tokens.ts';
import { CacheService } from '../cache/cache.service.ts';
import { CoherenceCounts } from '../instance/coherence-counts.ts';
import { CoherenceState } from '../instance/coherence-state.ts';
import { InstanceStats } from '../instance/instance-stats.ts';
import { DURATION_BUCKETS, READ_OUTCOMES, ReadMetrics, TRANSPORTS } from '../instance/read-metrics.ts';
import { packageVersion } from '../config/package-version.ts';
import { Settings } from '../config/settings.ts';
import type { DashboardSnapshot } from './dashboard-snapshot.ts';

/** Reads what the dashboard is told from the memory that the threads share. */
@Injectable()
export class SnapshotService {
  readonly #cache: CacheService;
  readonly #requests: ReadMetrics;
  readonly #instance: InstanceStats;
  readonly #coherence: CoherenceState;
  readonly #news: CoherenceCounts;
  readonly #doors: DashboardSnapshot['doors'];
  readonly #maxConnections: number;

  constructor(
    cache: CacheService,
    requests: ReadMetrics,
    instance: InstanceStats,
    coherence: CoherenceState,
    news: CoherenceCounts,
    access: Access,
    adminTokens: AdminTokens,
    { proxy }: Settings,
  ) {
    this.#cache = cache;
    this.#requests = requests;
    this.#instance = instance;
    this.#coherence = coherence;
    this.#news = news;
    this.#doors = { readsNeedToken: access.tokenRequired, admin: adminTokens.exist };
    this.#maxConnections = proxy.maxConnections;
  }

  /** The state of this moment. */
  read(): DashboardSnapshot {
    const instance = this.#instance;
    return {
      at: Date.now(),
      version: packageVersion(),
      uptimeSeconds: Math.floor(process.uptime()),
      reads: this.#reads(),
      cache: this.#cacheFigures(),
      loads: {
        count: this.#requests.loads,
        errors: this.#requests.loadErrors,
        inFlight: instance.loads,
        queued: instance.queuedLoads,
        durations: { bounds: DURATION_BUCKETS, buckets: this.#requests.loadDurations().buckets },
      },
      redis: {
        connected: instance.redisConnections,
        circuits: {
          closed: instance.circuits('closed'),
          'half-open': instance.circuits('half-open'),
          open: instance.circuits('open'),
        },
      },
      coherence: {
        state: this.#coherence.current,
        invalidations: this.#news.invalidations,
        losses: this.#news.losses,
      },
      threads: { count: instance.threads, restarts: instance.restarts },
      connections: { open: instance.connections, max: this.#maxConnections },
      doors: this.#doors,
    };
  }

  #reads(): DashboardSnapshot['reads'] {
    return Object.fromEntries(
      TRANSPORTS.map((transport) => [
        transport,
        Object.fromEntries(READ_OUTCOMES.map((outcome) => [outcome, this.#requests.reads(transport, outcome)])),
      ]),
    );
  }

  #cacheFigures(): DashboardSnapshot['cache'] {
    const { entries, bytes, limits, hits, misses, collapsed, ...stats } = this.#cache.stats();
    return {
      entries,
      capacity: limits.capacity,
      bytes,
      maxBytes: limits.maxBytes,
      hits,
      misses,
      collapsed,
      dropped: {
        capacity: stats.evictionsByCapacity,
        bytes: stats.evictionsByBytes,
        expired: stats.expirations,
        purged: stats.invalidations,
      },
    };
  }
}
