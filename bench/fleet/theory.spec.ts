import { describe, expect, it } from '@jest/globals';
import type { Fleet } from './fleet.ts';
import { Popularity } from './popularity.ts';
import { simulate } from './simulation.ts';
import { characteristicTime, predict } from './theory.ts';

const FLEET: Fleet = {
  replicas: 1,
  balancing: 'random',
  tracking: false,
  capacity: 200,
  ttlMs: 20_000,
  keys: 2000,
  exponent: 1,
  readsPerSecond: 1000,
  writesPerSecond: 20,
  writes: 'uniform',
};
const RUN = { seed: 5, warmUpMs: 30_000, measuredMs: 80_000 };

/** Fleets that are limited by capacity, by time, or by both. */
const FLEETS: readonly (readonly [string, Fleet])[] = [
  ['one cache that is too small', { ...FLEET, capacity: 50 }],
  ['one cache, limited by capacity and time', { ...FLEET, ttlMs: 1000 }],
  ['one cache that has room for all keys', { ...FLEET, capacity: 2000 }],
  ['four caches at random', { ...FLEET, replicas: 4 }],
  ['four caches with affinity', { ...FLEET, replicas: 4, balancing: 'jump', capacity: 100 }],
  ['many caches at random', { ...FLEET, replicas: 40 }],
  ['tracking', { ...FLEET, replicas: 4, tracking: true }],
  ['tracking, with many writes', { ...FLEET, replicas: 4, tracking: true, writesPerSecond: 200 }],
  ['writes that follow the reads', { ...FLEET, replicas: 4, tracking: true, writes: 'popular' }],
];

describe('the simulation', () => {
  it.each(FLEETS)("hits as often as Che's approximation says, within a point: %s", (_title, fleet) => {
    const difference = simulate(fleet, RUN).hitRatio - predict(fleet).hitRatio;
    expect(Math.abs(difference)).toBeLessThan(0.01);
  });

  it('finds as many stale answers as the age of entries lets expect, within a tenth of them', () => {
    // Many writes, since those to the most popular keys make most of the difference.
    const fleet: Fleet = { ...FLEET, replicas: 4, writesPerSecond: 400 };
    const { staleShare } = simulate(fleet, { ...RUN, measuredMs: 160_000 });
    expect(staleShare / predict(fleet).staleShare).toBeGreaterThan(0.9);
    expect(staleShare / predict(fleet).staleShare).toBeLessThan(1.1);
  });
});

describe('the theory, where it can be written down', () => {
  it('is λT ÷ (1 + λT) for a key that is never evicted', () => {
    const fleet: Fleet = { ...FLEET, keys: 1, capacity: 1, readsPerSecond: 0.15 };
    expect(predict(fleet).hitRatio).toBeCloseTo(3 / 4, 6);
  });

  it('is 1 − e^−λt for a key that does not expire, t being the characteristic time', () => {
    // Equal keys and endless life: each is held by the same share of the time as there is room for.
    const fleet: Fleet = { ...FLEET, keys: 1000, exponent: 1e-9, capacity: 300 };
    expect(predict(fleet).hitRatio).toBeCloseTo(0.3, 2);
  });

  it('knows no characteristic time where all keys fit', () => {
    expect(characteristicTime(new Popularity(10, 1).shares, 1, 10)).toBe(Infinity);
    expect(characteristicTime(new Popularity(10, 1).shares, 1, 9)).toBeLessThan(Infinity);
  });
});
