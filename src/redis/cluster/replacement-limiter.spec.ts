import { expect, it } from '@jest/globals';
import { ReplacementLimiter } from './replacement-limiter.ts';

it('allows a replacement immediately, then with a back-off of up to 5 s, which resets after a minute without attempts', () => {
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
