import { expect, it } from '@jest/globals';
import { ReplacementLimiter } from './replacement-limiter.ts';

it('connections to an address are replaced at once, then with a back-off up to 5 s that a quiet minute resets', () => {
  let now = 0;
  const limiter = new ReplacementLimiter(() => now);
  const replacedAt: number[] = [];
  for (; now < 20_000; now += 50) if (limiter.tryReplace('a:1') === 0) replacedAt.push(now);
  expect(replacedAt).toEqual([0, 250, 750, 1750, 3750, 7750, 12_750, 17_750]);
  expect(limiter.tryReplace('b:1')).toBe(0);
  expect(limiter.tryReplace('b:1')).toBe(250);
  now += 60_000;
  expect(limiter.tryReplace('a:1')).toBe(0);
  now += 250;
  expect(limiter.tryReplace('a:1')).toBe(0);
});
