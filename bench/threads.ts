/**
 * Measures one cache with several threads: hits per second and CPU time per hit with 1 and 2 threads, how long a hit holds
 * the lock, and the resulting utilisation of the lock with 8 threads. `npm run bench:threads`
 */
import { availableParallelism } from 'node:os';
import { once } from 'node:events';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { monotonicClock } from '../src/cache/shared-lru/clock.ts';
import { HitBuffer } from '../src/cache/shared-lru/hit-buffer.ts';
import { SharedLock } from '../src/cache/shared-lru/memory/shared-lock.ts';
import { SharedLru } from '../src/cache/shared-lru/shared-lru.ts';
import { measureHttp } from './http-threads.ts';
import { row } from './spread.ts';

const ENTRIES = 100_000;
const VALUE_BYTES = 100;
const KEY_BYTES = 12;
const RUN_MS = 2000;
const ROUNDS = 5;
const LIMITS = {
  capacity: ENTRIES,
  maxBytes: 2 ** 30,
  maxValueBytes: 2 ** 20,
  maxLeases: 1024,
  leaseMs: 1000,
  staleMs: 0,
};
/** Hits per second of one thread in the last table: with Express, with a lean HTTP server, and beyond. */
const RATES = [40_000, 150_000, 1_000_000];

interface WorkerTask {
  readonly buffer: SharedArrayBuffer;
  readonly thread: number;
  readonly runMs: number;
}

interface Report {
  readonly hits: number;
  readonly cpuMs: number;
  readonly wallMs: number;
}

if (isMainThread) await main();
else parentPort?.postMessage(read(workerData as WorkerTask));

async function main(): Promise<void> {
  const lru = SharedLru.create(LIMITS, 1, monotonicClock());
  fill(lru);
  console.log(
    `Of the cache alone: ${ENTRIES} entries of ${VALUE_BYTES} bytes, Zipf reads, ${availableParallelism()} cores, Node.js ${process.version}\n`,
  );
  console.log('| threads | hits/s | CPU time per hit |\n| --- | --- | --- |');
  for (const [threads, reports] of await rounds(lru)) {
    const rates = reports.map(({ hits, wallMs }) => hits / wallMs / 1000);
    const costs = reports.map(({ hits, cpuMs }) => (cpuMs * 1e6) / hits);
    console.log(row(threads, rates, 'M', costs, 'ns', 0));
  }
  const heldNs = lockHoldNs(lru);
  console.log(`\nA hit holds the lock for ${heldNs.toFixed(0)} ns.\n`);
  console.log('| hits/s of each thread | lock held, 8 threads |\n| --- | --- |');
  for (const rate of RATES)
    console.log(`| ${rate.toLocaleString('en')} | ${((8 * rate * heldNs) / 1e7).toFixed(0)} % |`);
  console.log();
  await measureHttp();
}

/** Runs all rounds, alternating the numbers of threads, so that other load on the machine affects all of them. */
async function rounds(lru: SharedLru): Promise<Map<number, Report[]>> {
  const results = new Map<number, Report[]>([
    [1, []],
    [2, []],
  ]);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [threads, reports] of results) {
      process.stderr.write(`round ${round + 1} of ${ROUNDS}, ${threads} thread(s)\n`);
      reports.push(await run(lru, threads));
    }
  }
  return results;
}

async function run(lru: SharedLru, threads: number): Promise<Report> {
  const workers = Array.from({ length: threads }, (_, i) => {
    const task: WorkerTask = { buffer: lru.buffer, thread: i + 2, runMs: RUN_MS };
    return new Worker(new URL(import.meta.url), { workerData: task });
  });
  const reports = await Promise.all(
    workers.map(async (worker) => {
      const exited = once(worker, 'exit');
      const [report] = (await once(worker, 'message')) as [Report];
      await exited;
      return report;
    }),
  );
  const hits = reports.reduce((sum, report) => sum + report.hits, 0);
  const cpuMs = reports.reduce((sum, report) => sum + report.cpuMs, 0);
  return { hits, cpuMs, wallMs: Math.max(...reports.map((report) => report.wallMs)) };
}

/** Reads cached keys for `runMs` milliseconds, in a worker thread. */
function read({ buffer, thread, runMs }: WorkerTask): Report {
  const lru = SharedLru.attach(buffer, thread, monotonicClock());
  const keys = zipfKeys(thread);
  const chunk = Buffer.alloc(KEY_BYTES);
  const hit = new HitBuffer();
  for (let i = 0; i < keys.length; i++) lru.tryGetInto(keyInto(chunk, keys[i]), 0, KEY_BYTES, hit);
  const cpu = process.threadCpuUsage();
  const start = performance.now();
  let hits = 0;
  for (let at = 0; performance.now() - start < runMs;) {
    for (let i = 0; i < 1000; i++, at = (at + 1) % keys.length) {
      if (lru.tryGetInto(keyInto(chunk, keys[at]), 0, KEY_BYTES, hit)) hits++;
    }
  }
  const { user, system } = process.threadCpuUsage(cpu);
  return { hits, cpuMs: (user + system) / 1000, wallMs: performance.now() - start };
}

function fill(lru: SharedLru): void {
  const value = Buffer.alloc(VALUE_BYTES, 'v');
  const key = Buffer.alloc(KEY_BYTES);
  for (let i = 0; i < ENTRIES; i++) {
    const found = lru.lookup(keyInto(key, i));
    if (found.kind === 'miss') lru.commit(found.lease, value, [1, 2, 3], 3_600_000);
  }
}

/** Returns how long a hit holds the lock in nanoseconds, without the cost of reading the clock. */
function lockHoldNs(lru: SharedLru): number {
  const [acquire, release] = ['acquire', 'release'].map(
    (name) => Reflect.get(SharedLock.prototype, name) as (this: SharedLock) => void,
  );
  const keys = zipfKeys(99);
  const chunk = Buffer.alloc(KEY_BYTES);
  let held = 0;
  let takenAt = 0;
  SharedLock.prototype.acquire = function (this: SharedLock) {
    acquire.call(this);
    takenAt = performance.now();
  };
  SharedLock.prototype.release = function (this: SharedLock) {
    held += performance.now() - takenAt;
    release.call(this);
  };
  try {
    const lock = new SharedLock(new Int32Array(new SharedArrayBuffer(64)), 1);
    const measure = (once: (i: number) => void): number => {
      for (let i = 0; i < keys.length; i++) once(i);
      held = 0;
      for (let i = 0; i < keys.length; i++) once(i);
      return (held * 1e6) / keys.length;
    };
    const copy = new HitBuffer();
    const hit = measure((i) => lru.tryGetInto(keyInto(chunk, keys[i]), 0, KEY_BYTES, copy));
    const nothing = measure(() => {
      lock.acquire();
      lock.release();
    });
    return hit - nothing;
  } finally {
    Object.assign(SharedLock.prototype, { acquire, release });
  }
}

function zipfKeys(seed: number): Int32Array {
  let state = seed;
  return Int32Array.from({ length: 500_000 }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const rank = Math.floor(ENTRIES ** (state / 2 ** 32));
    // Spreads the popular keys over the memory.
    return (rank * 7919) % ENTRIES;
  });
}

function keyInto(chunk: Buffer, key: number): Buffer {
  for (let at = KEY_BYTES - 1, rest = key; at >= 0; at--, rest = (rest / 10) | 0) chunk[at] = 0x30 + (rest % 10);
  return chunk;
}
