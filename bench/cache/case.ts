/** Measures one contestant with one shape once, in a process of its own. */
import { performance, PerformanceObserver } from 'node:perf_hooks';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { type Contestant, type ContestantName, contestant } from './contestants.ts';
import { type Requests, type Shape, Workload } from './workload.ts';

export interface Case {
  /** Space is measured in a process of its own, as earlier operations leave traces on the heap. */
  readonly kind: 'speed' | 'space';
  readonly name: ContestantName;
  readonly shape: Shape;
  /** Number of measured operations of each kind. */
  readonly operations: number;
}

export interface Speed {
  /** Operations per second. */
  readonly getInHand: number;
  readonly get: number;
  readonly getOut: number;
  readonly set: number;
  readonly missAndSet: number;
  /** Milliseconds. */
  readonly fullGc: number;
  readonly longestGc: number;
  readonly longestGap: number;
}

export interface Space {
  /** Resident bytes per entry, of a cache just filled, and after as many new keys as it has entries. */
  readonly filledBytes: number;
  readonly usedBytes: number;
}

/** Operations per tick of the event loop: about as many as requests may arrive in one tick, so that timers run. */
const BATCH = 1024;
const WARM_UP = 50_000;
const OUTGOING_BYTES = 64 * 1024;
/** Several small caches are created until they have this size in total, well above the memory of the process itself. */
const WEIGHABLE_BYTES = 128 * 1024 * 1024;
/** Every other operation is for a new key. */
const CHURN_PER_ENTRY = 2;
/** Observed entries are delivered a few ticks later. */
const OBSERVED_WITHIN_MS = 50;

async function measureSpeed({ name, shape, operations }: Case): Promise<Speed> {
  const workload = new Workload(shape);
  const { entries, valueBytes } = shape;
  const reads = workload.reads(operations);
  const half = operations >> 1;
  const fresh = workload.inOrder(entries, WARM_UP + 2 * half);
  await warmUp(name, shape);
  const cache = contestant(name, workload);
  await fill(cache, workload);
  verify(cache, workload, reads);

  cache.prepareKeys(reads);
  const getInHand = await warmRate(operations, (i) => cache.getPrepared(reads, i));
  cache.releaseKeys();
  const get = await warmRate(operations, (i) => cache.get(reads, i));
  const places = Math.ceil(OUTGOING_BYTES / valueBytes);
  const outgoing = Buffer.alloc(places * valueBytes);
  const getOut = await warmRate(operations, (i) => outgoing.set(cache.get(reads, i), (i % places) * valueBytes));
  await rate(WARM_UP, (i) => cache.set(fresh, i));
  const set = await rate(half, (i) => cache.set(fresh, WARM_UP + i));
  const missAndSet = await rate(half, (i) => cache.getOrSet(fresh, WARM_UP + half + i));
  const fullGc = forcedGc();
  const churn = workload.churn(operations);
  const { longestGc, longestGap } = await pauses(operations, (i) => cache.getOrSet(churn, i));
  return { getInHand, get, getOut, set, missAndSet, fullGc, longestGc, longestGap };
}

/** Measures the longest garbage collection, and the longest time between the ends of two operations. */
async function pauses(
  count: number,
  operation: (i: number) => void,
): Promise<{ readonly longestGc: number; readonly longestGap: number }> {
  let longestGc = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longestGc = Math.max(longestGc, duration);
  });
  observer.observe({ entryTypes: ['gc'] });
  let longestGap = 0;
  let last = performance.now();
  await rate(count, (i) => {
    operation(i);
    const now = performance.now();
    longestGap = Math.max(longestGap, now - last);
    last = now;
  });
  await setTimeout(OBSERVED_WITHIN_MS);
  observer.disconnect();
  return { longestGc, longestGap };
}

async function measureSpace({ name, shape }: Case): Promise<Space> {
  const workload = new Workload(shape);
  const { entries, keyBytes, valueBytes } = shape;
  const copies = Math.ceil(WEIGHABLE_BYTES / (entries * (keyBytes + valueBytes)));
  const churn = workload.churn(CHURN_PER_ENTRY * entries);
  // No warm-up: memory that it frees within the process would be reused without showing in the resident size.
  const before = resident();
  const caches: Contestant[] = [];
  while (caches.length < copies) {
    const cache = contestant(name, workload);
    await fill(cache, workload);
    caches.push(cache);
  }
  const perEntry = (): number => (resident() - before) / (copies * entries);
  const filledBytes = perEntry();
  for (const cache of caches) await rate(churn.numbers.length, (i) => cache.getOrSet(churn, i));
  return { filledBytes, usedBytes: perEntry() };
}

/** Lets V8 compile the code and grow the young generation before the measurement. */
async function warmUp(name: ContestantName, shape: Shape): Promise<void> {
  const small = new Workload({ ...shape, entries: 1000 });
  const cache = contestant(name, small);
  await fill(cache, small);
  const reads = small.reads(WARM_UP);
  cache.prepareKeys(small.reads(1000));
  const outgoing = Buffer.alloc(shape.valueBytes);
  await rate(WARM_UP, (i) => outgoing.set(cache.getPrepared(reads, i % 1000)));
  await rate(WARM_UP, (i) => outgoing.set(cache.get(reads, i)));
  const churn = small.churn(WARM_UP);
  await rate(WARM_UP, (i) => cache.getOrSet(churn, i));
}

async function fill(cache: Contestant, workload: Workload): Promise<void> {
  const { entries } = workload.shape;
  const step = Math.min(entries, WARM_UP);
  // In steps, as the names of all keys would add to the resident size.
  for (let first = 0; first < entries; first += step) {
    const keys = workload.inOrder(first, Math.min(step, entries - first));
    await rate(keys.numbers.length, (i) => cache.set(keys, i));
  }
}

/** Measures operations per second once the code is compiled; warms up with the last operations, so that the first are cold. */
async function warmRate(count: number, operation: (i: number) => void): Promise<number> {
  await rate(Math.min(count, WARM_UP), (i) => operation(count - 1 - i));
  return rate(count, operation);
}

/** Measures operations per second. */
async function rate(count: number, operation: (i: number) => void): Promise<number> {
  const start = performance.now();
  for (let done = 0; done < count;) {
    const until = Math.min(count, done + BATCH);
    for (; done < until; done++) operation(done);
    await setImmediate();
  }
  return (count / (performance.now() - start)) * 1000;
}

/** Measures a full garbage collection, in milliseconds, that finds little garbage but must visit all live objects. */
function forcedGc(): number {
  // Completes the sweeping of earlier collections first.
  for (let i = 0; i < 3; i++) collectGarbage();
  const start = performance.now();
  collectGarbage();
  return performance.now() - start;
}

/** Returns the resident memory of this process in bytes, after garbage collection. */
function resident(): number {
  collectGarbage();
  collectGarbage();
  return process.memoryUsage.rss();
}

function collectGarbage(): void {
  if (globalThis.gc === undefined) throw new Error('start node with --expose-gc');
  globalThis.gc();
}

/** Checks that the cache returns the values that were stored. */
function verify(cache: Contestant, workload: Workload, reads: Requests): void {
  for (let i = 0; i < 1000; i++) {
    if (!cache.get(reads, i).equals(workload.value(reads.numbers[i])))
      throw new Error('a value differs from the stored one');
  }
}

process.once('message', (testCase: Case) => {
  const measured: Promise<Speed | Space> = testCase.kind === 'speed' ? measureSpeed(testCase) : measureSpace(testCase);
  void measured.then((measures) => process.send?.(measures));
});
