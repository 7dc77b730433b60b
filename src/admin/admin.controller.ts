import { Controller, Delete, Get, UseGuards } from '@nestjs/common';
import type { SelectedKeys } from '../access/key-selection.ts';
import { type CacheStats, CacheService } from '../cache/cache.service.ts';
import { CoherenceCounts } from '../instance/counts/coherence-counts.ts';
import { type CoherenceMode, CoherenceState } from '../instance/coherence-state.ts';
import { InstanceStats } from '../instance/instance-stats.ts';
import { INTERNAL_PARTS } from '../internals/internal-part.ts';
import { type HttpResponse, jsonResponse, problemResponse } from '../http/response/http-response.ts';
import { problem } from '../http/response/problem.ts';
import { ENTRIES_PATH, HOT_KEYS_PATH } from '../http/request/key-path.ts';
import { KeyToPurge } from '../http/keys/raw-key.ts';
import { KnownInputGuard, QueryParameters } from '../http/request/known-input.guard.ts';
import { AdminTokenGuard } from './admin-token.guard.ts';
import { KeyLimit, LIMIT_PARAMETER, hotKeysBody } from './hot-keys.ts';
import { SELECTION_PARAMETERS, SelectedByQuery } from './keys-to-purge.ts';

/** The admin API: cache statistics, hot keys, flush and purge. */
@Controller()
@UseGuards(AdminTokenGuard, KnownInputGuard)
export class AdminController {
  readonly #cache: CacheService;
  readonly #coherence: CoherenceState;
  readonly #coherenceCounts: CoherenceCounts;
  readonly #instance: InstanceStats;

  constructor(
    cache: CacheService,
    coherence: CoherenceState,
    coherenceCounts: CoherenceCounts,
    instance: InstanceStats,
  ) {
    this.#cache = cache;
    this.#coherence = coherence;
    this.#coherenceCounts = coherenceCounts;
    this.#instance = instance;
  }

  @Get('v1/cache')
  stats(): HttpResponse {
    const stats = this.#cache.stats();
    return jsonResponse(
      200,
      statsBody(stats, this.#coherence.current, this.#coherenceCounts, this.#instance, process.uptime()),
    );
  }

  @Get(HOT_KEYS_PATH)
  @QueryParameters([LIMIT_PARAMETER])
  hotKeys(@KeyLimit() limit: number): HttpResponse {
    const report = this.#cache.hotKeys(limit);
    if (report !== undefined) return jsonResponse(200, hotKeysBody(report));
    return problemResponse(problem('hot-keys-disabled', 'Hot keys are not counted (CACHE_HOT_KEYS=off).'));
  }

  @Delete('v1/cache')
  @QueryParameters(SELECTION_PARAMETERS)
  async flush(@SelectedByQuery() keys: SelectedKeys | undefined): Promise<HttpResponse> {
    if (keys === undefined) return jsonResponse(200, { flushed: this.#cache.flush() });
    return jsonResponse(200, { purged: await this.#cache.purgeMatching(keys) });
  }

  @Delete(`${ENTRIES_PATH}:key`)
  purge(@KeyToPurge() key: Buffer): HttpResponse {
    return jsonResponse(200, { purged: this.#cache.purge(key) });
  }
}

function statsBody(
  stats: CacheStats,
  state: CoherenceMode,
  coherenceCounts: CoherenceCounts,
  instance: InstanceStats,
  uptimeSeconds: number,
) {
  return {
    entries: stats.entries,
    capacity: stats.limits.capacity,
    bytes: stats.bytes,
    maxBytes: stats.limits.maxBytes,
    hits: stats.hits,
    misses: stats.misses,
    collapsed: stats.collapsed,
    stale: stats.stale,
    hitRatio: stats.hitRatio ?? null,
    loads: stats.loads,
    loadErrors: stats.loadErrors,
    evictions: {
      capacity: stats.evictionsByCapacity,
      bytes: stats.evictionsByBytes,
      expired: stats.expirations,
      purged: stats.invalidations,
    },
    uncacheable: stats.uncacheable,
    coherence: {
      state,
      invalidations: coherenceCounts.invalidations,
      flushes: coherenceCounts.flushes,
      losses: coherenceCounts.losses,
    },
    nodeInternals: Object.fromEntries(INTERNAL_PARTS.map((part) => [part, instance.usesInternals(part)])),
    uptimeSeconds: Math.floor(uptimeSeconds),
  };
}
