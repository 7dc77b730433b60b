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

/** How soon the cache's lock is tried again. */
const RETRY_MS = 1;

/** The cache being kept in step with the writes to Redis. */
export interface WriteTracking {
  /** To be called when a node has redirected a thread's connection to the node's own address. */
  replace(node: ReplacedNode): void;
  stop(): void;
}

/**
 * Keeps the cache in step with the writes to Redis, as CACHE_COHERENCE has it; undefined: nothing does. It is to be
 * called before a thread answers: what is loaded before the news of writes comes must not be stored.
 */
export function trackWrites(settings: Settings, { lru, instance, clock }: ThreadContext): WriteTracking | undefined {
  if (settings.cache.coherence === 'ttl') return undefined;
  const logger = new Logger('Coherence');
  const state = new CoherenceState(instance);
  state.current = 'resync';
  const masters = new Masters(settings.redis);
  const coherence = new TrackingCoordinator({
    orders: new InvalidationQueue(lru, (work) => void setTimeout(work, RETRY_MS)),
    state,
    counts: new CoherenceCounts(instance),
    report: (entered, reason) => report(logger, entered, reason),
    now: () => Date.now(),
    clock,
    boundMs: STALENESS_BOUND_MS,
    lost: () => masters.refresh(),
  });
  const feeds = new MasterFeeds(coherence, ({ options, nodeId }) => new InvalidationFeed(options, settings, nodeId));
  masters.watch((all) => feeds.follow(all));
  return {
    replace: (node) => masters.replace(node),
    stop: () => {
      masters.close();
      coherence.stop();
    },
  };
}

function report(logger: Logger, state: CoherenceMode, reason = ''): void {
  switch (state) {
    case 'tracking':
      logger.log(`tracking: Redis tells of writes; what is held is true but for the last ${STALENESS_BOUND_MS} ms`);
      break;
    case 'resync':
      logger.warn(`resync: Redis does not tell of writes (${reason}); nothing is stored until it does`);
      break;
    case 'ttl':
      logger.warn(`ttl: Redis refuses to tell of writes (${reason}); what is held ends with its time`);
      break;
  }
}
