import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { InstanceMemory, InstanceWord, RowWord } from '../../instance/instance-memory.ts';
import { type Admission, LoadLimiter, type LoadLimits } from './load-limiter.ts';

/** No load times out unless a spec advances the clock, however busy the machine is. */
const LIMITS: LoadLimits = { maxConcurrentLoads: 2, maxQueuedLoads: 3, queueTimeoutMs: 60_000 };

let memory: InstanceMemory;
let limiters: LoadLimiter[];

function start(limits: LoadLimits, threads: number): void {
  memory = InstanceMemory.create();
  limiters = Array.from({ length: threads }, (_, row) => new LoadLimiter(memory, row, row + 1, limits));
}

beforeEach(() => start(LIMITS, 2));

const loads = (): number => memory.words[InstanceWord.LOADS];
const waiting = (): number => memory.words[InstanceWord.WAITING_LOADS];
/** Number of ticks after which an expected event counts as absent. */
const MAX_TICKS = 500;
/** Maximum milliseconds to wait for an expected event: the operating system wakes threads, which takes long on a busy machine. */
const MAX_WAIT_MS = 10_000;
const tick = (): Promise<void> => new Promise(setImmediate);

function acquireImmediately(limiter: LoadLimiter): void {
  expect(limiter.acquire()).toBe('admitted');
}

/** Whether a load is still queued. */
async function isWaiting(admission: Admission | Promise<Admission>): Promise<boolean> {
  for (let ticks = 0; ticks < MAX_TICKS; ticks++) {
    await tick();
    const now = await Promise.race([Promise.resolve(admission), Promise.resolve('still waiting')]);
    if (now !== 'still waiting') return false;
  }
  return true;
}

/** Empties the queue of a thread's limiter, which would otherwise go on listening in this process after its thread "crashed". */
async function endListening(thread: number): Promise<void> {
  const granted = InstanceMemory.word(thread, RowWord.PERMITS_GRANTED);
  Atomics.add(memory.words, granted, memory.words[InstanceMemory.word(thread, RowWord.QUEUED_LOADS)]);
  Atomics.notify(memory.words, granted);
  while (Atomics.load(memory.words, granted) !== 0) await tick();
}

describe('LoadLimiter', () => {
  it('admits loads up to the limit of all threads, queues more, and rejects the rest', () => {
    expect(limiters[0].acquire()).toBe('admitted');
    expect(limiters[1].acquire()).toBe('admitted');
    const queue = [limiters[0].acquire(), limiters[1].acquire(), limiters[0].acquire()];
    for (const admission of queue) expect(admission).toBeInstanceOf(Promise);
    expect(limiters[0].acquire()).toBe('queue-full');
    expect(limiters[1].acquire()).toBe('queue-full');
    expect(loads()).toBe(2);
    for (let i = 0; i < 2 + queue.length; i++) limiters[i % 2].release();
  });

  it('hands a released permit to the waiting threads round robin, first come, first served within a thread', async () => {
    acquireImmediately(limiters[0]);
    acquireImmediately(limiters[0]);
    const first = limiters[0].acquire();
    const second = limiters[0].acquire();
    const otherThread = limiters[1].acquire();
    limiters[0].release();
    expect(await first).toBe('admitted');
    expect([await isWaiting(second), await isWaiting(otherThread)]).toEqual([true, true]);
    limiters[0].release();
    expect(await otherThread).toBe('admitted');
    expect(await isWaiting(second)).toBe(true);
    limiters[1].release();
    expect(await second).toBe('admitted');
    limiters[0].release();
    limiters[0].release();
    expect([loads(), waiting()]).toEqual([0, 0]);
  });

  it('rejects a load that is queued for longer than the timeout', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'performance'] });
    try {
      acquireImmediately(limiters[0]);
      acquireImmediately(limiters[0]);
      const queued = limiters[0].acquire();
      jest.advanceTimersByTime(LIMITS.queueTimeoutMs);
      expect(await queued).toBe('queue-timeout');
      expect(waiting()).toBe(0);
      limiters[0].release();
      limiters[0].release();
      expect(limiters[1].acquire()).toBe('admitted');
      limiters[1].release();
    } finally {
      jest.useRealTimers();
    }
  });

  it('hands the permits of a crashed thread to waiting threads and removes its own waiters', async () => {
    acquireImmediately(limiters[0]);
    acquireImmediately(limiters[0]);
    void limiters[0].acquire();
    const survivor = limiters[1].acquire();
    expect(limiters[1].recoverFrom(0, 1)).toBe(true);
    expect(await survivor).toBe('admitted');
    expect([loads(), waiting()]).toEqual([1, 0]);
    limiters[1].release();
    expect(loads()).toBe(0);
  });

  it('releases the lock of a crashed holder and never waits for a lock whose holder may have crashed', () => {
    Atomics.store(memory.words, 0, 1);
    expect(limiters[1].recoverFrom(3, 99)).toBe(false);
    expect(limiters[1].recoverFrom(0, 1)).toBe(true);
    expect(limiters[1].acquire()).toBe('admitted');
    limiters[1].release();
  });

  it('never exceeds the limit, and leaves no permit free while a load is queued', async () => {
    const command = fc.record({
      thread: fc.integer({ min: 0, max: 2 }),
      action: fc.constantFrom('acquire', 'release', 'crash'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 60 }), async (commands) => {
        const limits = { maxConcurrentLoads: 2, maxQueuedLoads: 4, queueTimeoutMs: 60_000 };
        start(limits, 3);
        let owner = 3;
        const admitted = [0, 0, 0];
        const generation = [0, 0, 0];
        const owners = [1, 2, 3];
        for (const { thread, action } of commands) {
          if (action === 'acquire') {
            const createdIn = generation[thread];
            const admit = (admission: Admission): void => {
              if (admission === 'admitted' && generation[thread] === createdIn) admitted[thread]++;
            };
            const admission = limiters[thread].acquire();
            if (admission instanceof Promise) void admission.then(admit);
            else admit(admission);
          } else if (action === 'release' && admitted[thread] > 0) {
            admitted[thread]--;
            limiters[thread].release();
          } else if (action === 'crash') {
            generation[thread]++;
            admitted[thread] = 0;
            await endListening(thread);
            const survivor = limiters[(thread + 1) % 3];
            expect(survivor.recoverFrom(thread, owners[thread])).toBe(true);
            limiters[thread] = new LoadLimiter(memory, thread, (owners[thread] = ++owner), limits);
          }
          const total = (): number => admitted[0] + admitted[1] + admitted[2];
          // A permit reaches another thread by a wake-up of the operating system, which takes a while.
          const settled = (): boolean => loads() === total() && (total() === 2 || waiting() === 0);
          const end = performance.now() + MAX_WAIT_MS;
          for (let ticks = 0; ticks < 2 || (performance.now() < end && !settled()); ticks++) {
            await tick();
            expect(total()).toBeLessThanOrEqual(2);
          }
          expect(loads()).toBe(total());
          expect(memory.sum(RowWord.PERMITS_HELD)).toBe(total());
          expect(memory.sum(RowWord.QUEUED_LOADS)).toBe(waiting());
          if (total() < 2) expect(waiting()).toBe(0);
        }
      }),
      { numRuns: 200 },
    );
  });
});
