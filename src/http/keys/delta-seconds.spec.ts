import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TICK_MS } from '../../cache/shared-lru/clock.ts';
import { ageSeconds, lifetimeSeconds } from './delta-seconds.ts';

/** Multiples of the cache clock's tick, so that differences are exact. */
const milliseconds = fc.nat({ max: 2 ** 40 }).map((ticks) => ticks * TICK_MS);

describe('delta seconds', () => {
  it.each([
    [0, 0],
    [0.001, 1],
    [999.9, 1],
    [1000, 1],
    [1000.1, 2],
    [59_999, 60],
  ])('rounds an age of %d ms to %d s', (ageMs, seconds) => {
    expect(ageSeconds(ageMs)).toBe(seconds);
  });

  it.each([
    [0, 0],
    [999.9, 0],
    [1000, 1],
    [1999.9, 1],
    [-0.001, -1],
    [-1000, -1],
  ])('rounds a lifetime of %d ms to %d s', (lifetimeMs, seconds) => {
    expect(lifetimeSeconds(lifetimeMs)).toBe(seconds);
  });

  it('keeps max-age minus Age within two seconds below the remaining lifetime, and never above it or ttl', () => {
    fc.assert(
      fc.property(milliseconds, milliseconds, (ageMs, lifetimeMs) => {
        const usableSeconds = lifetimeSeconds(lifetimeMs) - ageSeconds(ageMs);
        const leftMs = lifetimeMs - ageMs;
        expect(usableSeconds * 1000).toBeLessThanOrEqual(leftMs);
        expect(usableSeconds).toBeLessThanOrEqual(lifetimeSeconds(leftMs));
        expect(usableSeconds * 1000).toBeGreaterThan(leftMs - 2000);
      }),
    );
  });
});
