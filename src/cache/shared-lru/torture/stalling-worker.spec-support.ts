/** A thread that stops in the middle of a critical section, reports it, and waits to be terminated. */
import { parentPort, workerData } from 'node:worker_threads';
import { monotonicClock } from '../clock.ts';
import { Header } from '../memory/layout.ts';
import { SharedLru } from '../shared-lru.ts';

export interface StallOrders {
  readonly buffer: SharedArrayBuffer;
  readonly thread: number;
  /** `fill`: bytes are accounted for, nothing is written. `lookup`: a slot is allocated, its key not written. */
  readonly during: 'fill' | 'lookup';
  readonly key: string;
}

const orders = workerData as StallOrders;
const { buffer, thread } = orders;
const lru = SharedLru.attach(buffer, thread, monotonicClock());
const header = new Int32Array(buffer, 0, Header.LOCK + 1);

/** Bytes whose access stops the thread while it holds the lock. */
const trap = new Proxy(Buffer.from(orders.key), {
  get(target, property) {
    if (Atomics.load(header, Header.LOCK) === thread) {
      parentPort?.postMessage('stalled');
      for (;;);
    }
    const member: unknown = Reflect.get(target, property, target);
    return member;
  },
});

if (orders.during === 'lookup') {
  lru.lookup({ id: trap, selectorLength: 0 });
} else {
  const found = lru.lookup({ id: Buffer.from(orders.key), selectorLength: 0 });
  if (found.kind !== 'miss') throw new Error(`${orders.key} is cached`);
  lru.commit(found.lease, trap, [0, 0, 0], 1000);
}
