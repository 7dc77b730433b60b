import type { LruLimits } from '../src/cache/shared-lru/memory/layout.ts';

/** Returns limits of which a benchmark with small values reaches none but the number of entries. */
export function limitsFor(entries: number): LruLimits {
  return {
    capacity: entries,
    maxBytes: 2 ** 30,
    maxValueBytes: 2 ** 20,
    maxLeases: 1024,
    leaseMs: 1000,
    staleMs: 0,
  };
}
