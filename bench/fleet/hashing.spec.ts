import { describe, expect, it } from '@jest/globals';
import { BOUND, balancer } from './balancers.ts';
import { Ring, jumpHash } from './hashing.ts';

const KEYS = Array.from({ length: 20_000 }, (_, key) => key);
const members = (count: number): number[] => Array.from({ length: count }, (_, number) => number);

/** Returns the replica of each key. */
const ofRing = (ring: Ring): number[] => KEYS.map((key) => ring.owner(key));
const ofJump = (places: number): number[] => KEYS.map((key) => jumpHash(key, places));

/** Returns the smallest and the largest number of keys of a replica, relative to the average. */
function evenness(owners: readonly number[], replicas: number): { readonly min: number; readonly max: number } {
  const counts = new Array<number>(replicas).fill(0);
  for (const owner of owners) counts[owner]++;
  const even = owners.length / replicas;
  return { min: Math.min(...counts) / even, max: Math.max(...counts) / even };
}

describe('Ring', () => {
  it('distributes keys evenly', () => {
    const { min, max } = evenness(ofRing(new Ring(members(20))), 20);
    expect(min).toBeGreaterThan(0.7);
    expect(max).toBeLessThan(1.3);
  });

  it('moves keys only to a replica that joins', () => {
    const [before, after] = [ofRing(new Ring(members(20))), ofRing(new Ring(members(21)))];
    const moved = KEYS.filter((key) => before[key] !== after[key]);
    expect(new Set(moved.map((key) => after[key]))).toEqual(new Set([20]));
    expect(moved.length / KEYS.length).toBeLessThan(1.4 / 21);
  });

  it('moves only the keys of a replica that leaves', () => {
    const before = ofRing(new Ring(members(20)));
    const after = ofRing(new Ring(members(20).filter((member) => member !== 7)));
    for (const key of KEYS) {
      if (before[key] === 7) expect(after[key]).not.toBe(7);
      else expect(after[key]).toBe(before[key]);
    }
  });
});

describe('jumpHash', () => {
  it('distributes keys evenly', () => {
    const { min, max } = evenness(ofJump(20), 20);
    expect(min).toBeGreaterThan(0.88);
    expect(max).toBeLessThan(1.12);
  });

  it('moves keys only to a bucket that is added', () => {
    const [before, after] = [ofJump(20), ofJump(21)];
    const moved = KEYS.filter((key) => before[key] !== after[key]);
    expect(new Set(moved.map((key) => after[key]))).toEqual(new Set([20]));
    expect(moved.length / KEYS.length).toBeCloseTo(1 / 21, 2);
  });

  it('assigns all keys to a single bucket', () => {
    expect(KEYS.every((key) => jumpHash(key, 1) === 0)).toBe(true);
  });
});

describe('bounded ring', () => {
  const parts = { members: members(10), keys: KEYS.length, readsPerSecond: 10_000, random: () => 0 };

  it('assigns a key like the ring while its replica has capacity left', () => {
    const [ring, bounded] = [balancer('ring', parts), balancer('bounded', parts)];
    // Slow enough for one replica to serve all requests.
    KEYS.forEach((key, i) => expect(bounded(key, i * 10)).toBe(ring(key, i * 10)));
  });

  it('limits the load of a replica when all requests are for one key', () => {
    const bounded = balancer('bounded', parts);
    const counts = new Array<number>(10).fill(0);
    // Ten seconds at the expected rate; a replica's bucket holds one second of it.
    for (let i = 0; i < 100_000; i++) counts[bounded(7, i * 0.1)]++;
    expect(Math.max(...counts)).toBeLessThanOrEqual(10_000 * BOUND * 1.1 + 1);
    expect(counts.filter((count) => count > 0)).toHaveLength(8);
  });
});
