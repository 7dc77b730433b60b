import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TICK_MS } from '../../cache/shared-lru/clock.ts';
import { ageSeconds, lifetimeSeconds } from './delta-seconds.ts';

/** In the ticks of the cache's clock, so that differences are exact. */
const milliseconds = fc.nat({ max: 2 ** 40 }).map((ticks) => ticks * TICK_MS);

describe('whole seconds of HTTP', () => {
  it.each([
    [0, 0],
    [0.001, 1],
    [999.9, 1],
    [1000, 1],
    [1000.1, 2],
    [59_999, 60],
  ])('an age of %d ms is %d s', (ageMs, seconds) => {
    expect(ageSeconds(ageMs)).toBe(seconds);
  });

  it.each([
    [0, 0],
    [999.9, 0],
    [1000, 1],
    [1999.9, 1],
    [-0.001, -1],
    [-1000, -1],
  ])('a lifetime of %d ms is %d s', (lifetimeMs, seconds) => {
    expect(lifetimeSeconds(lifetimeMs)).toBe(seconds);
  });

  it('max-age less Age is never more than what is left, nor than ttl, and less than two seconds short of it', () => {
    fc.assert(
      fc.property(milliseconds, milliseconds, (ageMs, lifetimeMs) => {
        const promised = lifetimeSeconds(lifetimeMs) - ageSeconds(ageMs);
        const leftMs = lifetimeMs - ageMs;
        expect(promised * 1000).toBeLessThanOrEqual(leftMs);
        expect(promised).toBeLessThanOrEqual(lifetimeSeconds(leftMs));
        expect(promised * 1000).toBeGreaterThan(leftMs - 2000);
      }),
    );
  });
});
