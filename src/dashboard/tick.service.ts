import { Injectable } from '@nestjs/common';
import { Access } from '../access/access.ts';
import { AdminTokens } from '../access/admin-tokens.ts';
import { CacheService } from '../cache/cache.service.ts';
import { CoherenceCounts } from '../cache/coherence-counts.ts';
import { CoherenceState } from '../cache/coherence-state.ts';
import { InstanceStats } from '../cache/instance-stats.ts';
import { DURATION_BUCKETS, READ_OUTCOMES, RequestCounts, TRANSPORTS } from '../cache/request-counts.ts';
import { packageVersion } from '../config/package-version.ts';
import { Settings } from '../config/settings.ts';
import type { Tick } from './tick.ts';

/** Reads what the dashboard is told from the memory that the threads share. */
@Injectable()
export class TickService {
  readonly #cache: CacheService;
  readonly #requests: RequestCounts;
  readonly #instance: InstanceStats;
  readonly #coherence: CoherenceState;
  readonly #news: CoherenceCounts;
  readonly #doors: Tick['doors'];
  readonly #maxConnections: number;

  constructor(
    cache: CacheService,
    requests: RequestCounts,
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
  read(): Tick {
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

  #reads(): Tick['reads'] {
    return Object.fromEntries(
      TRANSPORTS.map((transport) => [
        transport,
        Object.fromEntries(READ_OUTCOMES.map((outcome) => [outcome, this.#requests.reads(transport, outcome)])),
      ]),
    );
  }

  #cacheFigures(): Tick['cache'] {
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
