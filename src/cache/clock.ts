import { performance } from 'node:perf_hooks';

/** Milliseconds since an arbitrary fixed point, never going back; one point for every thread of the process. */
export type Clock = () => number;

/**
 * The process-wide monotonic clock. `performance.now()` counts from the start of each thread, `process.hrtime` from one
 * point for all of them but is slower to read; so the distance between the two is measured once per thread. (Imported,
 * as the global of the same name is an accessor, called anew for each reading.)
 */
export function monotonicClock(): Clock {
  const offsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();
  return () => performance.now() + offsetMs;
}
