import { NODE_LINES, newestNode } from './deploy/local/newest-node.mjs';
import { common, withoutFastPath } from './jest.config.mjs';

/**
 * Further specs that read keys over HTTP, and whose promises node:http must keep as well: limits, order, the end of connections.
 * Those of the HTTP contract run without the fast path in `make test`.
 */
const WITHOUT_FAST_PATH = [
  'cache/concurrent-clients',
  'cache/fixed-key-size',
  'cache/global-expiry',
  'cache/limits',
  'cache/lru-eviction',
  'cache/single-backing-instance',
  'faults/outage',
  'operations/drain',
  'operations/threads',
];

/** The contract of the protocols on the newest Node.js of each line, whose private parts may differ from those of ours. */
const onNewestNode = NODE_LINES.flatMap((line) => {
  const node = newestNode(line);
  if (node === undefined) return [];
  return {
    ...common,
    displayName: `long-node-${line}`,
    testMatch: ['cache/cached-get', 'http/fast-path', 'http/http-conformance', 'http/mget', 'resp/resp'].map(
      (name) => `<rootDir>/test/${name}.e2e-spec.ts`,
    ),
    setupFiles: ['<rootDir>/test/support/newest-node.mjs'],
    globals: { PROXY_NODE: node },
  };
});

/** Specs that take long: `make test-long`. */
export default {
  testSequencer: '<rootDir>/test/support/slowest-first.mjs',
  // Much more than any test takes, because the machine may be busy.
  testTimeout: 180_000,
  // Some keep a core busy all the time, or measure how long something takes.
  maxWorkers: '100%',
  projects: [
    { ...common, displayName: 'long', testMatch: ['<rootDir>/{bench,test}/**/*.long-spec.ts'] },
    {
      ...withoutFastPath,
      displayName: 'long-fast-path-off',
      testMatch: WITHOUT_FAST_PATH.map((name) => `<rootDir>/test/${name}.e2e-spec.ts`),
    },
    ...onNewestNode,
  ],
};
