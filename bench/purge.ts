/**
 * Measures the queries of one key in the cache: look-ups, stores and purges with more and more of them, memory, and purges of
 * 100,000 fields of a hash, many times a second, while other threads read them. `npm run bench:purge`
 */
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { availableParallelism, cpus } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { EntryId, PurgeProgress } from '../src/cache/shared-lru/cache-types.ts';
import { monotonicClock } from '../src/cache/shared-lru/clock.ts';
import { HitBuffer } from '../src/cache/shared-lru/hit-buffer.ts';
import { SharedLru } from '../src/cache/shared-lru/shared-lru.ts';
import { Query } from '../src/redis/query.ts';
import { InvalidationQueue } from '../src/tracking/invalidation-queue.ts';
import { limitsFor } from './cache-limits.ts';
import { LIFETIME_MS, type ReaderTask, VALUE, fieldOf, hget } from './purge/reader.ts';
import { spread } from './spread.ts';

const FIELDS = 100_000;
const ROUNDS = 3;
const READS = 300_000;
const READERS = Math.max(1, availableParallelism() - 1);
const PURGES_PER_SECOND = 1000;
const PURGING_MS = 3000;
const MAIN = 100;
const KEY = 'hash';

const clock = monotonicClock();
const hit = new HitBuffer();

console.log(`${cpus().length} cores, Node.js ${process.version}; medians of ${ROUNDS} rounds (minimum–maximum).\n`);
reportMemory();
reportSizes();
await reportPurges();

function reportSizes(): void {
  console.log('CPU time with 100,000 entries of 100 bytes in all:\n');
  console.log('| entries of each key | look-up, ns | store, ns | purge of a key, for each entry, ns |');
  console.log('| --- | --- | --- | --- |');
  for (const perKey of [1, 100, 10_000, FIELDS]) {
    const keys = FIELDS / perKey;
    const nameOf = (i: number): string => `hash:${String(i % keys).padStart(6, '0')}`;
    const queries = Array.from({ length: FIELDS }, (_, i) => hget(nameOf(i), Math.floor(i / keys)));
    // Ids as a received request has them, in one buffer; all have the same length.
    const ids = Buffer.concat(queries.map(({ id }) => id));
    const [{ id, selectorLength }] = queries;
    const times: { reads: number[]; stores: number[]; purges: number[] } = { reads: [], stores: [], purges: [] };
    // The first round is a warm-up.
    for (let round = 0; round <= ROUNDS; round++) {
      const lru = SharedLru.create(limitsFor(FIELDS), MAIN, clock);
      const stores = timed(FIELDS, () => {
        for (const query of queries) store(lru, query);
      });
      const order = Uint32Array.from({ length: READS }, () => Math.floor(Math.random() * FIELDS));
      const reads = timed(READS, () => {
        for (const i of order) {
          const from = i * id.length;
          if (!lru.tryGetInto(ids, from, from + id.length, hit, selectorLength)) throw new Error('not cached');
        }
      });
      const purges = timed(FIELDS, () => {
        for (let key = 0; key < keys; key++) lru.purge(queries[key].key);
      });
      if (lru.stats().entries !== 0) throw new Error('entries are left');
      if (round === 0) continue;
      times.reads.push(reads);
      times.stores.push(stores);
      times.purges.push(purges);
    }
    const cells = [times.reads, times.stores, times.purges].map((values) => spread(values, 0));
    console.log(`| ${perKey.toLocaleString('en')} | ${cells.join(' | ')} |`);
  }
}

function reportMemory(): void {
  const cases: readonly (readonly [string, (i: number) => Query])[] = [
    // The heap grows for the first one.
    ['', (i) => Query.get(Buffer.from(`${KEY}..HGET..${fieldOf(i)}`))],
    ['GET', (i) => Query.get(Buffer.from(`${KEY}..HGET..${fieldOf(i)}`))],
    ['HGET of one hash', (i) => hget(KEY, i)],
    ['HGET of a hash each', (i) => hget(i.toString(36).padStart(KEY.length, '0'), 0)],
  ];
  const sizes = cases.map(([name, queryOf]) => {
    const entries = 5 * FIELDS;
    const [{ id: first, selectorLength }] = [queryOf(0)];
    const ids = Buffer.alloc(entries * first.length);
    for (let i = 0; i < entries; i++) ids.set(queryOf(i).id, i * first.length);
    const lru = SharedLru.create(limitsFor(entries), MAIN, clock);
    const id = { id: Buffer.alloc(first.length), selectorLength };
    const before = process.memoryUsage().rss;
    for (let i = 0; i < entries; i++) {
      ids.copy(id.id, 0, i * first.length, (i + 1) * first.length);
      store(lru, id);
    }
    return { name, lru, bytes: (process.memoryUsage().rss - before) / entries };
  });
  const cells = sizes.slice(1).map(({ name, bytes }) => `${name} ${Math.round(bytes)} B`);
  console.log(`Resident for each of 500,000 entries that fit in their slots: ${cells.join(', ')}.\n`);
}

