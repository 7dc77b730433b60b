import { Logger } from '@nestjs/common';
import { CoherenceCounts } from '../instance/coherence-counts.ts';
import { type CoherenceMode, CoherenceState } from '../instance/coherence-state.ts';
import type { ThreadContext } from '../instance/thread-context.ts';
import { InvalidationQueue } from './invalidation-queue.ts';
import { TrackingCoordinator } from './tracking-coordinator.ts';
import { MasterFeeds } from './master-feeds.ts';
import type { Settings } from '../config/settings.ts';
import { STALENESS_BOUND_MS } from './invalidation-connection.ts';
import { InvalidationFeed } from './invalidation-feed.ts';
import { Masters } from './masters.ts';
import type { ReplacedNode } from '../redis/cluster/replaced-node.ts';

/** Milliseconds between attempts to acquire the cache lock. */
const RETRY_MS = 1;

/** Tracking of the writes to Redis. */
export interface WriteTracking {
  /** Must be called when a node has redirected a thread's connection to the node's own address. */
  replace(node: ReplacedNode): void;
  stop(): void;
}

/**
 * Starts to track the writes to Redis; returns undefined with CACHE_COHERENCE=ttl. Must be called before a worker thread
 * serves requests: values loaded before tracking is active must not be stored.
 */
export function trackWrites(settings: Settings, { lru, instance, clock }: ThreadContext): WriteTracking | undefined {
  if (settings.cache.coherence === 'ttl') return undefined;
  const logger = new Logger('Coherence');
  const state = new CoherenceState(instance);
  state.current = 'resync';
  const masters = new Masters(settings.redis);
  const coordinator = new TrackingCoordinator({
    queue: new InvalidationQueue(lru, (work) => void setTimeout(work, RETRY_MS)),
    state,
    counts: new CoherenceCounts(instance),
    report: (entered, reason) => report(logger, entered, reason),
    now: () => Date.now(),
    clock,
    boundMs: STALENESS_BOUND_MS,
    lost: () => masters.refresh(),
  });
  const feeds = new MasterFeeds(coordinator, ({ options, nodeId }) => new InvalidationFeed(options, settings, nodeId));
  masters.watch((all) => feeds.follow(all));
  return {
    replace: (node) => masters.replace(node),
    stop: () => {
      masters.close();
      coordinator.stop();
    },
  };
}

function report(logger: Logger, state: CoherenceMode, reason = ''): void {
  switch (state) {
    case 'tracking':
      logger.log(`tracking active; cached values are at most ${STALENESS_BOUND_MS} ms stale`);
      break;
    case 'resync':
      logger.warn(`invalidation stream lost (${reason}); caching suspended`);
      break;
    case 'ttl':
      logger.warn(`CLIENT TRACKING rejected (${reason}); falling back to TTL expiry`);
      break;
  }
}
