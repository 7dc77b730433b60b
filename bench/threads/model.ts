/**
 * Returns the operations per second of so many threads, each on a core of its own, if an operation takes `lockNs` nanoseconds
 * under the one lock and `restNs` beside it: mean value analysis of a closed network with one queue (M. Reiser and S. S.
 * Lavenberg, 1980). Cores that wait for each other's cache lines longer than in the measurement are not in it.
 */
export function modelledRate(threads: number, lockNs: number, restNs: number): number {
  let queued = 0;
  let perNs = 0;
  for (let n = 1; n <= threads; n++) {
    const residenceNs = lockNs * (1 + queued);
    perNs = n / (restNs + residenceNs);
    queued = perNs * residenceNs;
  }
  return perNs * 1e9;
}
