import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from '@jest/globals';
import { monotonicClock } from './clock.ts';
import { keysOfOneBucket, keysOfOneHash } from './memory/colliding-keys.spec-support.ts';
import { Header, type LruLimits, LruMemory } from './memory/layout.ts';
import type { Lease } from './cache-types.ts';
import { SharedLru } from './shared-lru.ts';
import { checkInvariants } from './shared-memory.spec-support.ts';
import type { StallOrders } from './stalling-worker.spec-support.ts';
import type { TortureOrders, TortureReport } from './torture-worker.spec-support.ts';

/** TORTURE_SECONDS makes the run longer. */
const SECONDS = Number(process.env['TORTURE_SECONDS'] ?? 3);
const TIMEOUT_MS = SECONDS * 1000 + 30_000;
const THREADS = 3;

const LIMITS: LruLimits = {
  capacity: 40,
  maxBytes: 400_000,
  maxValueBytes: 38_000,
  maxLeases: 12,
  leaseMs: 2,
  staleMs: 3,
};
/** Some of the values are larger than those that are stored. */
const LARGEST_VALUE = 40_000;
const SEEDS = [0x0badcafe, 0x600df00d] as const;
const MAIN = 1;

/** Several times the capacity, most in one hash chain, and some that differ only behind what lies in their slots. */
const KEYS: readonly Buffer[] = [
  ...keysOfOneBucket(100, 1024, SEEDS),
  ...keysOfOneHash('short', SEEDS),
  ...keysOfOneHash('beyond the slot '.padEnd(160, '.'), SEEDS),
  ...Array.from({ length: 60 }, (_, i) => Buffer.from(`${'long'.repeat(i * 3)}:${i}`)),
];

const workers: Worker[] = [];

/** Runs a file in a thread of its own, which knows nothing of Jest. */
function start(file: string, workerData: TortureOrders | StallOrders): Worker {
  const worker = new Worker(new URL(file, import.meta.url), { workerData, execArgv: [] });
  workers.push(worker);
  return worker;
}

/** The last thing that a thread says before it ends by itself. */
async function reportOf(worker: Worker): Promise<TortureReport> {
  let report: unknown;
  worker.on('message', (message: unknown) => (report = message));
  await once(worker, 'exit');
  return report as TortureReport;
}

/** Random values in random keys, so that the same bytes are never right for two of them. */
function torture(memory: LruMemory): Omit<TortureOrders, 'thread' | 'runMs'> {
  const noise = new SharedArrayBuffer(1024 * 1024);
  randomFillSync(new Uint8Array(noise));
  return {
    buffer: memory.buffer,
    keys: KEYS,
    noise,
    largestValue: LARGEST_VALUE,
    stored: new SharedArrayBuffer(4 * KEYS.length),
    purged: new SharedArrayBuffer(4 * KEYS.length),
  };
}

/** The lease of a key that is not held. */
function leaseOf(lru: SharedLru, key: string): Lease {
  const found = lru.lookup(Buffer.from(key));
  if (found.kind !== 'miss') throw new Error(`${key}: ${found.kind}`);
  return found.lease;
}

describe('SharedLru under many threads', () => {
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.terminate()));
  });

  it(
    'never mixes two values, never answers what was purged, and counts everything once',
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
      // It was torture, and not a walk in the park.
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
        // Not to wait for something: to let it get anywhere.
        await new Promise((resolve) => setTimeout(resolve, thread % 8));
        await victim.terminate();
        // Busy when the survivor holds the lock just then.
        while (lru.recoverFrom(thread) === 'busy') await new Promise((resolve) => setImmediate(resolve));
      }
      expect(await survived).toMatchObject([{ status: 'fulfilled' }]);

      checkInvariants(memory.buffer);
    },
    TIMEOUT_MS,
  );

  it.each(['fill', 'lookup'] as const)(
    'is emptied and goes on when a thread has died in the middle of a %s',
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
      expect(lru.lookup(Buffer.from('held'))).toMatchObject({ kind: 'hit', value: Buffer.from('again') });
      checkInvariants(buffer);
    },
  );
});
