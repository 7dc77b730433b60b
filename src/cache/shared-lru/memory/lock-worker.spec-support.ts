/** A thread that acquires the lock for a task and ends. */
import { MessageChannel, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { SharedLock } from './shared-lock.ts';

/** Words of the test's memory that the lock does not use. */
export const Word = { COUNTER: 40, GO: 41, RELEASING: 42 } as const;

export interface LockOrders {
  readonly memory: SharedArrayBuffer;
  readonly thread: number;
  /**
   * `count`: increments under the lock, without atomics, once signalled. `hold`: holds the lock until signalled. `crash`:
   * exits while holding it. `be terminated`: holds it until terminated, while a callback that acquires it is pending.
   */
  readonly task: 'count' | 'hold' | 'crash' | 'be terminated';
  readonly rounds: number;
}

/** The spec imports this file as well, for the names above. */
if (!isMainThread) obey(workerData as LockOrders);

function obey({ memory, thread, task, rounds }: LockOrders): void {
  const words = new Int32Array(memory);
  const lock = new SharedLock(words, thread);
  switch (task) {
    case 'count':
      parentPort?.postMessage('ready');
      Atomics.wait(words, Word.GO, 0);
      for (let round = 0; round < rounds; round++) {
        lock.acquire();
        words[Word.COUNTER] += 1;
        lock.release();
      }
      return;
    case 'hold':
      lock.acquire();
      parentPort?.postMessage('held');
      Atomics.wait(words, Word.GO, 0);
      words[Word.RELEASING] = 1;
      lock.release();
      return;
    case 'crash':
      lock.acquire();
      return;
    case 'be terminated':
      for (let callback = 0; callback < 2; callback++) {
        const { port1, port2 } = new MessageChannel();
        port1.on('message', () => {
          lock.acquire();
          parentPort?.postMessage('held');
          for (;;) Atomics.wait(words, Word.GO, 0);
        });
        port2.postMessage('go');
      }
      return;
  }
}
