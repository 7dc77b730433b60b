import Sequencer from '@jest/test-sequencer';

/**
 * Specs that take longest, slowest first: a long one that starts last would leave the other cores idle. Jest itself knows
 * durations only from earlier runs, and a fresh clone has none.
 */
const SLOWEST = [
  'tracking/staleness.long',
  'cache/torture.long',
  'http/fast-path-equivalence.long',
  'http/hostile-clients',
  'cache/bounded-memory',
  'redis/sentinel',
  'browser/dashboard',
  'redis/cluster',
  'documentation/transcripts',
  'tracking/tracking.',
  'resp/resp.',
  'faults/process',
  'faults/connection',
  'operations/configuration',
  'tracking/tracking-nodes',
  'redis/acl',
  'redis/tls',
  'access/token-rotation',
  'faults/outage',
  'cache/limits',
  'resp/resp-hostile',
  'operations/drain',
  'redis/replaced-node',
  'cache/many-cold-keys',
  'faults/refusal',
  'http/fast-path',
  'cache/stale-if-error',
  'operations/health',
  'browser/api-page',
  'upstash/upstash-rest',
  'http/mget',
];

/** Runs the slowest specs first, then the others as Jest orders them. */
// eslint-disable-next-line no-restricted-syntax -- Jest loads the default export
export default class SlowestFirst extends Sequencer {
  sort(tests) {
    const rank = ({ path }) => {
      const index = SLOWEST.findIndex((name) => path.includes(`/test/${name}`));
      return index === -1 ? SLOWEST.length : index;
    };
    return [...super.sort(tests)].sort((a, b) => rank(a) - rank(b));
  }
}
