/** A worker of the benchmark: reads random keys all the time. */
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

/** Returns the key of a number: half of them begin with `a`. */
export function keyOf(i: number): string {
  return `${i % 2 === 0 ? 'a' : 'b'}:${String(i).padStart(KEY_BYTES - 2, '0')}`;
}

function run({ buffer, thread, entries, over }: HitsTask): void {
  const lru = SharedLru.attach(buffer, thread, monotonicClock());
  const hit = new HitBuffer();
  const keys = Buffer.from(Array.from({ length: entries }, (_, i) => keyOf(i)).join(''), 'latin1');
  const isOver = new Int32Array(over);
  parentPort?.postMessage('started');
  while (Atomics.load(isOver, 0) === 0) {
    const from = Math.floor(Math.random() * entries) * KEY_BYTES;
    lru.tryGetInto(keys, from, from + KEY_BYTES, hit);
  }
}

if (workerData !== null) run(workerData as HitsTask);
