/** A worker of the benchmark: reads keys for a given time, and loads the keys that are not cached. */
import { parentPort, workerData } from 'node:worker_threads';
import { type Build, loadBuild } from './build.ts';

export const KEY_BYTES = 12;
export const VALUE = Buffer.alloc(100, 'v');
const OPERATIONS = 200_000;
const WARM_UP = 300_000;
/** Operations between two readings of the clock. */
const BATCH = 200;

export interface ReaderTask {
  readonly root: string;
  readonly buffer: SharedArrayBuffer;
  readonly thread: number;
  readonly entries: number;
  /** Share of the reads whose key was never read before, 0 to 1. */
  readonly misses: number;
  readonly runMs: number;
  /** Whether to measure how long the lock is held, which costs time itself. */
  readonly timesLock: boolean;
  /** Two words: threads that are ready, and whether they may start. */
  readonly start: SharedArrayBuffer;
  /** Number of this thread's first new key: no thread has read it or a later one before. */
  readonly firstNew: number;
}

export interface ReaderReport {
  readonly operations: number;
  readonly missed: number;
  readonly cpuMs: number;
  readonly wallMs: number;
  /** Milliseconds for which this thread held the lock; NaN if not measured. */
  readonly heldMs: number;
}

/** Writes the key of a number. */
export function keyInto(chunk: Buffer, key: number): Buffer {
  for (let at = KEY_BYTES - 1, rest = key; at >= 0; at--, rest = Math.floor(rest / 10)) chunk[at] = 0x30 + (rest % 10);
  return chunk;
}

/** Numbers of the keys to read, in turn: Zipf-distributed over the entries, or -1 for a new key. */
function drawKeys({ entries, misses, thread }: ReaderTask): Int32Array {
  let state = thread;
  const random = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  return Int32Array.from({ length: OPERATIONS }, () => {
    if (random() < misses) return -1;
    // Spreads the popular keys over the memory.
    return (Math.floor(entries ** random()) * 7919) % entries;
  });
}

/** Sums up how long the lock is held, less what measuring it adds. */
function timeLock({ SharedLock }: Build): () => number {
  const [acquire, tryAcquire, release] = ['acquire', 'tryAcquire', 'release'].map(
    (name) => Reflect.get(SharedLock.prototype, name) as (this: unknown, attempts?: number) => boolean,
  );
  let heldMs = 0;
  let times = 0;
  let since = 0;
  Object.assign(SharedLock.prototype, {
    acquire(): void {
      acquire.call(this);
      since = performance.now();
    },
    tryAcquire(attempts?: number): boolean {
      const acquired = tryAcquire.call(this, attempts);
      since = performance.now();
      return acquired;
    },
    release(): void {
      heldMs += performance.now() - since;
      times++;
      release.call(this);
    },
  });
  const idle = new SharedLock(new Int32Array(new SharedArrayBuffer(64)), 1);
  for (let i = 0; i < WARM_UP; i++) {
    if (i === WARM_UP / 2) heldMs = times = 0;
    idle.acquire();
    idle.release();
  }
  const nothingMs = heldMs / times;
  heldMs = times = 0;
  return () => {
    const held = heldMs - times * nothingMs;
    heldMs = times = 0;
    return held;
  };
}

async function run(task: ReaderTask): Promise<ReaderReport> {
  const build = await loadBuild(task.root);
  const takeHeldMs = task.timesLock ? timeLock(build) : () => NaN;
  const lru = build.SharedLru.attach(task.buffer, task.thread, build.monotonicClock());
  const hit = new build.HitBuffer();
  const chunk = Buffer.alloc(KEY_BYTES);
  const keys = drawKeys(task);
  let next = task.firstNew;
  let missed = 0;
  const read = (from: number, count: number): void => {
    for (let i = from; i < from + count; i++) {
      const drawn = keys[i % OPERATIONS];
      keyInto(chunk, drawn < 0 ? next++ : drawn);
      if (lru.tryGetInto(chunk, 0, KEY_BYTES, hit)) continue;
      const found = lru.lookup(build.entryOf(chunk));
      if (found.kind !== 'miss') continue;
      missed++;
      lru.commit(found.lease, VALUE, [1, 2, 3], 3_600_000);
    }
  };
  read(0, WARM_UP);
  const start = new Int32Array(task.start);
  Atomics.add(start, 0, 1);
  Atomics.notify(start, 0);
  Atomics.wait(start, 1, 0);
  missed = 0;
  takeHeldMs();
  const cpu = process.threadCpuUsage();
  const since = performance.now();
  let operations = 0;
  while (performance.now() - since < task.runMs) {
    read(operations, BATCH);
    operations += BATCH;
  }
  const { user, system } = process.threadCpuUsage(cpu);
  const wallMs = performance.now() - since;
  return { operations, missed, cpuMs: (user + system) / 1000, wallMs, heldMs: takeHeldMs() };
}

if (parentPort !== null) parentPort.postMessage(await run(workerData as ReaderTask));
