import { strictEqual, ok } from 'node:assert';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { seeded } from '../../../../test/support/random.ts';
import { hashKey } from '../index/hash.ts';
import { KeySketch, SKETCH_BYTES, SKETCH_KEYS, SKETCH_KEY_BYTES } from './key-sketch.ts';

const RUNS = Number(process.env['FC_RUNS'] ?? 30);

function emptySketch(): KeySketch {
  const sketch = new KeySketch(new SharedArrayBuffer(64 + SKETCH_BYTES), 64);
  sketch.restart(1);
  return sketch;
}

/** Adds reads of a key, with a hash of only a few bits if many keys must share a bucket. */
function add(sketch: KeySketch, key: Buffer, reads = 1, hashBits = 32): void {
  sketch.add(key, key.length, hashKey(key, 1, 2) & (2 ** hashBits - 1), reads);
}

const countsOf = (sketch: KeySketch) => new Map([...sketch.counted()].map((each) => [each.key.toString(), each]));

/** Reads of a few keys, and of many more than the sketch has places for, in random order. */
const streams = fc.record({
  heavy: fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 20 }),
  light: fc.integer({ min: 0, max: 3 * SKETCH_KEYS }),
  maxWeight: fc.constantFrom(1, 1, 2, 64),
  hashBits: fc.constantFrom(32, 32, 3),
  seed: fc.integer(),
});

describe('KeySketch', () => {
  it('counts exactly while there are places', () => {
    const sketch = emptySketch();
    for (let i = 0; i < SKETCH_KEYS; i++)
      for (let reads = 0; reads <= i % 3; reads++) add(sketch, Buffer.from(`key ${i}`));
    const counts = countsOf(sketch);
    expect(counts.size).toBe(SKETCH_KEYS);
    for (let i = 0; i < SKETCH_KEYS; i++) {
      const { count, error } = counts.get(`key ${i}`) ?? {};
      expect([i, count, error]).toEqual([i, 1 + (i % 3), 0]);
    }
  });

  it('counts every key with more than 1/SKETCH_KEYS of the reads, with no error above that share, against a Map', () => {
    fc.assert(
      fc.property(streams, ({ heavy, light, maxWeight, hashBits, seed }) => {
        const random = seeded(seed);
        const reads = [
          ...heavy.flatMap((count, i) => Array.from({ length: count }, () => `heavy ${i}`)),
          ...Array.from({ length: light }, (_, i) => `light ${i}`),
        ];
        for (let i = reads.length - 1; i > 0; i--) {
          const j = random(i + 1);
          [reads[i], reads[j]] = [reads[j], reads[i]];
        }
        const sketch = emptySketch();
        const model = new Map<string, number>();
        let total = 0;
        for (const key of reads) {
          const weight = 1 + random(maxWeight);
          add(sketch, Buffer.from(key), weight, hashBits);
          model.set(key, (model.get(key) ?? 0) + weight);
          total += weight;
        }
        const counts = countsOf(sketch);
        const bound = total / SKETCH_KEYS;
        strictEqual(sketch.reads, total);
        strictEqual(sketch.samples, reads.length);
        ok(sketch.floor <= bound);
        strictEqual(counts.size, Math.min(model.size, SKETCH_KEYS));
        for (const [key, exact] of model) {
          const counted = counts.get(key);
          if (counted === undefined) {
            ok(exact <= sketch.floor, key);
            continue;
          }
          ok(counted.count >= exact, key);
          ok(counted.count - counted.error <= exact, key);
          ok(counted.error <= bound, key);
        }
      }),
      { numRuns: RUNS },
    );
  });

  it('tells keys apart by all their bytes, and long ones also by length and hash', () => {
    const sketch = emptySketch();
    const long = Buffer.alloc(SKETCH_KEY_BYTES, 'x');
    const keys = [
      Buffer.from([0xff]),
      Buffer.from([0xff, 0]),
      Buffer.alloc(0),
      long,
      Buffer.concat([long, Buffer.from('a')]),
      Buffer.concat([long, Buffer.from('b')]),
      Buffer.concat([long, long]),
    ];
    for (const [i, key] of keys.entries()) for (let reads = 0; reads <= i; reads++) add(sketch, key);
    const counted = [...sketch.counted()].sort((a, b) => a.count - b.count);
    expect(counted.map(({ keyBytes, count }) => [keyBytes, count])).toEqual(keys.map((key, i) => [key.length, i + 1]));
    expect(counted.map(({ key }) => key)).toEqual(keys.map((key) => key.subarray(0, SKETCH_KEY_BYTES)));
  });

  it('tells apart keys of one hash', () => {
    const sketch = emptySketch();
    for (const key of ['a', 'b', 'a']) sketch.add(Buffer.from(key), 1, 7, 1);
    expect([...sketch.counted()].map(({ key, count }) => [key.toString(), count])).toEqual([
      ['a', 2],
      ['b', 1],
    ]);
  });

  it('forgets everything when it starts another period', () => {
    const sketch = emptySketch();
    for (let i = 0; i < 2 * SKETCH_KEYS; i++) add(sketch, Buffer.from(`key ${i}`));
    sketch.restart(2);
    expect([sketch.period, sketch.reads, sketch.samples, sketch.floor, ...sketch.counted()]).toEqual([2, 0, 0, 0]);
    add(sketch, Buffer.from('key 1'));
    expect([...sketch.counted()]).toMatchObject([{ key: Buffer.from('key 1'), count: 1, error: 0 }]);
  });
});
