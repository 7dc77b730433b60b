import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { READ_OUTCOMES, TRANSPORTS } from '../instance/read-metrics.ts';
import { hitRatio, quantile, readsByKind } from './page/live/statistics.ts';
import { History } from './page/live/history.ts';
import type { DashboardSnapshot } from './dashboard-snapshot.ts';
import { snapshotWith } from './snapshot-with.spec-support.ts';

const EMPTY = { bounds: [0.001, 0.01], buckets: [0, 0, 0] };

describe('readsByKind', () => {
  it('counts each outcome once, over all transports', () => {
    const outcomes = Object.fromEntries(READ_OUTCOMES.map((outcome, i) => [outcome, 2 ** i]));
    const kinds = readsByKind(Object.fromEntries(TRANSPORTS.map((transport) => [transport, outcomes])));
    const total = Object.values(kinds).reduce((sum, count) => sum + count, 0);
    expect(total).toBe((2 ** READ_OUTCOMES.length - 1) * TRANSPORTS.length);
    expect(kinds.hit).toBe(outcomes.hit * TRANSPORTS.length);
    expect(kinds.revalidating).toBe(outcomes['stale-while-revalidate'] * TRANSPORTS.length);
    expect(kinds.failed).toBe((outcomes.timeout + outcomes.unavailable + outcomes.overloaded) * TRANSPORTS.length);
  });
});

describe('hitRatio', () => {
  it('is the ratio between two snapshots, and null without reads', () => {
    const from = { ...snapshotWith().cache, hits: 10, misses: 10, collapsed: 5 };
    expect(hitRatio(from, { ...from, hits: 13, misses: 11 })).toBe(0.75);
    expect(hitRatio(from, { ...from, hits: 11, collapsed: 6 })).toBe(0.5);
    expect(hitRatio(from, from)).toBeNull();
  });
});

describe('quantile', () => {
  it('interpolates linearly within a bucket', () => {
    expect(quantile(EMPTY, { ...EMPTY, buckets: [10, 0, 0] }, 0.5)).toBeCloseTo(0.0005);
    expect(quantile(EMPTY, { ...EMPTY, buckets: [50, 50, 0] }, 0.75)).toBeCloseTo(0.0055);
    expect(quantile({ ...EMPTY, buckets: [50, 0, 0] }, { ...EMPTY, buckets: [50, 10, 0] }, 0.5)).toBeCloseTo(0.0055);
  });

  it('is the last bound for larger observations, and null without observations', () => {
    expect(quantile(EMPTY, { ...EMPTY, buckets: [0, 0, 3] }, 0.5)).toBe(0.01);
    expect(quantile(EMPTY, EMPTY, 0.99)).toBeNull();
  });

  it('grows with the share', () => {
    const counts = fc.array(fc.nat(1000), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(
        counts,
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (buckets, a, b) => {
          const [low, high] = [Math.min(a, b), Math.max(a, b)].map((share) =>
            quantile(EMPTY, { ...EMPTY, buckets }, share),
          );
          expect((high ?? 0) - (low ?? 0)).toBeGreaterThanOrEqual(-1e-12);
        },
      ),
    );
  });
});

describe('History', () => {
  /** Returns a later snapshot with more hits. */
  const later = (snapshot: DashboardSnapshot, hits: number, ms = 1000): DashboardSnapshot => ({
    ...snapshot,
    at: snapshot.at + ms,
    uptimeSeconds: snapshot.uptimeSeconds + 1,
    reads: { ...snapshot.reads, http: { ...snapshot.reads.http, hit: snapshot.reads.http.hit + hits } },
    cache: { ...snapshot.cache, hits: snapshot.cache.hits + hits },
  });

  it('has no rates for the first snapshot', () => {
    expect(new History().push(snapshotWith())).toMatchObject({ reads: null, hitRatio: null, loads: null });
  });

  it('divides by the elapsed time, also if snapshots were missed', () => {
    const history = new History();
    const first = snapshotWith();
    history.push(first);
    const second = later(first, 50);
    expect(history.push(second).reads?.hit).toBe(50);
    expect(history.push(later(second, 50, 5000)).reads?.hit).toBe(10);
  });

  it('has the rate of failed loads, and no load duration while no load completes', () => {
    const history = new History();
    const first = snapshotWith();
    history.push(first);
    const second = later(first, 0, 2000);
    const failing = { ...second, loads: { ...second.loads, count: 20, errors: 20 } };
    expect(history.push(failing)).toMatchObject({ loads: 10, failedLoads: 10, p99: null });
  });

  it('starts over when the proxy was restarted', () => {
    const history = new History();
    const first = later(later(snapshotWith(), 50), 50);
    history.push(first);
    const restarted = { ...snapshotWith(), at: first.at + 1000 };
    expect(history.push(restarted).reads).toBeNull();
    expect(history.push(later(restarted, 7)).reads?.hit).toBe(7);
  });

  it('keeps five minutes, with ascending times', () => {
    const history = new History();
    let snapshot = snapshotWith();
    for (let i = 0; i < 400; i++) history.push((snapshot = later(snapshot, 1)));
    expect(history.samples).toHaveLength(300);
    history.push({ ...snapshot, at: snapshot.at - 10_000 });
    const times = history.samples.map(({ at }) => at);
    expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
  });
});
