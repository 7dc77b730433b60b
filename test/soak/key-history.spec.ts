import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { KeyHistory } from './key-history.ts';

describe('KeyHistory', () => {
  it('starts without a value', () => {
    const history = new KeyHistory();
    expect(history.lateness(undefined, 5, 6)).toBe(0);
    expect(history.lateness(1, 5, 6)).toBeUndefined();
  });

  it('accepts the old and the new value during a write, and returns the lateness of the old one afterwards', () => {
    const history = new KeyHistory();
    history.begin(1, 10).acknowledgedAt = 12;
    const second = history.begin(2, 100);
    expect([1, 2].map((version) => history.lateness(version, 100, 101))).toEqual([0, 0]);
    second.acknowledgedAt = 105;
    expect(history.lateness(1, 103, 110)).toBe(0);
    expect(history.lateness(1, 125, 126)).toBe(20);
    expect(history.lateness(2, 90, 99)).toBeUndefined();
  });

  it('accepts both values after a write that was never acknowledged', () => {
    const history = new KeyHistory();
    history.begin(1, 10).acknowledgedAt = 12;
    history.begin(2, 20);
    expect([1, 2].map((version) => history.lateness(version, 500, 501))).toEqual([0, 0]);
    history.begin(3, 600).acknowledgedAt = 601;
    expect([1, 2, 3].map((version) => history.lateness(version, 700, 701))).toEqual([99, 99, 0]);
  });

  it('accepts a missing value after expiry', () => {
    const history = new KeyHistory();
    history.begin(1, 10, 50).acknowledgedAt = 12;
    expect(history.lateness(undefined, 30, 40)).toBe(18);
    expect(history.lateness(undefined, 58, 60)).toBe(0);
    expect(history.lateness(1, 62, 63)).toBe(0);
    expect(history.lateness(1, 80, 81)).toBe(18);
  });

  it('returns the same lateness as a replay of every possible order of events', () => {
    const step = fc.record({ gap: fc.nat(5), durationMs: fc.integer({ min: 1, max: 5 }), lost: fc.boolean() });
    const anyRead = fc.record({ at: fc.nat(60), durationMs: fc.nat(5), version: fc.integer({ min: 1, max: 6 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 6 }), anyRead, (steps, read) => {
        const history = new KeyHistory();
        const writes: { sent: number; acked: number }[] = [];
        let now = 0;
        for (const [index, { gap, durationMs, lost }] of steps.entries()) {
          const write = history.begin(index + 1, (now += gap));
          now += durationMs;
          if (!lost) write.acknowledgedAt = now;
          writes.push({ sent: write.sentAt, acked: write.acknowledgedAt });
        }
        const actual = history.lateness(read.version, read.at, read.at + read.durationMs);
        const possibleMoments = Array.from({ length: 200 }, (_, moment) => moment).filter((moment) =>
          mayBeCurrent(writes, read.version, moment),
        );
        const before = possibleMoments.filter((moment) => moment <= read.at + read.durationMs);
        const expected = before.length === 0 ? undefined : Math.max(0, read.at - Math.max(...before));
        expect(actual).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });
});

/** Whether the write number `version` may be the last one that Redis has executed by a moment. */
function mayBeCurrent(writes: readonly { sent: number; acked: number }[], version: number, moment: number): boolean {
  const write = writes.at(version - 1);
  if (version > writes.length || write === undefined || write.sent > moment) return false;
  return writes.slice(version).every(({ acked }) => acked >= moment);
}
