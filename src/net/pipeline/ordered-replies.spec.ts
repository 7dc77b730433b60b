import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Budget } from './budget.spec-support.ts';
import { OrderedReplies, type Place, type ReadReply } from './ordered-replies.ts';

const KiB = 1024;
const ALLOWANCE = 1024 * KiB;

/** A client that reads only when `read` is called. */
class Client {
  length = 0;
  #isFull = false;

  get isFull(): boolean {
    return this.#isFull;
  }

  write(bytes: number): void {
    this.length += bytes;
    this.#isFull = this.length > 64 * KiB;
  }

  read(): void {
    this.length = 0;
    this.#isFull = false;
  }
}

/** Stands for memory of a length; its content is never read. */
const memoryOf = (byteLength: number): ArrayBuffer => ({ byteLength }) as ArrayBuffer;

/** Returns a reply that refers to 1000 bytes of memory of its own. */
function withMemory(reply: string, readAgain: (() => void) | undefined): ReadReply<string> {
  return { reply, memory: [new ArrayBuffer(1000)], bytes: 1000, loadedBytes: 1000, readAgain };
}

interface TestReply {
  readonly request: number;
  readonly memory: ArrayBuffer;
}

describe('OrderedReplies', () => {
  /** Events, by number: a request arrives, a read ends, the client reads, a read waits for memory. Sizes of values in KiB. */
  const events = fc.array(fc.nat(99), { minLength: 1, maxLength: 400, size: 'max' });
  const sizes = fc.array(fc.constantFrom(0, 1, 10, 100, 500, 2000, 4096), { minLength: 1, maxLength: 20 });

  it('sends all replies in order, buffers at most the allowance and one value, and releases all memory', () => {
    fc.assert(
      fc.property(sizes, events, fc.constantFrom(0, 300, 3000, 10_000, 1e6), (valueKiB, eventNumbers, budgetKiB) => {
        const budget = new Budget(budgetKiB * KiB);
        const client = new Client();
        const replies = new OrderedReplies<TestReply>(budget, client);
        const sent: number[] = [];
        const reading: { place: Place<TestReply>; request: number }[] = [];
        let requests = 0;
        let buffered = 0;
        const largest = Math.max(...valueKiB) * KiB;
        const settle = ({ place, request }: (typeof reading)[number]): void => {
          const bytes = valueKiB[request % valueKiB.length] * KiB;
          const reply: TestReply = { request, memory: memoryOf(bytes) };
          const memory = bytes === 0 ? [] : [reply.memory];
          const readAgain = (): void => void reading.push({ place, request });
          if (replies.settle(place, { reply, memory, bytes, loadedBytes: bytes, readAgain })) buffered += bytes;
          send();
        };
        const send = (): void =>
          replies.send(({ request, memory }) => {
            buffered -= memory.byteLength;
            client.write(memory.byteLength);
            sent.push(request);
          });
        const step = (event: number): void => {
          if (event < 50) {
            if (!replies.isFull) reading.push({ place: replies.reserve(10), request: requests++ });
          } else if (event < 90) {
            const [next] = reading.splice(event % Math.max(1, reading.length), 1);
            if (next !== undefined) settle(next);
          } else if (event < 97) {
            client.read();
            send();
          } else {
            replies.dropWaiting(({ memory }) => (buffered -= memory.byteLength));
          }
          expect(buffered).toBeLessThanOrEqual(ALLOWANCE + largest);
          expect(reading.length).toBeLessThanOrEqual(128);
        };
        for (const event of eventNumbers) step(event);
        for (let left = 10 * (requests + 1); replies.length > 0 && left > 0; left--) {
          step(60);
          step(96);
        }
        expect(sent).toEqual(Array.from({ length: requests }, (_, i) => i));
        expect([replies.length, buffered, budget.holders.size]).toEqual([0, 0, 0]);
      }),
      { numRuns: 200 },
    );
  });

  it('releases its memory when the connection closes', () => {
    const budget = new Budget(1e6);
    const replies = new OrderedReplies<string>(budget, new Client());
    replies.reserve(1);
    const second = replies.reserve(1);
    replies.settle(
      second,
      withMemory('second', () => undefined),
    );
    expect(budget.holders.size).toBe(1);
    replies.clear();
    expect(budget.holders.size).toBe(0);
  });

  it('drops the replies behind one that is being read, and reads them again when they are due', () => {
    const budget = new Budget(1e6);
    const replies = new OrderedReplies<string>(budget, new Client());
    const places = Array.from({ length: 3 }, () => replies.reserve(1));
    const readAgain: number[] = [];
    const settle = (index: number): void => {
      const name = ['first', 'second', 'third'][index];
      // The third cannot be read again.
      const again = index === 2 ? undefined : () => readAgain.push(index);
      replies.settle(places[index], withMemory(name, again));
    };
    settle(1);
    settle(2);
    const dropped: string[] = [];
    replies.dropWaiting((reply) => dropped.push(reply));
    expect([dropped, budget.holders.size, readAgain]).toEqual([['second'], 1, []]);
    settle(0);
    const sent: string[] = [];
    const send = (): void => replies.send((reply) => sent.push(reply));
    send();
    expect([sent, readAgain]).toEqual([['first'], [1]]);
    settle(1);
    send();
    expect([sent, readAgain, budget.holders.size]).toEqual([['first', 'second', 'third'], [1], 0]);
  });

  it('buffers replies that cannot be read again, regardless of the limit', () => {
    const budget = new Budget(10);
    const replies = new OrderedReplies<string>(budget, new Client());
    const first = replies.reserve(1);
    const second = replies.reserve(1);
    expect(replies.settle(second, withMemory('second', undefined))).toBe(true);
    replies.settle(first, { reply: 'first', memory: [], bytes: 0, loadedBytes: 0, readAgain: undefined });
    const sent: string[] = [];
    replies.send((reply) => sent.push(reply));
    expect([sent, budget.holders.size]).toEqual([['first', 'second'], 0]);
  });

  it('is full while requests are in flight and the buffered bytes have reached their limit', () => {
    const budget = new Budget(0);
    const replies = new OrderedReplies<string>(budget, new Client());
    expect(replies.isFull).toBe(false);
    replies.reserve(1);
    expect(replies.isFull).toBe(true);
  });
});
