import { describe, expect, it } from '@jest/globals';
import { ValueSlab } from './value-slab.ts';

/** Fills a reservation of `bytes` bytes with one byte. */
function copy(slab: ValueSlab, bytes: number, byte: number): Buffer {
  slab.reserve(bytes);
  const word = BigInt.asIntN(64, BigInt(byte) * 0x0101010101010101n);
  slab.words64.fill(word, slab.at, slab.at + Math.ceil(bytes / 8));
  return slab.take(bytes);
}

describe('ValueSlab', () => {
  it('never returns the same bytes for two copies', () => {
    const slab = new ValueSlab();
    const sizes = Array.from({ length: 2000 }, (_, i) => (i * 37) % 500);
    const copies = sizes.map((size, i) => copy(slab, size, i % 256));
    copies.forEach((bytes, i) => expect(bytes.equals(Buffer.alloc(sizes[i], i % 256))).toBe(true));
  });

  it('returns empty copies, initially and when it is full', () => {
    const slab = new ValueSlab();
    expect(copy(slab, 0, 1)).toHaveLength(0);
    for (let i = 0; i < 8; i++) copy(slab, 8 * 1024, 1);
    expect(copy(slab, 0, 1)).toHaveLength(0);
  });

  it('shares one allocation among many small copies', () => {
    const slab = new ValueSlab();
    expect(copy(slab, 100, 1).buffer).toBe(copy(slab, 100, 2).buffer);
  });

  it('allocates exactly the needed memory for a large copy', () => {
    const slab = new ValueSlab();
    const small = copy(slab, 100, 1);
    const large = copy(slab, 100_001, 2);
    expect(large.buffer.byteLength).toBe(100_008);
    expect(copy(slab, 100, 3).buffer).toBe(small.buffer);
    expect(large.equals(Buffer.alloc(100_001, 2))).toBe(true);
  });
});
