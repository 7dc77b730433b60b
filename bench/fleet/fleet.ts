import type { Balancing } from './balancers.ts';

/** A fleet and its workload. */
export interface Fleet {
  readonly replicas: number;
  readonly balancing: Balancing;
  /** Whether Redis sends an invalidation of every write to every replica. */
  readonly tracking: boolean;
  /** Capacity of each replica in entries. */
  readonly capacity: number;
  readonly ttlMs: number;
  readonly keys: number;
  /** Exponent of the Zipf distribution of the reads. */
  readonly exponent: number;
  /** Rate of all replicas together. */
  readonly readsPerSecond: number;
  readonly writesPerSecond: number;
  /** Whether all keys are written equally often, or in proportion to their reads. */
  readonly writes: 'uniform' | 'popular';
}

/** Milliseconds from a write to its invalidation in the replicas: the measured 99th percentile. */
export const PUSH_MS = 1;

/** Duration of a run in simulated milliseconds, and its seed. */
export interface Run {
  readonly warmUpMs: number;
  readonly measuredMs: number;
  readonly seed: number;
}

/**
 * Returns a run that is long enough for entries to be replaced. The share of stale responses depends on when the few most
 * popular keys are written, and takes longer to average out.
 */
export function wholeRun({ ttlMs, tracking }: Fleet, seed: number): Run {
  return { warmUpMs: 1.5 * ttlMs, measuredMs: Math.max(2 * ttlMs, tracking ? 600_000 : 3_000_000), seed };
}

/** Whether all requests for a key go to the same replica. */
export function isAffine({ balancing }: Fleet): boolean {
  return balancing !== 'random';
}