async function reportPurges(): Promise<void> {
  const lru = SharedLru.create({ ...limitsFor(2 * FIELDS), maxThreads: READERS }, MAIN, clock);
  for (let field = 0; field < FIELDS; field++) store(lru, hget(KEY, field));
  const over = new SharedArrayBuffer(4);
  const reads = new SharedArrayBuffer(4 * MAIN);
  const workers = Array.from({ length: READERS }, (_, i) => {
    const workerData: ReaderTask = { buffer: lru.buffer, thread: i + 1, key: KEY, fields: FIELDS, over, reads };
    return new Worker(new URL('./purge/reader.ts', import.meta.url), { workerData });
  });
  const readsSoFar = (): number => new Int32Array(reads).reduce((sum, count) => sum + count, 0);
  while (new Int32Array(reads).filter((count) => count > 0).length < READERS) await setImmediate();

  const steps: number[] = [];
  const purged: number[] = [];
  const queue = new InvalidationQueue(
    {
      tryPurge: (key: Uint8Array, progress: PurgeProgress) => {
        const start = performance.now();
        const step = lru.tryPurge(key, progress);
        if (step !== 'locked') steps.push(performance.now() - start);
        if (step === 'done') purged.push(progress.purged);
        return step;
      },
      tryFlush: () => {
        throw new Error('too many purges were pending');
      },
      tryExpireAll: () => true,
      trustUntil: () => undefined,
    },
    { retry: (work) => void setTimeout(work, 1), next: (work) => void globalThis.setImmediate(work) },
  );
  const purge = (): Promise<number> => {
    const start = performance.now();
    return new Promise((resolve) => queue.purge(Buffer.from(KEY), () => resolve(performance.now() - start)));
  };
  const rate = async (work: () => Promise<void>): Promise<number> => {
    const [from, start] = [readsSoFar(), performance.now()];
    await work();
    return ((readsSoFar() - from) / (performance.now() - start)) * 1000;
  };
  const wait = async (ms: number): Promise<void> => {
    for (const start = performance.now(); performance.now() - start < ms;) await setImmediate();
  };

  const undisturbed = await rate(() => wait(1000));
  const first = await purge();
  const firstSteps = steps.splice(0);
  const [firstPurged] = purged.splice(0);
  await wait(500);
  const durations: Promise<number>[] = [];
  const disturbed = await rate(async () => {
    const start = performance.now();
    for (let i = 0; i < (PURGES_PER_SECOND * PURGING_MS) / 1000; i++) {
      await wait(start + (i * 1000) / PURGES_PER_SECOND - performance.now());
      durations.push(purge());
    }
    await Promise.all(durations);
  });
  const later = await Promise.all(durations);
  Atomics.store(new Int32Array(over), 0, 1);
  await Promise.all(workers.map((worker) => once(worker, 'exit')));

  console.log(
    `\nThe main thread purges a hash, while other threads (${READERS}) read random fields of it, and store what is not cached:\n`,
  );
  console.log('| | entries ended | from invalidation to end, ms | duration of a step, which holds the lock, ms |');
  console.log('| --- | --- | --- | --- |');
  const line = (name: string, ended: number, ms: number, step: number): void =>
    console.log(`| ${name} | ${ended.toLocaleString('en')} | ${ms.toFixed(2)} | ${step.toFixed(3)} |`);
  line(`first purge, ${firstSteps.length} steps, of which the median`, firstPurged, first, quantile(firstSteps, 0.5));
  for (const [name, share] of [
    [`${later.length} purges, ${PURGES_PER_SECOND}/s: median`, 0.5],
    ['– 99th percentile', 0.99],
    ['– maximum', 1],
  ] as const) {
    line(name, quantile(purged, share), quantile(later, share), quantile(steps, share));
  }
  console.log(`\nReads: ${inMillions(undisturbed)} M/s before, ${inMillions(disturbed)} M/s during the purges.`);
}

function store(lru: SharedLru, query: EntryId): void {
  const found = lru.lookup(query);
  if (found.kind === 'miss') lru.commit(found.lease, VALUE, [1, 2, 3], LIFETIME_MS);
}

/** Returns the nanoseconds of CPU time of each of `count` operations that `work` does. */
function timed(count: number, work: () => void): number {
  const start = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(start);
  return ((user + system) * 1000) / count;
}

function quantile(values: readonly number[], share: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor(share * (values.length - 1))];
}

function inMillions(rate: number): string {
  return (rate / 1e6).toFixed(2);
}
