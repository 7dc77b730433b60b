import { afterEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { until } from '../../../test/support/processes.ts';
import { BufferBudget, pagesFor } from '../../instance/buffer-budget.ts';
import { BufferedBytes, type Reservation } from './buffered-bytes.ts';
import { bufferedBytes } from './buffered-bytes.spec-support.ts';
import { InstanceMemory } from '../../instance/instance-memory.ts';
import { RawReplyReader } from '../../redis/ioredis-internals/raw-reply-reader.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const MAX = 16 * MiB;
/** Bytes that threads may reserve for small allocations without using them, and rounding. */
const SLACK = 4 * 128 * KiB;

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('BufferedBytes', () => {
  const waiting = new Set<{ disconnected: boolean }>();
  const readClient = (): { disconnected: boolean } => {
    const each = { disconnected: false };
    waiting.add(each);
    return each;
  };
  afterEach(() => {
    // End all waits of the test.
    for (const each of waiting) each.disconnected = true;
  });

  it('never exceeds the limit over all threads, charges each allocation once, and returns to zero', () => {
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
            // Another reference.
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
        // All of the budget is available again, except for the steps that threads keep for small allocations.
        const large = threads[0].allocate(MAX - SLACK);
        expect(large).toBeDefined();
      }),
      { numRuns: 100 },
    );
  });

  it('leaves room for small values when large values have used up their share', () => {
    const buffered = bufferedBytes(InstanceMemory.create(), 0, MAX);
    let large = 0;
    while (buffered.allocate(MiB) !== undefined) large++;
    expect(large).toBe(14);
    expect([buffered.hasRoom, buffered.allocate(KiB)?.length]).toEqual([true, KiB]);
  });

  it('admits a single value that uses the whole limit', () => {
    const buffered = bufferedBytes(InstanceMemory.create(), 0, MAX);
    const all = buffered.allocate(MAX);
    expect(all).toHaveLength(MAX);
    expect([buffered.hasRoom, buffered.allocate(MiB)]).toEqual([false, undefined]);
    buffered.release((all as Buffer).buffer);
    expect(buffered.allocate(MiB)).toHaveLength(MiB);
  });

  it('charges indispensable memory beyond the limit, and admits nothing else meanwhile', () => {
    const buffered = bufferedBytes(InstanceMemory.create(), 0, MAX);
    const memory = new ArrayBuffer(2 * MAX);
    buffered.hold(memory);
    expect([buffered.total, buffered.hasRoom, buffered.allocate(100)]).toEqual([2 * MAX, false, undefined]);
    buffered.release(memory);
    expect([buffered.total, buffered.hasRoom]).toEqual([0, true]);
  });

  it('holds passed memory until the end of the tick, or longer if the receiver holds it in the meantime', async () => {
    const buffered = bufferedBytes();
    const [kept, dropped] = [buffered.allocate(100), buffered.allocate(1000)] as [Buffer, Buffer];
    buffered.releaseAfterTick(kept.buffer);
    buffered.releaseAfterTick(dropped.buffer);
    await Promise.resolve();
    buffered.hold(kept.buffer);
    expect(buffered.total).toBe(1100);
    await tick();
    expect(buffered.total).toBe(100);
    buffered.release(kept.buffer);
    expect(buffered.total).toBe(0);
  });

  it('charges joined memory instead of its parts, by its length', () => {
    const sizes = fc.array(fc.integer({ min: 64 * KiB + 1, max: MiB }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(sizes, fc.double({ min: 0, max: 1, noNaN: true }), (all, share) => {
        const buffered = bufferedBytes(InstanceMemory.create(), 0, MAX);
        const parts = all.map((size, index) => buffered.allocate(size)?.fill(index) as Buffer);
        const bytes = Buffer.concat(parts);
        const length = bytes.length - Math.floor(share * (all.at(-1) ?? 0));
        const joined = buffered.join(parts, length);
        expect([joined.equals(bytes.subarray(0, length)), buffered.total]).toEqual([true, length]);
        buffered.release(joined.buffer);
        expect([buffered.total, buffered.allocate(MAX)?.length]).toEqual([0, MAX]);
      }),
      { numRuns: 10 },
    );
  });

  it('has room for a reply of unknown length in a reservation of its length, even if that is the whole limit', async () => {
    for (const elements of [1, 3, 15]) {
      const bulk = `$${MiB}\r\n${'x'.repeat(MiB)}\r\n`;
      const reply = Buffer.from(`*${elements}\r\n${bulk.repeat(elements)}`);
      const buffered = bufferedBytes(InstanceMemory.create(), 0, reply.length);
      const reservation = await buffered.reserve(reply.length, readClient());
      if (reservation === undefined) throw new Error('nothing is reserved');
      const reader = new RawReplyReader(MAX);
      for (let at = 0; at < reply.length; at += 50_000) {
        const chunk = reply.subarray(at, at + 50_000);
        if (reader.pending) reader.continue(chunk);
        else reader.begin(chunk, 0, reservation);
      }
      expect(Buffer.isBuffer(reader.reply) && reader.reply.equals(reply)).toBe(true);
      expect([buffered.total, reservation.reservedBytes]).toEqual([reply.length, 0]);
      reader.release();
      await tick();
      expect([buffered.total, buffered.allocate(reply.length)?.length]).toEqual([0, reply.length]);
    }
  });

  it('serves waiting reads first come, first served, over all threads, and never lets a read overtake them', async () => {
    const instance = InstanceMemory.create();
    const [one, other] = [0, 1].map((row) => bufferedBytes(instance, row, MAX));
    const first = one.allocate(12 * MiB) as Buffer;
    const order: string[] = [];
    const wait = async (name: string, buffered: BufferedBytes, bytes: number): Promise<void> => {
      const reservation = await buffered.reserve(bytes, readClient());
      order.push(name);
      expect(reservation).toBeDefined();
      expect(buffered.allocate(bytes, reservation)).toHaveLength(bytes);
    };
    const large = wait('large', other, 10 * MiB);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const small = wait('small', one, MiB);
    expect([one.waiting, one.allocate(MiB)]).toEqual([2, undefined]);
    one.release(first.buffer);
    await Promise.all([large, small]);
    expect([order, one.waiting]).toEqual([['large', 'small'], 0]);
  });

  it('makes clients whose reads wait drop their buffered replies, including replies buffered during the wait', async () => {
    const buffered = bufferedBytes(InstanceMemory.create(), 0, MAX);
    const replies: ArrayBuffer[] = [];
    const buffer = (): void => {
      const reply = new ArrayBuffer(5 * MiB);
      buffered.hold(reply);
      replies.push(reply);
    };
    const client = Object.assign(readClient(), {
      dropWaitingReplies: () => replies.splice(0).forEach((reply) => buffered.release(reply)),
    });
    const other = new ArrayBuffer(8 * MiB);
    buffered.hold(other);
    buffer();
    const reservation = buffered.reserve(12 * MiB, client);
    expect(buffered.total).toBe(8 * MiB);
    buffer();
    buffered.release(other);
    expect(await reservation).toBeDefined();
  });

  it('ends the wait of disconnected clients, and rejects reads beyond the maximum number of waiting reads', async () => {
    const instance = InstanceMemory.create();
    const buffered = bufferedBytes(instance, 0, MAX);
    buffered.hold(new ArrayBuffer(MAX));
    const client = readClient();
    const withdrawn = buffered.reserve(MiB, client);
    const others = Array.from({ length: 99 }, () => buffered.reserve(MiB, client));
    expect(await buffered.reserve(MiB, undefined)).toBeUndefined();
    client.disconnected = true;
    expect(await Promise.all([withdrawn, ...others])).toEqual(Array.from({ length: 100 }, () => undefined));
    expect(buffered.waiting).toBe(0);
  });

  it('ends the wait of clients that have closed their sending side, and lets none of them wait', async () => {
    const buffered = bufferedBytes(InstanceMemory.create(), 0, MAX);
    buffered.hold(new ArrayBuffer(MAX));
    const client = Object.assign(readClient(), { mayBeClosed: false });
    const withdrawn = buffered.reserve(MiB, client);
    client.mayBeClosed = true;
    expect([await withdrawn, await buffered.reserve(MiB, client), buffered.waiting]).toEqual([undefined, undefined, 0]);
  });

  it('releases what a client has reserved when it disconnects, although its load is in flight', async () => {
    const instance = InstanceMemory.create();
    const [one, other] = [0, 1].map((row) => bufferedBytes(instance, row, MAX));
    const client = readClient();
    const reservation = await one.reserve(14 * MiB, client);
    if (reservation === undefined) throw new Error('nothing is reserved');
    const next = other.reserve(14 * MiB, readClient());
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect([other.waiting, reservation.reservedBytes]).toEqual([1, 14 * MiB]);
    client.disconnected = true;
    expect(await next).toBeDefined();
    expect([reservation.reservedBytes, reservation.allocate(MiB)]).toEqual([0, undefined]);
    one.releaseUnused(reservation);
    expect(other.waiting).toBe(0);
  });

  it('reserves memory for at most 8 MiB of loads at once, or for one that is longer, first come, first served', async () => {
    const buffered = bufferedBytes(InstanceMemory.create(), 0, 16 * MAX);
    const order: string[] = [];
    const wait = async (name: string, bytes: number, client = readClient()): Promise<() => void> => {
      const reservation = await buffered.reserveForLoad(bytes, client);
      order.push(reservation === undefined ? `not ${name}` : name);
      return () => reservation && buffered.releaseUnused(reservation);
    };
    const first = await wait('3 MiB', 3 * MiB);
    const second = buffered.tryReserveForLoad(5 * MiB, readClient());
    if (second === undefined) throw new Error('nothing is reserved');
    const gone = readClient();
    const [third, , last] = [wait('20 MiB', 20 * MiB), wait('gone', MiB, gone), wait('1 MiB', MiB)];
    gone.disconnected = true;
    first();
    await until('the wait of the client that is gone ends', () => order.length > 1 || undefined);
    // They do not wait for memory: other reads may be granted it.
    expect([order, buffered.waiting]).toEqual([['3 MiB', 'not gone'], 0]);
    expect(buffered.tryReserveForLoad(100, readClient())).toBeUndefined();
    expect(await buffered.reserve(20 * MiB, readClient())).toBeDefined();
    buffered.releaseUnused(second);
    (await third)();
    (await last)();
    expect(order).toEqual(['3 MiB', 'not gone', '20 MiB', '1 MiB']);
    expect(buffered.tryReserveForLoad(8 * MiB, readClient())).toBeDefined();
  });

  it('drops the buffered replies of clients whose reads wait for the loads of others', async () => {
    const buffered = bufferedBytes(InstanceMemory.create(), 0, MAX);
    const held = new ArrayBuffer(8 * MiB);
    const client = Object.assign(readClient(), { dropWaitingReplies: () => buffered.release(held) });
    const other = buffered.reserveForLoad(8 * MiB, readClient());
    expect(await other).toBeDefined();
    buffered.hold(held);
    const blocked = buffered.reserveForLoad(MiB, client);
    expect(buffered.total).toBe(0);
    buffered.releaseUnused((await other) as Reservation);
    expect(await blocked).toBeDefined();
  });

  it('lets the only large value exceed the limit after a second if small allocations stay, and no second one', async () => {
    let now = 0;
    const buffered = bufferedBytes(InstanceMemory.create(), 0, MAX, () => now);
    const small = Array.from({ length: 20 }, () => new ArrayBuffer(60 * KiB));
    for (const each of small) buffered.hold(each);
    const polled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30));
    const granted: string[] = [];
    const wait = async (name: string): Promise<void> => {
      const reservation = await buffered.reserve(MAX, readClient());
      if (reservation === undefined) return;
      granted.push(name);
      expect(buffered.allocate(MAX, reservation)).toHaveLength(MAX);
    };
    void wait('first');
    void wait('second');
    now = 999;
    await polled();
    expect(granted).toEqual([]);
    now = 1000;
    await until('the first is granted', () => granted.length > 0 || undefined);
    now = 60_000;
    await polled();
    expect([granted, buffered.total]).toEqual([['first'], MAX + 20 * 60 * KiB]);
  });

  it('loses no memory and no waiting read, and grants in order, whatever clients and loads do', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'performance'] });
    const sizes = fc.constantFrom(100, 300 * KiB, 3 * MiB, 5 * MiB, 9 * MiB, MAX);
    const kinds = fc.constantFrom('read', 'load', 'load', 'allocate', 'end', 'free', 'close', 'disconnect', 'poll');
    const steps = fc.array(fc.record({ kind: kinds, thread: fc.nat(1), size: sizes, pick: fc.nat(99) }), {
      ...{ maxLength: 90, size: 'max' },
    });
    const property = fc.asyncProperty(steps, async (all) => {
      const instance = InstanceMemory.create();
      const threads = [0, 1].map((row) => bufferedBytes(instance, row, MAX, () => 0));
      const clients: { disconnected: boolean; mayBeClosed: boolean }[] = [];
      const granted: { thread: number; reservation: Reservation }[] = [];
      const held: { thread: number; memory: ArrayBufferLike }[] = [];
      /** Numbers of the last read and of the last load that each thread has granted. */
      const last = threads.map(() => ({ read: -1, load: -1 }));
      let pending = 0;
      const wrong: string[] = [];
      const wait = async (kind: 'read' | 'load', thread: number, size: number): Promise<void> => {
        const buffered = threads[thread];
        const client = { disconnected: false, mayBeClosed: false };
        const number = clients.push(client);
        pending++;
        const reservation =
          kind === 'read'
            ? await buffered.reserve(size, client)
            : (buffered.tryReserveForLoad(size, client) ?? (await buffered.reserveForLoad(size, client)));
        pending--;
        if (reservation === undefined) {
          if (!client.mayBeClosed) wrong.push(`${kind} ${number} was rejected`);
          return;
        }
        if (number <= last[thread][kind]) wrong.push(`${kind} ${number} was granted after ${last[thread][kind]}`);
        last[thread][kind] = number;
        granted.push({ thread, reservation });
      };
      const end = (pick: number): void => {
        for (const { thread, reservation } of granted.splice(pick % Math.max(1, granted.length), 1)) {
          threads[thread].releaseUnused(reservation);
        }
      };
      const free = (pick: number): void => {
        for (const { thread, memory } of held.splice(pick % Math.max(1, held.length), 1))
          threads[thread].release(memory);
      };
      for (const { kind, thread, size, pick } of all) {
        if (kind === 'read' || kind === 'load') void wait(kind, thread, size);
        else if (kind === 'end') end(pick);
        else if (kind === 'free') free(pick);
        else if (kind === 'poll') jest.advanceTimersByTime(10);
        else if (kind === 'allocate') {
          const one = granted.at(pick % Math.max(1, granted.length));
          const memory = one?.reservation.allocate(Math.min(size, one.reservation.reservedBytes));
          if (one !== undefined && memory !== undefined) held.push({ thread: one.thread, memory: memory.buffer });
        } else {
          const client = clients.at(pick % Math.max(1, clients.length));
          if (client !== undefined) Object.assign(client, { mayBeClosed: true, disconnected: kind === 'disconnect' });
        }
        await tick();
        const reserved = granted.reduce((sum, { reservation }) => sum + reservation.reservedBytes, 0);
        expect(threads[0].total + reserved).toBeLessThanOrEqual(MAX);
      }
      for (let left = 3 * all.length; left > 0 && granted.length + held.length + pending > 0; left--) {
        end(0);
        free(0);
        jest.advanceTimersByTime(10);
        await tick();
      }
      expect(wrong).toEqual([]);
      expect([granted.length, held.length, pending, threads[0].waiting, threads[0].total]).toEqual([0, 0, 0, 0, 0]);
      expect(jest.getTimerCount()).toBe(0);
      for (const buffered of threads) {
        const whole = buffered.tryReserveForLoad(MAX, undefined);
        expect(whole?.reservedBytes).toBe(MAX);
        if (whole !== undefined) buffered.releaseUnused(whole);
      }
    });
    try {
      await fc.assert(property, { numRuns: 50 });
    } finally {
      jest.useRealTimers();
    }
  });

  it('releases the bytes of a crashed thread and removes its waiting reads', async () => {
    const instance = InstanceMemory.create();
    const one = bufferedBytes(instance, 0, MAX);
    bufferedBytes(instance, 1, MAX).hold(new ArrayBuffer(100));
    const crashed = new BufferBudget(instance, 1, 4, MAX, 0);
    crashed.reserveLarge(pagesFor(10 * MiB));
    crashed.noteWaiting(1, -1);
    const reservation = one.reserve(12 * MiB, readClient());
    expect([one.total, one.waiting]).toEqual([100, 2]);
    BufferedBytes.recoverFrom(instance, 1);
    expect(await reservation).toBeDefined();
    expect([one.total, one.waiting]).toEqual([0, 0]);
  });
});
