import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { BufferAccounting } from './buffer-accounting.ts';
import { OrderedReplies, type Place } from './ordered-replies.ts';

const KiB = 1024;
const ALLOWANCE = 1024 * KiB;

/** Memory of which so many bytes may be held, once each. */
class Budget implements BufferAccounting {
  readonly holders = new Map<ArrayBufferLike, number>();
  left: number;

  constructor(bytes: number) {
    this.left = bytes;
  }

  get hasRoom(): boolean {
    return this.left > 0;
  }

  tryHold(memory: ArrayBufferLike): boolean {
    if (!this.holders.has(memory) && this.left < memory.byteLength) return false;
    this.hold(memory);
    return true;
  }

  hold(memory: ArrayBufferLike): void {
    const count = this.holders.get(memory) ?? 0;
    if (count === 0) this.left -= memory.byteLength;
    this.holders.set(memory, count + 1);
  }

  release(memory: ArrayBufferLike): void {
    const count = this.holders.get(memory) ?? 0;
    if (count === 0) throw new Error('released what is not held');
    if (count > 1) return void this.holders.set(memory, count - 1);
    this.holders.delete(memory);
    this.left += memory.byteLength;
  }
}

/** A client that takes what it is sent only when it is told to. */
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

/** Memory that is not there, as nobody looks into it. */
const memoryOf = (byteLength: number): ArrayBuffer => ({ byteLength }) as ArrayBuffer;

interface Answer {
  readonly request: number;
  readonly memory: ArrayBuffer;
}

describe('replies of a pipelined connection', () => {
  /** Sizes of values in KiB, and what happens, by number: a request comes, a read ends, the client reads. */
  const events = fc.array(fc.nat(99), { minLength: 1, maxLength: 400, size: 'max' });
  const sizes = fc.array(fc.constantFrom(0, 1, 10, 100, 500, 2000, 4096), { minLength: 1, maxLength: 20 });

  it('are sent whole and in order, and no more is kept than the allowance and one value; then nothing is held', () => {
    fc.assert(
      fc.property(sizes, events, fc.constantFrom(0, 300, 3000, 10_000, 1e6), (valueKiB, whatHappens, budgetKiB) => {
        const budget = new Budget(budgetKiB * KiB);
        const client = new Client();
        const replies = new OrderedReplies<Answer>(budget, client);
        const sent: number[] = [];
        const reading: { place: Place<Answer>; request: number }[] = [];
        let requests = 0;
        let kept = 0;
        const largest = Math.max(...valueKiB) * KiB;
        const settle = ({ place, request }: (typeof reading)[number]): void => {
          const bytes = valueKiB[request % valueKiB.length] * KiB;
          const answer: Answer = { request, memory: memoryOf(bytes) };
          const memory = bytes === 0 ? [] : [answer.memory];
          if (replies.settle(place, answer, memory, bytes, bytes, () => reading.push({ place, request })))
            kept += bytes;
          goOn();
        };
        const goOn = (): void =>
          replies.send(({ request, memory }) => {
            kept -= memory.byteLength;
            client.write(memory.byteLength);
            sent.push(request);
          });
        const step = (event: number): void => {
          if (event < 50) {
            if (!replies.isFull) reading.push({ place: replies.reserve(10), request: requests++ });
          } else if (event < 90) {
            const [next] = reading.splice(event % Math.max(1, reading.length), 1);
            if (next !== undefined) settle(next);
          } else {
            client.read();
            goOn();
          }
          expect(kept).toBeLessThanOrEqual(ALLOWANCE + largest);
          expect(reading.length).toBeLessThanOrEqual(128);
        };
        for (const event of whatHappens) step(event);
        for (let left = 10 * (requests + 1); replies.length > 0 && left > 0; left--) {
          step(60);
          step(99);
        }
        expect(sent).toEqual(Array.from({ length: requests }, (_, i) => i));
        expect([replies.length, kept, budget.holders.size]).toEqual([0, 0, 0]);
      }),
      { numRuns: 200 },
    );
  });

  it('let go of their memory when the connection ends', () => {
    const budget = new Budget(1e6);
    const replies = new OrderedReplies<string>(budget, new Client());
    replies.reserve(1);
    const second = replies.reserve(1);
    replies.settle(second, 'second', [new ArrayBuffer(1000)], 1000, 1000, () => undefined);
    expect(budget.holders.size).toBe(1);
    replies.clear();
    expect(budget.holders.size).toBe(0);
  });

  it('that cannot be read again are kept, whether there is room or not', () => {
    const budget = new Budget(10);
    const replies = new OrderedReplies<string>(budget, new Client());
    const first = replies.reserve(1);
    const second = replies.reserve(1);
    expect(replies.settle(second, 'second', [new ArrayBuffer(1000)], 1000, 1000, undefined)).toBe(true);
    replies.settle(first, 'first', [], 0, 0, undefined);
    const sent: string[] = [];
    replies.send((reply) => sent.push(reply));
    expect([sent, budget.holders.size]).toEqual([['first', 'second'], 0]);
  });

  it('wait with those behind them while there is no room for anything', () => {
    const budget = new Budget(0);
    const replies = new OrderedReplies<string>(budget, new Client());
    expect(replies.isFull).toBe(false);
    replies.reserve(1);
    expect(replies.isFull).toBe(true);
  });
});
