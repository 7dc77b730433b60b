import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { READ_OUTCOMES, TRANSPORTS } from '../instance/read-metrics.ts';
import { hitRatio, quantile, readsByKind } from './page/figures.ts';
import { History } from './page/history.ts';
import type { DashboardSnapshot } from './dashboard-snapshot.ts';
import { tickOf } from './dashboard-snapshot.spec-support.ts';

const NONE = { bounds: [0.001, 0.01], buckets: [0, 0, 0] };

describe('reads by kind', () => {
  it('count each outcome once, over all transports', () => {
    const outcomes = Object.fromEntries(READ_OUTCOMES.map((outcome, i) => [outcome, 2 ** i]));
    const kinds = readsByKind(Object.fromEntries(TRANSPORTS.map((transport) => [transport, outcomes])));
    const total = Object.values(kinds).reduce((sum, count) => sum + count, 0);
    expect(total).toBe((2 ** READ_OUTCOMES.length - 1) * TRANSPORTS.length);
    expect(kinds.hit).toBe(outcomes.hit * TRANSPORTS.length);
    expect(kinds.failed).toBe((outcomes.timeout + outcomes.unavailable + outcomes.overloaded) * TRANSPORTS.length);
  });
});

describe('the hit ratio', () => {
  it('is that of the time between, and none without a read', () => {
    const from = { ...tickOf().cache, hits: 10, misses: 10, collapsed: 5 };
    expect(hitRatio(from, { ...from, hits: 13, misses: 11 })).toBe(0.75);
    expect(hitRatio(from, { ...from, hits: 11, collapsed: 6 })).toBe(0.5);
    expect(hitRatio(from, from)).toBeNull();
  });
});

describe('a quantile', () => {
  it('lies in its bucket, as far in as its rank', () => {
    expect(quantile(NONE, { ...NONE, buckets: [10, 0, 0] }, 0.5)).toBeCloseTo(0.0005);
    expect(quantile(NONE, { ...NONE, buckets: [50, 50, 0] }, 0.75)).toBeCloseTo(0.0055);
    expect(quantile({ ...NONE, buckets: [50, 0, 0] }, { ...NONE, buckets: [50, 10, 0] }, 0.5)).toBeCloseTo(0.0055);
  });

  it('is the last bound when it lies above, and none without an observation', () => {
    expect(quantile(NONE, { ...NONE, buckets: [0, 0, 3] }, 0.5)).toBe(0.01);
    expect(quantile(NONE, NONE, 0.99)).toBeNull();
  });

  it('is never below that of a smaller share', () => {
    const counts = fc.array(fc.nat(1000), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(
        counts,
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (buckets, a, b) => {
          const [low, high] = [Math.min(a, b), Math.max(a, b)].map((share) =>
            quantile(NONE, { ...NONE, buckets }, share),
          );
          expect((high ?? 0) - (low ?? 0)).toBeGreaterThanOrEqual(-1e-12);
        },
      ),
    );
  });
});

describe('a history', () => {
  /** A second later, with more hits. */
  const later = (tick: DashboardSnapshot, hits: number, ms = 1000): DashboardSnapshot => ({
    ...tick,
    at: tick.at + ms,
    uptimeSeconds: tick.uptimeSeconds + 1,
    reads: { ...tick.reads, http: { ...tick.reads.http, hit: tick.reads.http.hit + hits } },
    cache: { ...tick.cache, hits: tick.cache.hits + hits },
  });

  it('says nothing of the time before the first tick', () => {
    expect(new History().push(tickOf())).toMatchObject({ reads: null, hitRatio: null, loads: null });
  });

  it('knows rates by the time that has passed, also when ticks were missed', () => {
    const history = new History();
    const first = tickOf();
    history.push(first);
    const second = later(first, 50);
    expect(history.push(second).reads?.hit).toBe(50);
    expect(history.push(later(second, 50, 5000)).reads?.hit).toBe(10);
  });

  it('shows failed loads by their rate, and no latency while none was answered', () => {
    const history = new History();
    const first = tickOf();
    history.push(first);
    const second = later(first, 0, 2000);
    const failing = { ...second, loads: { ...second.loads, count: 20, errors: 20 } };
    expect(history.push(failing)).toMatchObject({ loads: 10, failedLoads: 10, p99: null });
  });

  it('begins anew with a proxy that was started anew', () => {
    const history = new History();
    const first = later(later(tickOf(), 50), 50);
    history.push(first);
    const restarted = { ...tickOf(), at: first.at + 1000 };
    expect(history.push(restarted).reads).toBeNull();
    expect(history.push(later(restarted, 7)).reads?.hit).toBe(7);
  });

  it('keeps five minutes, and its times always grow', () => {
    const history = new History();
    let tick = tickOf();
    for (let i = 0; i < 400; i++) history.push((tick = later(tick, 1)));
    expect(history.samples).toHaveLength(300);
    history.push({ ...tick, at: tick.at - 10_000 });
    const times = history.samples.map(({ at }) => at);
    expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
  });
});
