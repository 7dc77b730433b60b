import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { InstanceMemory, InstanceWord, RowWord } from '../../instance/instance-memory.ts';
import { type Admission, LoadLimiter, type LoadLimits } from './load-limiter.ts';

const LIMITS: LoadLimits = { maxConcurrentLoads: 2, maxQueuedLoads: 3, queueTimeoutMs: 1000 };

let memory: InstanceMemory;
let gates: LoadLimiter[];

function start(limits: LoadLimits, threads: number): void {
  memory = InstanceMemory.create();
  gates = Array.from({ length: threads }, (_, row) => new LoadLimiter(memory, row, row + 1, limits));
}

beforeEach(() => start(LIMITS, 2));

const loads = (): number => memory.words[InstanceWord.LOADS];
const waiting = (): number => memory.words[InstanceWord.WAITING_LOADS];
/** Turns of the event loop after which what has not happened does not happen. */
const MOST_TURNS = 500;
/** What is to happen may take longer on a busy machine: a thread is woken by way of the system. */
const LONGEST_MS = 10_000;
const turn = (): Promise<void> => new Promise(setImmediate);

function enterAtOnce(gate: LoadLimiter): void {
  expect(gate.acquire()).toBe('entered');
}

/** Whether a load is not let in. */
async function isWaiting(entry: Admission | Promise<Admission>): Promise<boolean> {
  for (let turns = 0; turns < MOST_TURNS; turns++) {
    await turn();
    const now = await Promise.race([Promise.resolve(entry), Promise.resolve('still waiting')]);
    if (now !== 'still waiting') return false;
  }
  return true;
}

describe('the gate for loads', () => {
  it('lets in as many as there may be, from all threads together, makes others wait, and refuses the rest', () => {
    expect(gates[0].acquire()).toBe('entered');
    expect(gates[1].acquire()).toBe('entered');
    const queue = [gates[0].acquire(), gates[1].acquire(), gates[0].acquire()];
    for (const entry of queue) expect(entry).toBeInstanceOf(Promise);
    expect(gates[0].acquire()).toBe('full');
    expect(gates[1].acquire()).toBe('full');
    expect(loads()).toBe(2);
    for (let i = 0; i < 2 + queue.length; i++) gates[i % 2].release();
  });

  it('gives a place that falls free to the waiting threads in turn, each in the order of its own', async () => {
    enterAtOnce(gates[0]);
    enterAtOnce(gates[0]);
    const first = gates[0].acquire();
    const second = gates[0].acquire();
    const elsewhere = gates[1].acquire();
    gates[0].release();
    expect(await first).toBe('entered');
    expect([await isWaiting(second), await isWaiting(elsewhere)]).toEqual([true, true]);
    gates[0].release();
    expect(await elsewhere).toBe('entered');
    expect(await isWaiting(second)).toBe(true);
    gates[1].release();
    expect(await second).toBe('entered');
    gates[0].release();
    gates[0].release();
    expect([loads(), waiting()]).toEqual([0, 0]);
  });

  it('lets nobody wait longer than the deadline', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'performance'] });
    try {
      enterAtOnce(gates[0]);
      enterAtOnce(gates[0]);
      const late = gates[0].acquire();
      jest.advanceTimersByTime(LIMITS.queueTimeoutMs);
      expect(await late).toBe('expired');
      expect(waiting()).toBe(0);
      gates[0].release();
      gates[0].release();
      expect(gates[1].acquire()).toBe('entered');
      gates[1].release();
    } finally {
      jest.useRealTimers();
    }
  });

  it('gives the places of a thread that died to those who wait, and forgets who waited there', async () => {
    enterAtOnce(gates[0]);
    enterAtOnce(gates[0]);
    void gates[0].acquire();
    const survivor = gates[1].acquire();
    expect(gates[1].recoverFrom(0, 1)).toBe(true);
    expect(await survivor).toBe('entered');
    expect([loads(), waiting()]).toEqual([1, 0]);
    gates[1].release();
    expect(loads()).toBe(0);
  });

  it('is free again when its holder died, and never waits for one that may be dead', () => {
    Atomics.store(memory.words, 0, 1);
    expect(gates[1].recoverFrom(3, 99)).toBe(false);
    expect(gates[1].recoverFrom(0, 1)).toBe(true);
    expect(gates[1].acquire()).toBe('entered');
    gates[1].release();
  });

  it('never lets in more than may be, and keeps no place free while somebody waits', async () => {
    const command = fc.record({
      thread: fc.integer({ min: 0, max: 2 }),
      act: fc.constantFrom('enter', 'leave', 'die'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 60 }), async (commands) => {
        const limits = { maxConcurrentLoads: 2, maxQueuedLoads: 4, queueTimeoutMs: 60_000 };
        start(limits, 3);
        let owner = 3;
        const inside = [0, 0, 0];
        const generation = [0, 0, 0];
        const owners = [1, 2, 3];
        for (const { thread, act } of commands) {
          if (act === 'enter') {
            const born = generation[thread];
            const admit = (entry: Admission): void => {
              if (entry === 'entered' && generation[thread] === born) inside[thread]++;
            };
            const entry = gates[thread].acquire();
            if (entry instanceof Promise) void entry.then(admit);
            else admit(entry);
          } else if (act === 'leave' && inside[thread] > 0) {
            inside[thread]--;
            gates[thread].release();
          } else if (act === 'die') {
            generation[thread]++;
            inside[thread] = 0;
            const survivor = gates[(thread + 1) % 3];
            expect(survivor.recoverFrom(thread, owners[thread])).toBe(true);
            gates[thread] = new LoadLimiter(memory, thread, (owners[thread] = ++owner), limits);
          }
          const total = (): number => inside[0] + inside[1] + inside[2];
          // A place goes to another thread by way of the system, which takes its time.
          const settled = (): boolean => loads() === total() && (total() === 2 || waiting() === 0);
          const end = performance.now() + LONGEST_MS;
          for (let turns = 0; turns < 2 || (performance.now() < end && !settled()); turns++) {
            await turn();
            expect(total()).toBeLessThanOrEqual(2);
          }
          expect(loads()).toBe(total());
          expect(memory.sum(RowWord.HELD)).toBe(total());
          expect(memory.sum(RowWord.WAITING)).toBe(waiting());
          if (total() < 2) expect(waiting()).toBe(0);
        }
      }),
      { numRuns: 200 },
    );
  });
});
