import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { KeyHistory } from './key-history.ts';

describe('the history of a key', () => {
  it('begins with no value', () => {
    const history = new KeyHistory();
    expect(history.lateness(undefined, 5, 6)).toBe(0);
    expect(history.lateness(1, 5, 6)).toBeUndefined();
  });

  it('allows old and new while a write is under way, and tells how late an old value is afterwards', () => {
    const history = new KeyHistory();
    history.begin(1, 10).acknowledgedAt = 12;
    const second = history.begin(2, 100);
    expect([1, 2].map((version) => history.lateness(version, 100, 101))).toEqual([0, 0]);
    second.acknowledgedAt = 105;
    expect(history.lateness(1, 103, 110)).toBe(0);
    expect(history.lateness(1, 125, 126)).toBe(20);
    expect(history.lateness(2, 90, 99)).toBeUndefined();
  });

  it('does not know whether a write took place that was never acknowledged', () => {
    const history = new KeyHistory();
    history.begin(1, 10).acknowledgedAt = 12;
    history.begin(2, 20);
    expect([1, 2].map((version) => history.lateness(version, 500, 501))).toEqual([0, 0]);
    history.begin(3, 600).acknowledgedAt = 601;
    expect([1, 2, 3].map((version) => history.lateness(version, 700, 701))).toEqual([99, 99, 0]);
  });

  it('knows that values expire', () => {
    const history = new KeyHistory();
    history.begin(1, 10, 50).acknowledgedAt = 12;
    expect(history.lateness(undefined, 30, 40)).toBe(18);
    expect(history.lateness(undefined, 58, 60)).toBe(0);
    expect(history.lateness(1, 62, 63)).toBe(0);
    expect(history.lateness(1, 80, 81)).toBe(18);
  });

  it('judges as a replay of every order of events that there may have been does', () => {
    const step = fc.record({ gap: fc.nat(5), took: fc.integer({ min: 1, max: 5 }), lost: fc.boolean() });
    const asked = fc.record({ at: fc.nat(60), took: fc.nat(5), version: fc.integer({ min: 1, max: 6 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 6 }), asked, (steps, read) => {
        const history = new KeyHistory();
        const writes: { sent: number; acked: number }[] = [];
        let now = 0;
        for (const [index, { gap, took, lost }] of steps.entries()) {
          const write = history.begin(index + 1, (now += gap));
          now += took;
          if (!lost) write.acknowledgedAt = now;
          writes.push({ sent: write.sentAt, acked: write.acknowledgedAt });
        }
        const given = history.lateness(read.version, read.at, read.at + read.took);
        const truths = Array.from({ length: 200 }, (_, moment) => moment).filter((moment) =>
          mayBeTrue(writes, read.version, moment),
        );
        const before = truths.filter((moment) => moment <= read.at + read.took);
        const expected = before.length === 0 ? undefined : Math.max(0, read.at - Math.max(...before));
        expect(given).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });
});

/** Whether the `version`-th write may be the last one carried out by a moment. */
function mayBeTrue(writes: readonly { sent: number; acked: number }[], version: number, moment: number): boolean {
  const write = writes.at(version - 1);
  if (version > writes.length || write === undefined || write.sent > moment) return false;
  return writes.slice(version).every(({ acked }) => acked >= moment);
}
