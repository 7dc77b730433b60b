import Sequencer from '@jest/test-sequencer';

/**
 * Specs that take longest, slowest first: a long one that starts last would leave the other cores idle. Jest itself knows
 * durations only from earlier runs, and a fresh clone has none.
 */
const SLOWEST = [
  'tracking/staleness.long',
  'cache/unlocked-reads.long',
  'http/fast-path-equivalence.long',
  'cache/torture.long',
  'fleet/theory.long',
  'fleet/cold-start.long',
  'http/hostile-clients',
  'redis/sentinel',
  'documentation/transcripts',
  'cache/bounded-memory',
  'browser/dashboard',
  'redis/rotation',
  'resp/resp.',
  'redis/cluster.',
  'redis/replicas-sentinel',
  'tracking/tracking.',
  'resp/client-tracking',
  'resp/queries',
  'faults/process',
  'redis/acl',
  'redis/cluster-queries',
  'redis/redis-reader',
  'shared-lru/shared-lru.model',
  'shared-lru.torture',
  'operations/configuration',
  'faults/connection',
  'faults/refusal',
  'faults/queries',
  'tracking/tracking-nodes',
  'tracking/purge-channel',
  'tracking/invalidation-feed',
  'redis/replicas-cluster',
  'redis/tls',
  'access/token-rotation',
  'cache/many-cold-keys',
  'cache/variants.',
  'cache/limits',
  'faults/under-load',
  'faults/outage',
  'operations/drain',
  'operations/warmup',
  'operations/health',
  'tls/reload',
  'cache/concurrent-clients',
  'redis/replaced-node',
  'cache/stale-if-error',
  'http/fast-path.',
  'browser/api-page',
  'browser/ops-port',
  'upstash/upstash-rest',
  'http/mget.',
];

/** Runs the slowest specs first, then the others as Jest orders them. */
// eslint-disable-next-line no-restricted-syntax -- Jest loads the default export
export default class SlowestFirst extends Sequencer {
  sort(tests) {
    const rank = ({ path }) => {
      const index = SLOWEST.findIndex((name) => path.includes(`/${name}`));
      return index === -1 ? SLOWEST.length : index;
    };
    return [...super.sort(tests)].sort((a, b) => rank(a) - rank(b));
  }
}
