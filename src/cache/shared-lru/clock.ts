import { performance } from 'node:perf_hooks';

/** Returns milliseconds since a fixed point that is the same for all threads of the process; never goes back. */
export type Clock = () => number;

/** Number of measurements of the offset between the two clocks. */
const MEASUREMENTS = 32;

/** A power of two, so that floating-point numbers represent ticks exactly. */
const TICKS_PER_MS = 2 ** 16;
/** Resolution of the clock in milliseconds. */
export const TICK_MS = 1 / TICKS_PER_MS;

/**
 * Creates the process-wide monotonic clock. `performance.now()` counts from the start of each thread; `process.hrtime` counts
 * from one point for all threads but is slower to read, so the offset between the two is measured when a thread starts.
 * (`performance` is imported because the global of the same name is an accessor, called at each reading.)
 *
 * It counts in 65536ths of a millisecond, 15 ns: short enough to order the reads of different threads, and sums and
 * differences of times are exact for years: a TTL of 60 seconds must not read as 59.99.
 */
export function monotonicClock(): Clock {
  let offsetMs = -Infinity;
  // A thread that is preempted between the two readings measures an offset that is too small; the largest is the best.
  for (let i = 0; i < MEASUREMENTS; i++) {
    offsetMs = Math.max(offsetMs, Number(process.hrtime.bigint()) / 1e6 - performance.now());
  }
  return () => Math.floor((performance.now() + offsetMs) * TICKS_PER_MS) / TICKS_PER_MS;
}
