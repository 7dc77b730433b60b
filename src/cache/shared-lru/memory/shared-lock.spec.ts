import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type LockOrders, Word } from './lock-worker.spec-support.ts';
import { SharedLock } from './shared-lock.ts';

const MAIN = 1;
describe('SharedLock', () => {
  const workers: Worker[] = [];
  let words: Int32Array<SharedArrayBuffer>;
  let lock: SharedLock;

  beforeEach(() => {
    words = new Int32Array(new SharedArrayBuffer(256));
    lock = new SharedLock(words, MAIN);
  });

  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.terminate()));
  });

  function start(thread: number, task: LockOrders['task'], rounds = 0): Worker {
    const workerData: LockOrders = { memory: words.buffer, thread, task, rounds };
    const worker = new Worker(new URL('./lock-worker.spec-support.ts', import.meta.url), { workerData, execArgv: [] });
    workers.push(worker);
    return worker;
  }

  function letGo(): void {
    Atomics.store(words, Word.GO, 1);
    Atomics.notify(words, Word.GO);
  }

  it('admits one thread at a time: no non-atomic increment is lost', async () => {
    const rounds = 300_000;
    const threads = [2, 3, 4].map((thread) => start(thread, 'count', rounds));
    await Promise.all(threads.map((thread) => once(thread, 'message')));
    const ends = threads.map((thread) => once(thread, 'exit'));
    // Started together; otherwise the first would be done before the last has started.
    letGo();
    await Promise.all(ends);
    expect(words[Word.COUNTER]).toBe(3 * rounds);
    expect(lock.holder).toBe(0);
  });

  it('blocks a thread until the holder releases it', async () => {
    const holder = start(2, 'hold');
    await once(holder, 'message');
    expect(lock.holder).toBe(2);
    letGo();
    lock.acquire();
    expect(words[Word.RELEASING]).toBe(1);
    expect(lock.holder).toBe(MAIN);
    lock.release();
    await once(holder, 'exit');
  });

  it('lets a waiting thread acquire it between the steps of a holder that gives way', async () => {
    const waiter = start(2, 'count', 1);
    await once(waiter, 'message');
    const end = once(waiter, 'exit');
    lock.acquire();
    letGo();
    let steps = 0;
    while (words[Word.COUNTER] === 0) {
      lock.release();
      lock.giveWay();
      lock.acquire();
      steps++;
    }
    lock.release();
    await end;
    expect(steps).toBeGreaterThan(0);
    expect(lock.holder).toBe(0);
  });

  it('can be seized from a thread that crashed holding it, and from no other', async () => {
    await once(start(2, 'crash'), 'exit');
    expect(lock.seizeFrom(3)).toBe(false);
    expect(lock.seizeFrom(2)).toBe(true);
    expect(lock.holder).toBe(MAIN);
    lock.release();
    expect(lock.seizeFrom(2)).toBe(false);
    expect(lock.holder).toBe(0);
  });

  it('ends a terminated thread that held it and has callbacks left', async () => {
    const thread = start(2, 'be terminated');
    await once(thread, 'message');
    await thread.terminate();
    expect(lock.holder).toBe(2);
    expect(lock.seizeFrom(2)).toBe(true);
  });

  it('throws for a thread that holds it already', () => {
    lock.acquire();
    expect(() => lock.acquire()).toThrow('this thread holds the lock already');
  });
});
