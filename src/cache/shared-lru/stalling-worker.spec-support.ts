/** A thread that gets stuck in the middle of a critical section, says so, and waits to be terminated. */
import { parentPort, workerData } from 'node:worker_threads';
import { monotonicClock } from './clock.ts';
import { Header } from './memory/layout.ts';
import { SharedLru } from './shared-lru.ts';

export interface StallOrders {
  readonly buffer: SharedArrayBuffer;
  readonly thread: number;
  /** `fill`: room has been made and accounted for, nothing written. `lookup`: a slot has been taken, its key not written. */
  readonly during: 'fill' | 'lookup';
  readonly key: string;
}

const orders = workerData as StallOrders;
const { buffer, thread } = orders;
const lru = SharedLru.attach(buffer, thread, monotonicClock());
const header = new Int32Array(buffer, 0, Header.LOCK + 1);

/** Bytes that stop whoever touches them while this thread holds the lock. */
const trap = new Proxy(Buffer.from(orders.key), {
  get(target, property) {
    if (Atomics.load(header, Header.LOCK) === thread && (orders.during === 'lookup' || property === 'subarray')) {
      parentPort?.postMessage('stalled');
      for (;;);
    }
    const member: unknown = Reflect.get(target, property, target);
    return member;
  },
});

if (orders.during === 'lookup') {
  lru.lookup(trap);
} else {
  const found = lru.lookup(Buffer.from(orders.key));
  if (found.kind !== 'miss') throw new Error(`${orders.key} is held`);
  lru.commit(found.lease, trap, [0, 0, 0], 1000);
}
