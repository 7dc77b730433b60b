/** A thread that takes the lock, as its orders say, and ends. */
import { MessageChannel, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { SharedLock } from './shared-lock.ts';

/** Words of the memory of the test that the lock leaves alone. */
export const Word = { COUNTER: 40, GO: 41, RELEASING: 42 } as const;

export interface LockOrders {
  readonly memory: SharedArrayBuffer;
  readonly thread: number;
  /**
   * `count`: counts under the lock, without atomics, when told to. `hold`: holds it until told to go on. `die`: ends
   * holding it. `be terminated`: holds it until it is terminated, while another callback that takes it is due.
   */
  readonly task: 'count' | 'hold' | 'die' | 'be terminated';
  readonly rounds: number;
}

/** The spec loads this file as well, for the names above. */
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
    case 'die':
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
