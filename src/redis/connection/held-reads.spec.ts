import { performance } from 'node:perf_hooks';
import { describe, expect, it } from '@jest/globals';
import { until } from '../../../test/support/processes.ts';
import { HeldReads } from './held-reads.ts';

const LATER_MS = 60_000;

describe('HeldReads', () => {
  it('resume all reads once, and hold none afterwards', () => {
    const held = new HeldReads();
    expect(held.isHolding).toBe(false);
    held.begin(LATER_MS);
    const resumed: boolean[] = [];
    for (let i = 0; i < 3; i++) held.hold(performance.now() + LATER_MS, (ready) => resumed.push(ready));
    expect([held.isHolding, resumed]).toEqual([true, []]);
    held.release(true);
    held.release(false);
    expect([held.isHolding, resumed]).toEqual([false, [true, true, true]]);
  });

  it('fail a read at its own deadline, or when the time limit of all has passed', async () => {
    const held = new HeldReads();
    held.begin(LATER_MS);
    const ended: string[] = [];
    held.hold(performance.now() + 1, (ready) => ended.push(`own ${ready}`));
    held.hold(performance.now() + LATER_MS, (ready) => ended.push(`later ${ready}`));
    await until('the first', () => ended.length > 0 || undefined);
    expect(ended).toEqual(['own false']);
    held.release(false);
    held.begin(1);
    held.hold(performance.now() + LATER_MS, (ready) => ended.push(`all ${ready}`));
    await until('the last', () => ended.length > 2 || undefined);
    expect(ended).toEqual(['own false', 'later false', 'all false']);
    expect(held.isHolding).toBe(false);
  });

  it('do not hold longer because another loss is noticed', async () => {
    const held = new HeldReads();
    held.begin(50);
    held.begin(LATER_MS);
    await until('the end of the time limit', () => !held.isHolding || undefined);
  });
});
