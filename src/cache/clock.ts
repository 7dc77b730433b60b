import { performance } from 'node:perf_hooks';

/** Milliseconds since an arbitrary fixed point, never going back; one point for every thread of the process. */
export type Clock = () => number;

/** Times that the distance between the two is measured. */
const MEASUREMENTS = 8;

/** A power of two, so that floating-point numbers hold ticks exactly. */
const TICKS_PER_MS = 1024;
/** The least time there is between two times that differ. */
export const TICK_MS = 1 / TICKS_PER_MS;

/**
 * The process-wide monotonic clock. `performance.now()` counts from the start of each thread, `process.hrtime` from one
 * point for all of them but is slower to read; so the distance between the two is measured when a thread starts.
 * (Imported, as the global of the same name is an accessor, called anew for each reading.)
 *
 * It counts in 1024ths of a millisecond, so that sums and differences of times are exact: what is kept for 60 seconds must
 * not be found to be kept for 59.99.
 */
export function monotonicClock(): Clock {
  let offsetMs = -Infinity;
  // A thread that gets no turn between the two readings finds it too short, by as much.
  for (let i = 0; i < MEASUREMENTS; i++) {
    offsetMs = Math.max(offsetMs, Number(process.hrtime.bigint()) / 1e6 - performance.now());
  }
  return () => Math.floor((performance.now() + offsetMs) * TICKS_PER_MS) / TICKS_PER_MS;
}
