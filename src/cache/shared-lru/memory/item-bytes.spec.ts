import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Cursor, ItemBytes, wordCount } from './item-bytes.ts';
import { Header, LruMemory, NONE, SLOT_WORDS, Slot, idLengths } from './layout.ts';

const NOISE = randomBytes(8192);
const SLOT_A = 1;
const SLOT_B = 2;

function reserve(): LruMemory {
  const limits = { capacity: 2, maxBytes: 64 * 1024, maxValueBytes: 64 * 1024, maxLeases: 1, leaseMs: 1, staleMs: 0 };
  return LruMemory.reserve(limits, [0, 0]);
}

/** Chunk sizes, multiples of 8 bytes except for the last: a value as it is written or read. */
const pieces = fc
  .tuple(fc.array(fc.nat({ max: 60 }), { maxLength: 6 }), fc.nat({ max: 300 }))
  .map(([whole, rest]) => [...whole.map((longs) => longs * 8), rest]);
const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

describe('ItemBytes', () => {
  it('returns what was written, in whatever chunks it is written and read', () => {
    fc.assert(
      fc.property(pieces, fc.array(fc.nat({ max: 60 }), { maxLength: 6 }), fc.boolean(), (writes, reads, withTail) => {
        const memory = reserve();
        const items = new ItemBytes(memory);
        const total = sum(writes);
        const tails = [NONE, NONE];
        let written = 0;
        for (const length of writes) {
          // Two items are written alternately, so that their blocks interleave.
          [SLOT_A, SLOT_B].forEach((slot, i) => {
            const bytes = NOISE.subarray(written + i, written + i + length);
            const tail = items.append(slot, written, tails[i], bytes);
            if (withTail) tails[i] = tail;
          });
          written += length;
        }

        [SLOT_A, SLOT_B].forEach((slot, i) => {
          const target = new BigInt64Array(wordCount(total));
          const cursor: Cursor = { block: NONE, word: 0 };
          // The first chunk extends beyond the slot, as in the cache.
          let done = Math.min(total, 136);
          items.read(slot, 0, target, 0, done, cursor);
          for (const longs of [...reads, total]) {
            const step = Math.min(total - done, longs * 8);
            if (step > 0) items.readOn(cursor, target, done / 8, step);
            done += step;
          }
          expect(Buffer.from(target.buffer, 0, total).equals(NOISE.subarray(i, i + total))).toBe(true);
        });
      }),
      { numRuns: 300 },
    );
  });

  it('allocates a block for each 64 bytes beyond the 128 in the slot', () => {
    expect([0, 128, 129, 192, 193, 1000].map((position) => ItemBytes.blocksFor(position))).toEqual([0, 0, 1, 1, 2, 14]);
  });

  it('reuses freed blocks before it allocates new ones', () => {
    const memory = reserve();
    const items = new ItemBytes(memory);
    items.append(SLOT_A, 0, NONE, NOISE.subarray(0, 1000));
    items.free(SLOT_A, 1000);
    items.append(SLOT_B, 0, NONE, NOISE.subarray(0, 500));
    items.append(SLOT_A, 0, NONE, NOISE.subarray(0, 500));
    expect(memory.header[Header.BLOCK_HIGH_WATER]).toBe(ItemBytes.blocksFor(1000));
  });

  it('distinguishes ids that differ in any byte, in length, or in the length of the selector', () => {
    const memory = reserve();
    const items = new ItemBytes(memory);
    const id = NOISE.subarray(0, 300);
    items.append(SLOT_A, 0, NONE, id);
    memory.slots[SLOT_A * SLOT_WORDS + Slot.ID_LENGTHS] = idLengths(id.length, 20);
    const has = (other: Uint8Array, selectorLength = 20): boolean =>
      items.hasId(SLOT_A, idLengths(other.length, selectorLength), other, 0, other.length);
    expect(has(id)).toBe(true);
    expect([has(id, 0), has(id, 19), has(id, 21)]).toEqual([false, false, false]);
    expect([has(NOISE.subarray(0, 299)), has(NOISE.subarray(0, 301))]).toEqual([false, false]);
    for (let i = 0; i < id.length; i++) {
      const other = Buffer.from(id);
      other[i] ^= 1;
      expect(has(other)).toBe(false);
    }
  });
});
