import { describe, expect, it } from '@jest/globals';
import { BOUND, balancer } from './balancers.ts';
import { Ring, jumpHash } from './hashing.ts';

const KEYS = Array.from({ length: 20_000 }, (_, key) => key);
const members = (count: number): number[] => Array.from({ length: count }, (_, number) => number);

/** The replica of each key. */
const ofRing = (ring: Ring): number[] => KEYS.map((key) => ring.owner(key));
const ofJump = (places: number): number[] => KEYS.map((key) => jumpHash(key, places));

/** Keys of each replica, as a part of what each would have if all had as many. */
function evenness(owners: readonly number[], replicas: number): { readonly least: number; readonly most: number } {
  const counts = new Array<number>(replicas).fill(0);
  for (const owner of owners) counts[owner]++;
  const even = owners.length / replicas;
  return { least: Math.min(...counts) / even, most: Math.max(...counts) / even };
}

describe('a ring', () => {
  it('gives every replica about as many keys', () => {
    const { least, most } = evenness(ofRing(new Ring(members(20))), 20);
    expect(least).toBeGreaterThan(0.7);
    expect(most).toBeLessThan(1.3);
  });

  it('moves keys to a replica that joins, and no others', () => {
    const [before, after] = [ofRing(new Ring(members(20))), ofRing(new Ring(members(21)))];
    const moved = KEYS.filter((key) => before[key] !== after[key]);
    expect(new Set(moved.map((key) => after[key]))).toEqual(new Set([20]));
    expect(moved.length / KEYS.length).toBeLessThan(1.4 / 21);
  });

  it('moves the keys of a replica that leaves, whichever it is, and no others', () => {
    const before = ofRing(new Ring(members(20)));
    const after = ofRing(new Ring(members(20).filter((member) => member !== 7)));
    for (const key of KEYS) {
      if (before[key] === 7) expect(after[key]).not.toBe(7);
      else expect(after[key]).toBe(before[key]);
    }
  });
});

describe('jump hash', () => {
  it('gives every place about as many keys', () => {
    const { least, most } = evenness(ofJump(20), 20);
    expect(least).toBeGreaterThan(0.88);
    expect(most).toBeLessThan(1.12);
  });

  it('moves keys to a place that is added, and no others', () => {
    const [before, after] = [ofJump(20), ofJump(21)];
    const moved = KEYS.filter((key) => before[key] !== after[key]);
    expect(new Set(moved.map((key) => after[key]))).toEqual(new Set([20]));
    expect(moved.length / KEYS.length).toBeCloseTo(1 / 21, 2);
  });

  it('has one place for all when there is but one', () => {
    expect(KEYS.every((key) => jumpHash(key, 1) === 0)).toBe(true);
  });
});

describe('a bounded ring', () => {
  const parts = { members: members(10), keys: KEYS.length, readsPerSecond: 10_000, random: () => 0 };

  it('leaves a key where the ring has it, as long as there is room', () => {
    const [ring, bounded] = [balancer('ring', parts), balancer('bounded', parts)];
    // Slowly enough for any replica to have it all.
    KEYS.forEach((key, i) => expect(bounded(key, i * 10)).toBe(ring(key, i * 10)));
  });

  it('gives no replica more than its bound, though all ask for one key', () => {
    const bounded = balancer('bounded', parts);
    const counts = new Array<number>(10).fill(0);
    // Ten seconds at the rate that is counted on; one of them is what a replica may have ahead.
    for (let i = 0; i < 100_000; i++) counts[bounded(7, i * 0.1)]++;
    expect(Math.max(...counts)).toBeLessThanOrEqual(10_000 * BOUND * 1.1 + 1);
    expect(counts.filter((count) => count > 0)).toHaveLength(8);
  });
});
