/** One case, in a process of its own: one contestant and one shape, measured once. */
import { performance, PerformanceObserver } from 'node:perf_hooks';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { type Contestant, type ContestantName, contestant } from './contestants.ts';
import { type Requests, type Shape, Workload } from './workload.ts';

export interface Case {
  /** Space is measured in a process of its own, as what is done before leaves its traces on the heap. */
  readonly kind: 'speed' | 'space';
  readonly name: ContestantName;
  readonly shape: Shape;
  /** How often each operation is done while it is measured. */
  readonly operations: number;
}

export interface Speed {
  /** Operations a second. */
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
  /** Resident bytes an entry, of a cache just filled, and after as many new keys as it has entries. */
  readonly filledBytes: number;
  readonly usedBytes: number;
}

/** Operations before the event loop has a turn, as many as requests might come in with one: timers need their turns. */
const TURN = 1024;
const WARM_UP = 50_000;
const OUTGOING_BYTES = 64 * 1024;
/** Of small caches there are several, until what they hold stands out against what a process takes anyway. */
const WEIGHABLE_BYTES = 128 * 1024 * 1024;
/** Every other is of a new key. */
const CHURN_PER_ENTRY = 2;
/** What is observed is delivered a few turns of the event loop later. */
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

  cache.takeInHand(reads);
  const getInHand = await warmRate(operations, (i) => cache.getInHand(reads, i));
  cache.letGo();
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

/** The longest garbage collection, and the longest time from the end of one operation to that of the next. */
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
  // No warming up: memory that it gave back to the process would be taken again, unseen.
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

/** Has the code compiled and the young generation grown, so that neither counts as the cache's. */
async function warmUp(name: ContestantName, shape: Shape): Promise<void> {
  const small = new Workload({ ...shape, entries: 1000 });
  const cache = contestant(name, small);
  await fill(cache, small);
  const reads = small.reads(WARM_UP);
  cache.takeInHand(small.reads(1000));
  const outgoing = Buffer.alloc(shape.valueBytes);
  await rate(WARM_UP, (i) => outgoing.set(cache.getInHand(reads, i % 1000)));
  await rate(WARM_UP, (i) => outgoing.set(cache.get(reads, i)));
  const churn = small.churn(WARM_UP);
  await rate(WARM_UP, (i) => cache.getOrSet(churn, i));
}

async function fill(cache: Contestant, workload: Workload): Promise<void> {
  const { entries } = workload.shape;
  const step = Math.min(entries, WARM_UP);
  // The names of all keys at once would be resident, too.
  for (let first = 0; first < entries; first += step) {
    const keys = workload.inOrder(first, Math.min(step, entries - first));
    await rate(keys.numbers.length, (i) => cache.set(keys, i));
  }
}

/** Operations a second, once the code is compiled: by the last of them, which have cooled down by their turn. */
async function warmRate(count: number, operation: (i: number) => void): Promise<number> {
  await rate(Math.min(count, WARM_UP), (i) => operation(count - 1 - i));
  return rate(count, operation);
}

/** Operations a second. */
async function rate(count: number, operation: (i: number) => void): Promise<number> {
  const start = performance.now();
  for (let done = 0; done < count;) {
    const until = Math.min(count, done + TURN);
    for (; done < until; done++) operation(done);
    await setImmediate();
  }
  return (count / (performance.now() - start)) * 1000;
}

/** Milliseconds of a full garbage collection that finds next to no garbage: it has to visit what is held. */
function forcedGc(): number {
  // What the ones before leave to be swept counts as theirs.
  for (let i = 0; i < 3; i++) collectGarbage();
  const start = performance.now();
  collectGarbage();
  return performance.now() - start;
}

/** Resident bytes of this process, with no garbage in it. */
function resident(): number {
  collectGarbage();
  collectGarbage();
  return process.memoryUsage.rss();
}

function collectGarbage(): void {
  if (globalThis.gc === undefined) throw new Error('node has to be started with --expose-gc');
  globalThis.gc();
}

/** A cache that answers fast and wrong wins nothing. */
function verify(cache: Contestant, workload: Workload, reads: Requests): void {
  for (let i = 0; i < 1000; i++) {
    if (!cache.get(reads, i).equals(workload.value(reads.numbers[i])))
      throw new Error('a value is not what was stored');
  }
}

process.once('message', (orders: Case) => {
  const measured: Promise<Speed | Space> = orders.kind === 'speed' ? measureSpeed(orders) : measureSpace(orders);
  void measured.then((measures) => process.send?.(measures));
});
