import type { Balancing } from './balancers.ts';

/** A fleet and what is asked of it. */
export interface Fleet {
  readonly replicas: number;
  readonly balancing: Balancing;
  /** Whether Redis tells every replica of every write. */
  readonly tracking: boolean;
  /** Entries that each replica may hold. */
  readonly capacity: number;
  readonly ttlMs: number;
  readonly keys: number;
  /** Of the Zipf distribution of the reads. */
  readonly exponent: number;
  /** Of all replicas together. */
  readonly readsPerSecond: number;
  readonly writesPerSecond: number;
  /** Whether all keys are written equally often, or as they are read. */
  readonly writes: 'uniform' | 'popular';
}

/** Milliseconds from a write to when the replicas have heard of it: what is measured at the 99th percentile. */
export const PUSH_MS = 1;

/** Simulated milliseconds, and what makes the draws. */
export interface Run {
  readonly warmUpMs: number;
  readonly measuredMs: number;
  readonly seed: number;
}

/**
 * Long enough for entries to have come and gone. How many answers are stale hangs on when the few most popular keys were
 * written: that takes longer to even out.
 */
export function wholeRun({ ttlMs, tracking }: Fleet, seed: number): Run {
  return { warmUpMs: 1.5 * ttlMs, measuredMs: Math.max(2 * ttlMs, tracking ? 600_000 : 3_000_000), seed };
}

/** Whether a key is always asked of the same replica. */
export function isAffine({ balancing }: Fleet): boolean {
  return balancing !== 'random';
}
