import { once } from 'node:events';
import { randomInt } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { expect, it } from '@jest/globals';
import { keysOfOneBucket, keysOfOneHash } from '../../src/cache/shared-lru/index/colliding-keys.spec-support.ts';
import { type LruLimits, LruMemory } from '../../src/cache/shared-lru/memory/layout.ts';
import { checkInvariants } from '../../src/cache/shared-lru/shared-memory.spec-support.ts';
import { describeOwn } from '../support/only-own.ts';
import type { UnlockedReadsReport, UnlockedReadsTask } from './unlocked-reads-worker.ts';

/** TORTURE_SECONDS makes the run longer: 600 for ten minutes. TORTURE_SEED repeats the actions of each thread. */
const SECONDS = Number(process.env.TORTURE_SECONDS ?? 8);
const SEED = Number(process.env.TORTURE_SEED ?? randomInt(2 ** 31));
const SHOW_MS = 10_000;

const SEEDS = [0x0badcafe, 0x600df00d] as const;
const KEYS: readonly Buffer[] = [
  ...keysOfOneBucket(4, 1024, SEEDS),
  ...keysOfOneHash('short', SEEDS),
  // They differ beyond the bytes in their slots.
  ...keysOfOneHash('beyond the slot '.padEnd(160, '.'), SEEDS),
];
/** The values of all keys. */
const GETS: UnlockedReadsTask['queries'] = KEYS.map((_, key) => ({ key, selector: Buffer.alloc(0) }));
/** Several queries of few keys, two of which have the same hash, in and beyond the bytes in the slot. */
const QUERIES: UnlockedReadsTask['queries'] = [3, 4, 5].flatMap((key) =>
  ['', 'a', 'b', 'selector '.repeat(20)].map((selector) => ({ key, selector: Buffer.from(selector) })),
);
const LIMITS: LruLimits = {
  capacity: 5,
  maxBytes: 60_000,
  maxValueBytes: 40_000,
  maxLeases: 8,
  leaseMs: 5,
  staleMs: 0,
  hotKeys: true,
};
/** In the slot; in few blocks; in many; the longest that is copied at once. */
const SMALL = [0, 4, 100, 100, 120, 128, 300, 1000, 4000, 16 * 1024];
const LARGE = [16 * 1024 + 4, 20_000, 36_000];
/** Two readers and three threads that change what they read. */
const ROLES: readonly UnlockedReadsTask['role'][] = ['read', 'change', 'read', 'change', 'change'];
const OBJECT_ROLES: readonly UnlockedReadsTask['role'][] = ['read objects', 'change', 'read objects', 'change'];

describeOwn(
  `reads without the lock, ${SECONDS} s, while other threads change the same few slots, seed ${SEED},`,
  () => {
    it.each([
      ['of small values', ROLES, GETS, SMALL],
      ['of large values too', OBJECT_ROLES, GETS, [...SMALL, ...LARGE]],
      ['of several queries of a key', ROLES, QUERIES, SMALL],
      ['of several queries of a key, with large values too', OBJECT_ROLES, QUERIES, [...SMALL, ...LARGE]],
    ])(
      '%s, return the bytes that belong to the query, never those of a removed generation',
      async (name, roles, queries, sizes) => {
        const memory = LruMemory.reserve({ ...LIMITS, maxThreads: roles.length }, SEEDS);
        const over = new SharedArrayBuffer(4);
        const shared = {
          buffer: memory.buffer,
          keys: KEYS,
          queries,
          sizes,
          over,
          stored: new SharedArrayBuffer(4 * KEYS.length),
          removed: new SharedArrayBuffer(4 * KEYS.length),
        };
        const reports: UnlockedReadsReport[] = [];
        const total = (what: keyof UnlockedReadsReport): number =>
          reports.reduce((sum, report) => sum + report[what], 0);
        const workers = roles.map((role, i) => {
          const workerData: UnlockedReadsTask = { ...shared, role, thread: i + 1, seed: SEED + i };
          const worker = new Worker(new URL('./unlocked-reads-worker.ts', import.meta.url), {
            workerData,
            execArgv: [],
          });
          worker.on('message', (report: UnlockedReadsReport) => (reports[i] = report));
          return worker;
        });
        const showProgress = (): void => {
          process.stderr.write(
            `${name}: ${total('hits')} hits, ${total('discarded')} discarded, ${total('changes')} changes\n`,
          );
        };
        const progress = setInterval(showProgress, SHOW_MS);
        const timer = setTimeout(() => Atomics.store(new Int32Array(over), 0, 1), SECONDS * 1000);
        try {
          await Promise.all(workers.map((worker) => once(worker, 'exit')));
        } finally {
          clearInterval(progress);
          clearTimeout(timer);
          await Promise.all(workers.map((worker) => worker.terminate()));
        }

        checkInvariants(memory.buffer);
        showProgress();
        expect(total('hits')).toBeGreaterThan(100 * SECONDS);
        // The run must have reached the race.
        if (roles === ROLES) expect(total('discarded')).toBeGreaterThan(0);
      },
      SECONDS * 1000 + 60_000,
    );
  },
);
