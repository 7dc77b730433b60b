import { describe, expect, it } from '@jest/globals';
import type { Fleet } from './fleet.ts';
import { simulate } from './simulation.ts';
import { predict } from './theory.ts';
import { FLEET } from './theory.spec-support.ts';

const RUN = { seed: 5, warmUpMs: 30_000, measuredMs: 80_000 };

/** Fleets that are limited by capacity, by TTL, or by both. */
const FLEETS: readonly (readonly [string, Fleet])[] = [
  ['one cache, limited by capacity', { ...FLEET, capacity: 50 }],
  ['one cache, limited by capacity and TTL', { ...FLEET, ttlMs: 1000 }],
  ['one cache with capacity for all keys', { ...FLEET, capacity: 2000 }],
  ['four caches with random balancing', { ...FLEET, replicas: 4 }],
  ['four caches with affinity', { ...FLEET, replicas: 4, balancing: 'jump', capacity: 100 }],
  ['many caches with random balancing', { ...FLEET, replicas: 40 }],
  ['tracking', { ...FLEET, replicas: 4, tracking: true }],
  ['tracking, with many writes', { ...FLEET, replicas: 4, tracking: true, writesPerSecond: 200 }],
  ['writes that follow the reads', { ...FLEET, replicas: 4, tracking: true, writes: 'popular' }],
];

describe('the simulation', () => {
  it.each(FLEETS)("matches the hit ratio of Che's approximation within a percentage point: %s", (_title, fleet) => {
    const difference = simulate(fleet, RUN).hitRatio - predict(fleet).hitRatio;
    expect(Math.abs(difference)).toBeLessThan(0.01);
  });

  it('matches the predicted share of stale responses within a tenth', () => {
    // Many writes, since writes to the most popular keys dominate the share.
    const fleet: Fleet = { ...FLEET, replicas: 4, writesPerSecond: 400 };
    const { staleShare } = simulate(fleet, { ...RUN, measuredMs: 160_000 });
    expect(staleShare / predict(fleet).staleShare).toBeGreaterThan(0.9);
    expect(staleShare / predict(fleet).staleShare).toBeLessThan(1.1);
  });
});
