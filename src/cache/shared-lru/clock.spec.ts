import { performance } from 'node:perf_hooks';
import { expect, it, jest } from '@jest/globals';
import { monotonicClock } from './clock.ts';

it('the clock is monotonic, and sums and differences of times are exact', () => {
  const clock = monotonicClock();
  let before = clock();
  for (let i = 0; i < 10_000; i++) {
    const now = clock();
    expect(now).toBeGreaterThanOrEqual(before);
    expect(Number.isInteger(now * 2 ** 16)).toBe(true);
    before = now;
  }
  // Where floating-point numbers become less precise: 60 seconds before an uptime of 2^24 milliseconds.
  const [third, exact] = [2 ** 24 - 20_000 + 1 / 3, 2 ** 24 - 20_000 + 341 / 1024];
  expect(exact + 60_000 - exact).toBe(60_000);
  expect(third + 60_000 - third).not.toBe(60_000);
});

it('the clock is right even if the thread was preempted while creating it', () => {
  const read = process.hrtime.bigint.bind(process.hrtime);
  const spy = jest.spyOn(process.hrtime, 'bigint').mockImplementationOnce(() => {
    const time = read();
    const until = performance.now() + 100;
    while (performance.now() < until);
    return time;
  });
  try {
    const clock = monotonicClock();
    const now = Number(read()) / 1e6;
    expect(clock()).toBeGreaterThanOrEqual(now - 5);
  } finally {
    spy.mockRestore();
  }
});
