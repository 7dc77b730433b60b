import { randomFillSync, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from '@jest/globals';
import { seeded } from '../../../../test/support/random.ts';
import { monotonicClock } from '../clock.ts';
import { keysOfOneBucket, keysOfOneHash } from '../index/colliding-keys.spec-support.ts';
import { Header, type LruLimits, LruMemory } from '../memory/layout.ts';
import type { Lease } from '../cache-types.ts';
import { PURGED_AT_ONCE, SharedLru } from '../shared-lru.ts';
import { checkInvariants, entriesByRecency } from '../shared-memory.spec-support.ts';
import type { StallOrders } from './stalling-worker.spec-support.ts';
import type { TortureOrders, TortureReport } from './torture-worker.spec-support.ts';
import type { TurnsOrders } from './turns-worker.spec-support.ts';
import { Query } from '../../../redis/query.ts';

/** TORTURE_SECONDS sets the duration. */
const SECONDS = Number(process.env['TORTURE_SECONDS'] ?? 3);
const TIMEOUT_MS = SECONDS * 1000 + 180_000;
const THREADS = 3;

const LIMITS: LruLimits = {
  capacity: 40,
  maxBytes: 400_000,
  maxValueBytes: 38_000,
  maxLeases: 12,
  leaseMs: 2,
  staleMs: 3,
  hotKeys: true,
};
/** Some values are too large to be stored. */
const LARGEST_VALUE = 40_000;
const SEEDS = [0x0badcafe, 0x600df00d] as const;
const MAIN = 1;

/** Several times the capacity, most in one hash chain, and some that differ only beyond the bytes in their slots. */
const KEYS: readonly Buffer[] = [
  ...keysOfOneBucket(100, 1024, SEEDS),
  ...keysOfOneHash('short', SEEDS),
  ...keysOfOneHash('beyond the slot '.padEnd(160, '.'), SEEDS),
  ...Array.from({ length: 60 }, (_, i) => Buffer.from(`${'long'.repeat(i * 3)}:${i}`)),
];

/** The value of each key, and three queries of some of them, also of keys with the same hash. */
const QUERIES: TortureOrders['queries'] = KEYS.flatMap((_, key) =>
  (key % 5 === 0 || key > 99 ? ['', 'a', 'b', 'selector '.repeat(20)] : ['']).map((selector) => ({
    key,
    selector: Buffer.from(selector),
  })),
);

const LIMITS_OF_MANY_QUERIES: LruLimits = { ...LIMITS, capacity: 1000, maxLeases: 30 };
const KEYS_OF_MANY_QUERIES = keysOfOneHash('hash', SEEDS);
/** More than fit in the cache, and several times as many as one step of a purge ends. */
const MANY_QUERIES: TortureOrders['queries'] = Array.from({ length: 1200 }, (_, i) => ({
  key: i % 2,
  selector: Buffer.from(String(i)),
}));

/** TORTURE_SEED repeats the order of reads that a failure printed. */
const SEED = Number(process.env['TORTURE_SEED'] ?? randomInt(2 ** 31));

const workers: Worker[] = [];

/** Runs a file in a thread without Jest. */
function start(file: string, workerData: TortureOrders | StallOrders | TurnsOrders): Worker {
  const worker = new Worker(new URL(file, import.meta.url), { workerData, execArgv: [] });
  workers.push(worker);
  return worker;
}

/** Returns the last message of a thread that ends itself. */
async function reportOf(worker: Worker): Promise<TortureReport> {
  let report: unknown;
  worker.on('message', (message: unknown) => (report = message));
  await once(worker, 'exit');
  return report as TortureReport;
}

/** Returns the orders of all threads, with random bytes, so that no two queries have equal values. */
function torture(
  memory: LruMemory,
  { keys, queries, largestValue }: Pick<TortureOrders, 'keys' | 'queries' | 'largestValue'> = {
    keys: KEYS,
    queries: QUERIES,
    largestValue: LARGEST_VALUE,
  },
): Omit<TortureOrders, 'thread' | 'runMs'> {
  const noise = new SharedArrayBuffer(1024 * 1024);
  randomFillSync(new Uint8Array(noise));
  return {
    buffer: memory.buffer,
    keys,
    queries,
    noise,
    largestValue,
    stored: new SharedArrayBuffer(4 * keys.length),
    purged: new SharedArrayBuffer(4 * keys.length),
  };
}

/** Returns a lease on an uncached key. */
function leaseOf(lru: SharedLru, key: string): Lease {
  const found = lru.lookup(Query.get(Buffer.from(key)));
  if (found.kind !== 'miss') throw new Error(`${key}: ${found.kind}`);
  return found.lease;
}

describe('SharedLru under many threads', () => {
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.terminate()));
  });

  it(
    'never mixes the values of two queries, never serves a purged value, and counts everything once',
    async () => {
      const memory = LruMemory.reserve(LIMITS, SEEDS);
      const orders = torture(memory);
      const threads = Array.from({ length: THREADS }, (_, i) =>
        start('./torture-worker.spec-support.ts', { ...orders, thread: i + 2, runMs: SECONDS * 1000 }),
      );
      const reports = await Promise.all(threads.map(reportOf));

      checkInvariants(memory.buffer);
      const total = (name: keyof TortureReport): number => reports.reduce((sum, report) => sum + report[name], 0);
      const stats = SharedLru.attach(memory.buffer, MAIN, monotonicClock()).stats();
      expect(stats.hits + stats.misses + stats.collapsed).toBe(total('lookups'));
      expect(stats.hits).toBe(total('hits'));
      expect(stats.voidedFills).toBe(total('voided'));
      expect(stats.recoveries).toBe(0);
      // The run must have reached these events.
      expect(total('largeHits')).toBeGreaterThan(100 * SECONDS);
      expect(total('stale')).toBeGreaterThan(10 * SECONDS);
      for (const name of ['voidedFills', 'expirations', 'invalidations', 'expiredLeases', 'uncacheable'] as const) {
        expect({ [name]: stats[name] }).not.toEqual({ [name]: 0 });
      }
      expect(stats.evictionsByCapacity).toBeGreaterThan(0);
      expect(stats.evictionsByBytes).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  it(
    'purges keys with many queries in steps, and never serves a purged value',
    async () => {
      const memory = LruMemory.reserve(LIMITS_OF_MANY_QUERIES, SEEDS);
      const orders = torture(memory, { keys: KEYS_OF_MANY_QUERIES, queries: MANY_QUERIES, largestValue: 100 });
      const threads = Array.from({ length: THREADS }, (_, i) =>
        start('./torture-worker.spec-support.ts', { ...orders, thread: i + 2, runMs: SECONDS * 1000 }),
      );
      const reports = await Promise.all(threads.map(reportOf));

      checkInvariants(memory.buffer);
      const total = (name: keyof TortureReport): number => reports.reduce((sum, report) => sum + report[name], 0);
      const stats = SharedLru.attach(memory.buffer, MAIN, monotonicClock()).stats();
      expect(stats.hits + stats.misses + stats.collapsed).toBe(total('lookups'));
      expect(stats.voidedFills).toBe(total('voided'));
      expect(stats.voidedFills).toBeGreaterThan(0);
      // The run must have reached purges in steps.
      expect(Math.max(...reports.map(({ mostPurged }) => mostPurged))).toBeGreaterThan(PURGED_AT_ONCE);
    },
    TIMEOUT_MS,
  );

  it(
    'survives threads that are terminated anywhere, while others go on',
    async () => {
      const memory = LruMemory.reserve(LIMITS, SEEDS);
      const orders = torture(memory);
      const lru = SharedLru.attach(memory.buffer, MAIN, monotonicClock());
      const survivor = start('./torture-worker.spec-support.ts', { ...orders, thread: 2, runMs: SECONDS * 1000 });
      let over = false;
      const survived = Promise.allSettled([reportOf(survivor)]).finally(() => (over = true));
      for (let thread = 3; !over; thread++) {
        const victim = start('./torture-worker.spec-support.ts', { ...orders, thread, runMs: Infinity });
        await once(victim, 'message');
        // Lets the thread run for a while, not until an event.
        await new Promise((resolve) => setTimeout(resolve, thread % 8));
        await victim.terminate();
        // Busy if the surviving thread holds the lock at that moment.
        while (lru.recoverFrom(thread) === 'busy') await new Promise((resolve) => setImmediate(resolve));
      }
      expect(await survived).toMatchObject([{ status: 'fulfilled' }]);

      checkInvariants(memory.buffer);
    },
    TIMEOUT_MS,
  );

  it.each([
    ['fewer reads than fit in their rings', 60],
    ['many more', 3000],
  ])(
    'keeps the exact order of use when they read one after the other, %s',
    async (_, reads) => {
      const below = seeded(SEED);
      for (let repetition = 0; repetition < 3; repetition++) {
        const { buffer } = LruMemory.reserve(LIMITS, SEEDS);
        const lru = SharedLru.attach(buffer, MAIN, monotonicClock());
        const keys = KEYS.slice(0, LIMITS.capacity);
        for (const key of keys) lru.commit(leaseOf(lru, key.toString('latin1')), key, [1, 2, 3], 60_000);
        // Least recently used first.
        const order = new Set(keys.keys());
        const turns = Array.from({ length: reads }, () => ({
          thread: MAIN + 1 + below(THREADS),
          key: below(1 + below(keys.length)),
        }));
        for (const { key } of turns) {
          order.delete(key);
          order.add(key);
        }
        const shared = { buffer, keys, turns, taken: new SharedArrayBuffer(4) };
        const threads = Array.from({ length: THREADS }, (_, i) =>
          start('./turns-worker.spec-support.ts', { ...shared, thread: MAIN + 1 + i }),
        );
        await Promise.all(threads.map((thread) => once(thread, 'exit')));

        const expected = [...order].reverse().map((i) => keys[i].toString('latin1'));
        expect({ SEED, order: entriesByRecency(buffer) }).toEqual({ SEED, order: expected });
        // An eviction drains the rings.
        lru.commit(leaseOf(lru, 'one more'), Buffer.alloc(0), [1, 2, 3], 60_000);
        expect(entriesByRecency(buffer)).toEqual(['one more', ...expected.slice(0, -1)]);
        checkInvariants(buffer);
      }
    },
    TIMEOUT_MS,
  );

  it.each(['fill', 'lookup'] as const)(
    'is flushed and continues after a thread crashed in the middle of a %s',
    async (during) => {
      const { buffer } = LruMemory.reserve(LIMITS, SEEDS);
      const lru = SharedLru.attach(buffer, MAIN, monotonicClock());
      lru.commit(leaseOf(lru, 'held'), Buffer.from('value'), [1, 2, 3], 60_000);
      const before = leaseOf(lru, 'leased before');
      const dying = start('./stalling-worker.spec-support.ts', { buffer, thread: 2, during, key: 'k'.repeat(300) });
      await once(dying, 'message');
      await dying.terminate();
      expect(new Int32Array(buffer)[Header.LOCK]).toBe(2);
      expect(() => checkInvariants(buffer)).toThrow();

      expect(lru.recoverFrom(3)).toBe('busy');
      expect(lru.recoverFrom(2)).toBe('emptied');
      expect(lru.recoverFrom(2)).toBe('intact');

      checkInvariants(buffer);
      expect(lru.stats()).toMatchObject({ entries: 0, bytes: 0, leases: 0, recoveries: 1 });
      expect(lru.commit(before, Buffer.from('late'), [1, 2, 3], 60_000)).toBe('void');
      expect(lru.commit(leaseOf(lru, 'held'), Buffer.from('again'), [1, 2, 3], 60_000)).toBe('stored');
      expect(lru.lookup(Query.get(Buffer.from('held')))).toMatchObject({ kind: 'hit', value: Buffer.from('again') });
      checkInvariants(buffer);
    },
  );
});
