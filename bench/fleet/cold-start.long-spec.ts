import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { coldStartChart } from './chart.ts';
import { type ColdStart, coldStarts } from './cold-start.ts';

describe('the simulated cold start', () => {
  let runs: readonly ColdStart[];
  beforeAll(() => {
    runs = coldStarts(1);
  });

  it('has a wave of misses each minute, which jitter makes flatter', () => {
    const [without, withJitter] = runs.map(({ missRatios }) =>
      [50, 110, 170].map((from) => Math.max(...missRatios.slice(from, from + 20))),
    );
    for (const [wave, peak] of without.entries()) expect(withJitter[wave]).toBeLessThan(peak / 2);
    // Without it, nothing expires between the waves.
    expect(Math.max(...runs[0].missRatios.slice(30, 60))).toBe(0);
  });

  it('is the one of the picture in docs/freshness.md', () => {
    expect(readFileSync(new URL('cold-start.svg', import.meta.url), 'utf8')).toBe(coldStartChart(runs));
  });
});
