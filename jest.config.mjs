import process from 'node:process';
import { NODE_LINES, newestNode } from './deploy/local/newest-node.mjs';

/** Specs run as native ES modules, compiled by swc. @type {import('jest').Config} */
const common = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
          target: 'es2023',
        },
        module: { type: 'es6' },
      },
    ],
  },
};

/**
 * Specs that are about the fast path itself, or whose promise does not depend on who reads the request off the socket: Redis'
 * side, other protocols, pages, settings. To run them twice would take CI minutes, and find nothing.
 */
const NOT_WITHOUT_FAST_PATH = [
  'browser/.*',
  'cache/(?:bounded-memory|torture)',
  'delivery/.*',
  'documentation/.*',
  'faults/(?!outage).*',
  'http/(?:api-page|fast-path.*|hostile-clients|http-conformance|unwritten-responses)',
  'kubernetes/.*',
  'operations/(?:command-line|configuration|dashboard|health|settings)',
  'access/no-information-leak',
  'redis/(?:acl|redis-access|sentinel|tls)',
  'resp/(?!refused-commands).*',
  'tracking/(?:staleness|tracking-nodes)',
  'upstash/.*',
];

/** @type {import('jest').Config} */
const fastPathOff = {
  ...common,
  displayName: 'e2e-fast-path-off',
  testMatch: ['<rootDir>/test/**/*.e2e-spec.ts'],
  testPathIgnorePatterns: [`/test/(?:${NOT_WITHOUT_FAST_PATH.join('|')})\\.e2e-spec\\.ts$`],
  setupFiles: ['<rootDir>/test/support/fast-path-off.mjs'],
};

/** The contract of the protocols on the newest Node.js of each line, whose private parts may differ from those of ours. */
const onNewestNode = NODE_LINES.flatMap((line) => {
  const node = newestNode(line);
  if (node === undefined) return [];
  return {
    ...common,
    displayName: `e2e-node-${line}`,
    testMatch: ['cache/cached-get', 'http/fast-path', 'http/http-conformance', 'http/mget', 'resp/resp'].map(
      (name) => `<rootDir>/test/${name}.e2e-spec.ts`,
    ),
    setupFiles: ['<rootDir>/test/support/newest-node.mjs'],
    globals: { PROXY_NODE: node },
  };
});

export default {
  // Handles are traced, which makes hundreds of sockets slow.
  testTimeout: 60_000,
  // Proxies that run already are shared by all specs, and so are their caches.
  ...(process.env.PROXY_URL ? { maxWorkers: 1 } : {}),
  projects: [
    {
      ...common,
      displayName: 'unit',
      testMatch: ['src', 'test', 'bench'].map((folder) => `<rootDir>/${folder}/**/*.spec.ts`),
    },
    { ...common, displayName: 'e2e', testMatch: ['<rootDir>/test/**/*.e2e-spec.ts'] },
    // What is promised over HTTP is promised without the fast path as well; proxies that run already are as they are.
    ...(process.env.PROXY_URL ? [] : [fastPathOff, ...onNewestNode]),
  ],
};
