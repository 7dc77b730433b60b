import { describe, expect, it } from '@jest/globals';
import type { Fleet } from './fleet.ts';
import { Popularity } from './popularity.ts';
import { characteristicTime, predict } from './theory.ts';
import { FLEET } from './theory.spec-support.ts';

describe('predict, in cases with a closed form', () => {
  it('is λT ÷ (1 + λT) for a key that is never evicted', () => {
    const fleet: Fleet = { ...FLEET, keys: 1, capacity: 1, readsPerSecond: 0.15 };
    expect(predict(fleet).hitRatio).toBeCloseTo(3 / 4, 6);
  });

  it('is 1 − e^−λt for a key that does not expire, t being the characteristic time', () => {
    // Equally popular keys without a TTL: each is cached for a share of the time that equals the share of keys that fit.
    const fleet: Fleet = { ...FLEET, keys: 1000, exponent: 1e-9, capacity: 300 };
    expect(predict(fleet).hitRatio).toBeCloseTo(0.3, 2);
  });

  it('has an infinite characteristic time if all keys fit', () => {
    expect(characteristicTime(new Popularity(10, 1).shares, 1, 10)).toBe(Infinity);
    expect(characteristicTime(new Popularity(10, 1).shares, 1, 9)).toBeLessThan(Infinity);
  });
});
