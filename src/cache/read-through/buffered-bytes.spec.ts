import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BufferBudget, pagesFor } from '../../instance/buffer-budget.ts';
import { BufferedBytes } from './buffered-bytes.ts';
import { bufferedBytes } from './buffered-bytes.spec-support.ts';
import { InstanceMemory } from '../../instance/instance-memory.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const MAX = 16 * MiB;
/** What threads may have taken for small memory without using it, and what rounding adds. */
const SLACK = 4 * 128 * KiB;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('buffered bytes', () => {
  const waiting = new Set<{ gone: boolean }>();
  const reader = (): { gone: boolean } => {
    const each = { gone: false };
    waiting.add(each);
    return each;
  };
  afterEach(() => {
    // Nobody waits beyond a test.
    for (const each of waiting) each.gone = true;
  });

  it('of all threads never exceed the limit, each memory counts once, and all that is taken is given back', () => {
    const sizes = fc.constantFrom(100, 5000, 64 * KiB, 64 * KiB + 1, 300 * KiB, 2 * MiB, 9 * MiB);
    const step = fc.record({ thread: fc.nat(3), size: sizes, event: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
        const instance = InstanceMemory.create();
        const threads = [0, 1, 2, 3].map((row) => bufferedBytes(instance, row, MAX));
        const held = threads.map((): ArrayBuffer[] => []);
        for (const { thread, size, event } of steps) {
          const own = held[thread];
          const known = own.at(event);
          if (event < 2 && known !== undefined) {
            // One more who holds it.
            expect(threads[thread].tryHold(known)).toBe(true);
            own.push(known);
          } else if (event < 6) {
            const memory = threads[thread].allocate(size);
            if (memory !== undefined) own.push(memory.buffer as ArrayBuffer);
          } else {
            const [memory] = own.splice(event % Math.max(1, own.length), 1);
            if (memory !== undefined) threads[thread].release(memory);
          }
          const bytes = held.flatMap((each) => [...new Set(each)]).reduce((sum, { byteLength }) => sum + byteLength, 0);
          expect(threads[0].total).toBe(bytes);
          expect(bytes).toBeLessThanOrEqual(MAX);
        }
        held.forEach((own, thread) => own.forEach((memory) => threads[thread].release(memory)));
        expect(threads[0].total).toBe(0);
        // All of it can be had again, but for what threads keep for small memory.
        const large = threads[0].allocate(MAX - SLACK);
        expect(large).toBeDefined();
      }),
      { numRuns: 100 },
    );
  });

  it('leave room for small values when large ones have taken their share', () => {
    const buffered = bufferedBytes(InstanceMemory.create(), 0, MAX);
    let large = 0;
    while (buffered.allocate(MiB) !== undefined) large++;
    expect(large).toBe(14);
    expect([buffered.hasRoom, buffered.allocate(KiB)?.length]).toEqual([true, KiB]);
  });

  it('may be one value that has the whole limit', () => {
    const buffered = bufferedBytes(InstanceMemory.create(), 0, MAX);
    const whole = buffered.allocate(MAX);
    expect(whole).toHaveLength(MAX);
    expect([buffered.hasRoom, buffered.allocate(MiB)]).toEqual([false, undefined]);
    buffered.release((whole as Buffer).buffer);
    expect(buffered.allocate(MiB)).toHaveLength(MiB);
  });

  it('are counted above the limit too, where memory cannot be done without, and nothing more is given out then', () => {
    const buffered = bufferedBytes(InstanceMemory.create(), 0, MAX);
    const memory = new ArrayBuffer(2 * MAX);
    buffered.hold(memory);
    expect([buffered.total, buffered.hasRoom, buffered.allocate(100)]).toEqual([2 * MAX, false, undefined]);
    buffered.release(memory);
    expect([buffered.total, buffered.hasRoom]).toEqual([0, true]);
  });

  it('that are passed on are held until the end of the turn, and by whoever holds them in it for longer', async () => {
    const buffered = bufferedBytes();
    const [kept, dropped] = [buffered.allocate(100), buffered.allocate(1000)] as [Buffer, Buffer];
    buffered.pass(kept.buffer);
    buffered.pass(dropped.buffer);
    await Promise.resolve();
    buffered.hold(kept.buffer);
    expect(buffered.total).toBe(1100);
    await turn();
    expect(buffered.total).toBe(100);
    buffered.release(kept.buffer);
    expect(buffered.total).toBe(0);
  });

  it('are waited for first come, first served, over all threads, and nobody goes past those who wait', async () => {
    const instance = InstanceMemory.create();
    const [here, there] = [0, 1].map((row) => bufferedBytes(instance, row, MAX));
    const first = here.allocate(12 * MiB) as Buffer;
    const order: string[] = [];
    const wait = async (name: string, buffered: BufferedBytes, bytes: number): Promise<void> => {
      const room = await buffered.wait(bytes, reader());
      order.push(name);
      expect(room).toBeDefined();
      expect(buffered.allocate(bytes, room)).toHaveLength(bytes);
    };
    const large = wait('large', there, 10 * MiB);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const small = wait('small', here, MiB);
    expect([here.waiting, here.allocate(MiB)]).toEqual([2, undefined]);
    here.release(first.buffer);
    await Promise.all([large, small]);
    expect([order, here.waiting]).toEqual([['large', 'small'], 0]);
  });

  it('are not waited for by readers who are gone, nor by more than may', async () => {
    const instance = InstanceMemory.create();
    const buffered = bufferedBytes(instance, 0, MAX);
    buffered.hold(new ArrayBuffer(MAX));
    const client = reader();
    const gone = buffered.wait(MiB, client);
    const others = Array.from({ length: 99 }, () => buffered.wait(MiB, client));
    expect(await buffered.wait(MiB, undefined)).toBeUndefined();
    client.gone = true;
    expect(await Promise.all([gone, ...others])).toEqual(Array.from({ length: 100 }, () => undefined));
    expect(buffered.waiting).toBe(0);
  });

  it('of a thread that has crashed are given back, as is its place among those who wait', async () => {
    const instance = InstanceMemory.create();
    const here = bufferedBytes(instance, 0, MAX);
    bufferedBytes(instance, 1, MAX).hold(new ArrayBuffer(100));
    const crashed = new BufferBudget(instance, 1, 4, MAX, 0);
    crashed.takeLarge(pagesFor(10 * MiB));
    crashed.noteWaiting(1, -1);
    const room = here.wait(12 * MiB, reader());
    expect([here.total, here.waiting]).toEqual([100, 2]);
    BufferedBytes.recoverFrom(instance, 1);
    expect(await room).toBeDefined();
    expect([here.total, here.waiting]).toEqual([0, 0]);
  });
});
