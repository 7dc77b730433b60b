/** A worker of the benchmark: reads random keys all the time, and reports how long the longest read took, in milliseconds. */
import { parentPort, workerData } from 'node:worker_threads';
import { monotonicClock } from '../../src/cache/shared-lru/clock.ts';
import { HitBuffer } from '../../src/cache/shared-lru/hit-buffer.ts';
import { SharedLru } from '../../src/cache/shared-lru/shared-lru.ts';

export interface HitsTask {
  readonly buffer: SharedArrayBuffer;
  readonly thread: number;
  readonly entries: number;
  /** One word, not 0 once the reads must end. */
  readonly over: SharedArrayBuffer;
}

const KEY_BYTES = 12;
/** Reads that are not measured: V8 compiles the code during these. */
const WARM_UP_READS = 100_000;

/** Returns the key of a number: half of them begin with `a`. */
export function keyOf(i: number): string {
  return `${i % 2 === 0 ? 'a' : 'b'}:${String(i).padStart(KEY_BYTES - 2, '0')}`;
}

function run({ buffer, thread, entries, over }: HitsTask): void {
  const lru = SharedLru.attach(buffer, thread, monotonicClock());
  const hit = new HitBuffer();
  const keys = Buffer.from(Array.from({ length: entries }, (_, i) => keyOf(i)).join(''), 'latin1');
  const isOver = new Int32Array(over);
  let longestMs = 0;
  for (let reads = 0; Atomics.load(isOver, 0) === 0; reads++) {
    const from = Math.floor(Math.random() * entries) * KEY_BYTES;
    const before = performance.now();
    lru.tryGetInto(keys, from, from + KEY_BYTES, hit);
    if (reads > WARM_UP_READS) longestMs = Math.max(longestMs, performance.now() - before);
    if (reads === WARM_UP_READS) parentPort?.postMessage('started');
  }
  parentPort?.postMessage(longestMs);
}

if (workerData !== null) run(workerData as HitsTask);
