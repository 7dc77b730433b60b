import { expect, it } from '@jest/globals';
import { monotonicClock } from './clock.ts';

it('the clock never goes back, and counts so that sums and differences of times are exact', () => {
  const clock = monotonicClock();
  let before = clock();
  for (let i = 0; i < 10_000; i++) {
    const now = clock();
    expect(now).toBeGreaterThanOrEqual(before);
    expect(Number.isInteger(now * 1024)).toBe(true);
    before = now;
  }
  // Where floating-point numbers become sparser: 60 seconds before the machine has run for 2^24 milliseconds.
  const [third, exact] = [2 ** 24 - 20_000 + 1 / 3, 2 ** 24 - 20_000 + 341 / 1024];
  expect(exact + 60_000 - exact).toBe(60_000);
  expect(third + 60_000 - third).not.toBe(60_000);
});
