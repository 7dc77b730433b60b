import { describe, expect, it } from '@jest/globals';
import { mulberry32 } from '../../test/support/random.ts';
import { type Fleet, PUSH_MS } from './fleet.ts';
import { Popularity } from './popularity.ts';
import { resize } from './resize.ts';
import { Simulation, simulate } from './simulation.ts';
import { Versions } from './versions.ts';

const FLEET: Fleet = {
  replicas: 5,
  balancing: 'random',
  tracking: false,
  capacity: 100,
  ttlMs: 10_000,
  keys: 1000,
  exponent: 1,
  readsPerSecond: 500,
  writesPerSecond: 50,
  writes: 'uniform',
};
const RUN = { seed: 3, warmUpMs: 15_000, measuredMs: 20_000 };

describe('a simulated fleet', () => {
  it('is deterministic for a seed', () => {
    expect(simulate(FLEET, RUN)).toEqual(simulate(FLEET, RUN));
    expect(simulate(FLEET, { ...RUN, seed: 4 })).not.toEqual(simulate(FLEET, RUN));
  });

  it('has the configured rate of reads', () => {
    const tally = new Simulation(FLEET, 1).run(60_000);
    expect(tally.reads / 60).toBeGreaterThan(485);
    expect(tally.reads / 60).toBeLessThan(515);
    expect(tally.readsOf.reduce((sum, reads) => sum + reads, 0)).toBe(tally.reads);
  });

  it('returns no value that was overwritten more than a TTL ago', () => {
    const { staleShare, staleP99Ms, staleMeanMs } = simulate(FLEET, RUN);
    expect(staleShare).toBeGreaterThan(0.05);
    expect(staleMeanMs).toBeLessThan(staleP99Ms);
    expect(staleP99Ms).toBeLessThan(FLEET.ttlMs);
  });

  it('with tracking, invalidates every write in every replica, and returns no value staler than the delivery takes', () => {
    const tally = new Simulation({ ...FLEET, tracking: true, writes: 'popular' }, 3).run(60_000);
    expect(tally.invalidations % FLEET.replicas).toBe(0);
    expect(tally.invalidations / 60 / FLEET.replicas).toBeCloseTo(50, -1);
    expect(tally.purges).toBeGreaterThan(0);
    expect(Math.max(0, ...tally.stalenessMs)).toBeLessThan(PUSH_MS);
  });

  it('never returns an older value after a newer one if a key always goes to the same replica', () => {
    expect(simulate({ ...FLEET, balancing: 'ring' }, RUN).backwardShare).toBe(0);
    expect(simulate(FLEET, RUN).backwardShare).toBeGreaterThan(0.3);
  });

  it('needs far fewer extra loads when a replica joins a ring than with a modulo', () => {
    const popularity = new Popularity(FLEET.keys, 1);
    const ring = resize({ ...FLEET, balancing: 'ring', capacity: 1000 }, 'join', [1], popularity);
    const modulo = resize({ ...FLEET, balancing: 'modulo', capacity: 1000 }, 'join', [1], popularity);
    expect(modulo.extraLoads).toBeGreaterThan(2 * Math.abs(ring.extraLoads));
    expect(modulo.after[0]).toBeLessThan(ring.after[0]);
  });
});

describe('Popularity', () => {
  it('draws keys in proportion to their popularity', () => {
    const popularity = new Popularity(50, 1);
    const random = mulberry32(1);
    const counts = new Array<number>(50).fill(0);
    const draws = 400_000;
    for (let i = 0; i < draws; i++) counts[popularity.draw(random(), random())]++;
    counts.forEach((count, key) => expect(count / draws / popularity.shares[key]).toBeCloseTo(1, 1));
    expect(popularity.shares[0] / popularity.shares[9]).toBeCloseTo(10, 9);
  });
});

describe('Versions', () => {
  it('returns when a version was overwritten, also beyond the initial capacity', () => {
    const versions = new Versions(2);
    const seen: number[] = [];
    for (let time = 1; time <= 100; time++) {
      seen.push(versions.current(1));
      versions.write(1, time);
    }
    expect(versions.overwrittenAt(versions.current(0))).toBeUndefined();
    expect(versions.overwrittenAt(versions.current(1))).toBeUndefined();
    expect(seen.map((version) => versions.overwrittenAt(version))).toEqual(
      Array.from({ length: 100 }, (_, i) => i + 1),
    );
  });
});
