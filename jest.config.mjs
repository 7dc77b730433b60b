import { availableParallelism } from 'node:os';
import process from 'node:process';

/** Specs run as native ES modules, compiled by swc. @type {import('jest').Config} */
export const common = {
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

/** Proxies start without the fast path. @type {import('jest').Config} */
export const withoutFastPath = { ...common, setupFiles: ['<rootDir>/test/support/fast-path-off.mjs'] };

/**
 * The HTTP contract: specs whose promises about requests for keys must hold both on the fast path and without it. They run
 * a second time with HTTP_FAST_PATH=off.
 */
export const HTTP_CONTRACT = [
  'access/access',
  'access/key-allowlist',
  'cache/cached-get',
  'cache/request-cache-control',
  'cache/stale-if-error',
  'http/cors',
  'http/documented-responses',
  'http/http-service',
  'http/ranges',
  'http/resources',
  'http/security-headers',
];

/**
 * Specs wait for time-outs, failovers and processes in half of their time, so that three on two cores leave little unused, and
 * some for the processes they start. At most as many as `freePort` shares its ports among.
 */
const WORKERS = Math.min(8, Math.ceil(1.5 * availableParallelism()));

/** Proxies that already run are shared by all specs, and so are their caches. */
const sharedProxies = process.env.PROXY_URL !== undefined && process.env.PROXY_URL !== '';

export default {
  testSequencer: '<rootDir>/test/support/slowest-first.mjs',
  // Much more than any test takes, because the machine may be busy.
  testTimeout: 180_000,
  maxWorkers: sharedProxies ? 1 : WORKERS,
  projects: [
    {
      ...common,
      displayName: 'unit',
      testEnvironment: '<rootDir>/test/support/no-open-handles.mjs',
      testMatch: ['src', 'test', 'bench'].map((folder) => `<rootDir>/${folder}/**/*.spec.ts`),
    },
    { ...common, displayName: 'e2e', testMatch: ['<rootDir>/test/**/*.e2e-spec.ts'] },
    ...(sharedProxies
      ? []
      : [
          {
            ...withoutFastPath,
            displayName: 'e2e-fast-path-off',
            testMatch: HTTP_CONTRACT.map((name) => `<rootDir>/test/${name}.e2e-spec.ts`),
          },
        ]),
  ],
};
