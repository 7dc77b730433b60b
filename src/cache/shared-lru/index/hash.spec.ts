import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { hashKey } from './hash.ts';

const BITS = 2n ** 32n;

/** HalfSipHash-1-3 as in its paper: byte by byte, with BigInt. */
function halfSipHash13(bytes: Uint8Array, key0: number, key1: number): number {
  const [k0, k1] = [BigInt(key0 >>> 0), BigInt(key1 >>> 0)];
  let [v0, v1, v2, v3] = [k0, k1, 0x6c796765n ^ k0, 0x74656462n ^ k1];
  const rotated = (word: bigint, by: bigint): bigint => ((word << by) | (word >> (32n - by))) % BITS;
  const round = (): void => {
    v0 = (v0 + v1) % BITS;
    v1 = rotated(v1, 5n) ^ v0;
    v0 = rotated(v0, 16n);
    v2 = (v2 + v3) % BITS;
    v3 = rotated(v3, 8n) ^ v2;
    v0 = (v0 + v3) % BITS;
    v3 = rotated(v3, 7n) ^ v0;
    v2 = (v2 + v1) % BITS;
    v1 = rotated(v1, 13n) ^ v2;
    v2 = rotated(v2, 16n);
  };
  const padded = [...bytes];
  while (padded.length % 4 !== 3) padded.push(0);
  padded.push(bytes.length % 256);
  for (let at = 0; at < padded.length; at += 4) {
    const word = padded.slice(at, at + 4).reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
    v3 ^= word;
    round();
    v0 ^= word;
  }
  v2 ^= 0xffn;
  for (let i = 0; i < 3; i++) round();
  return Number(BigInt.asIntN(32, v1 ^ v3));
}

const counting = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i);

describe('hashKey', () => {
  it('is HalfSipHash-1-3: returns the test vectors of hsiphash in Linux on 32 bits', () => {
    // Of the bytes 0, 1, 2 … under the key of the bytes 0 to 7; lib/tests/siphash_kunit.c.
    const vectors = [0x5814c896, 0xe7e864ca, 0xbc4b0e30, 0x01539939, 0x7e059ea6, 0x88e3d89b, 0xa0080b65, 0x9d38d9d6];
    expect(vectors.map((_, length) => hashKey(counting(length), 0x03020100, 0x07060504) >>> 0)).toEqual(vectors);
  });

  it('agrees with the byte-wise algorithm on keys of all lengths, contents and seeds', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer(), fc.integer(), (key, seed0, seed1) => {
        expect(hashKey(key, seed0, seed1)).toBe(halfSipHash13(key, seed0, seed1));
        const framed = Buffer.concat([Buffer.from('abc'), key, Buffer.from('d')]);
        expect(hashKey(framed, seed0, seed1, 3, 3 + key.length)).toBe(halfSipHash13(key, seed0, seed1));
      }),
      { numRuns: 500 },
    );
  });

  it('distinguishes keys of zeroes by their length', () => {
    const hashes = Array.from({ length: 64 }, (_, length) => hashKey(new Uint8Array(length), 1, 2));
    expect(new Set(hashes).size).toBe(64);
  });

  it('returns other hashes with other seeds', () => {
    const key = Buffer.from('user:1');
    expect(new Set([hashKey(key, 1, 2), hashKey(key, 2, 1), hashKey(key, 1, 3), hashKey(key, 3, 2)]).size).toBe(4);
  });

  it('spreads keys that differ only in a number evenly over the buckets', () => {
    const buckets = new Array<number>(1024).fill(0);
    for (let i = 0; i < 100 * 1024; i++) buckets[hashKey(Buffer.from(`user:${i}`), 7, 11) & 1023]++;
    // 100 on average with a standard deviation of 10; six deviations either way.
    expect(Math.min(...buckets)).toBeGreaterThan(40);
    expect(Math.max(...buckets)).toBeLessThan(160);
  });
});
