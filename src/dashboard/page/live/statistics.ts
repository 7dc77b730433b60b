import type { Durations, DashboardSnapshot } from '../../dashboard-snapshot.ts';

/** Groups of read outcomes that the dashboard distinguishes; each outcome belongs to one group. */
export const READ_KINDS = ['hit', 'miss', 'not-found', 'revalidating', 'stale', 'refused', 'failed'] as const;
export type ReadKind = (typeof READ_KINDS)[number];

const KIND_OF: Readonly<Record<string, ReadKind>> = {
  hit: 'hit',
  miss: 'miss',
  collapsed: 'miss',
  'not-found': 'not-found',
  'stale-while-revalidate': 'revalidating',
  stale: 'stale',
  timeout: 'failed',
  unavailable: 'failed',
  overloaded: 'failed',
};

/** Sums the reads of all transports by kind. Outcomes that are not listed above count as refused. */
export function readsByKind(reads: DashboardSnapshot['reads']): Record<ReadKind, number> {
  const sums = { hit: 0, miss: 0, 'not-found': 0, revalidating: 0, stale: 0, refused: 0, failed: 0 };
  for (const outcomes of Object.values(reads)) {
    for (const [outcome, count] of Object.entries(outcomes)) sums[KIND_OF[outcome] ?? 'refused'] += count;
  }
  return sums;
}

/** Returns the hit ratio between two snapshots, 0 to 1; null if there were no reads. */
export function hitRatio(from: DashboardSnapshot['cache'], to: DashboardSnapshot['cache']): number | null {
  const hits = to.hits - from.hits;
  const reads = hits + (to.misses - from.misses) + (to.collapsed - from.collapsed);
  return reads > 0 ? hits / reads : null;
}

/**
 * Estimates a quantile, in seconds, of the observations made between two histograms, by linear interpolation within its
 * bucket. Observations above the last bound count as that bound.
 *
 * @param share 0 to 1: 0.99 for the 99th percentile.
 * @returns null if there were no observations.
 */
export function quantile(from: Durations, to: Durations, share: number): number | null {
  const counts = to.buckets.map((count, i) => count - from.buckets[i]);
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total <= 0) return null;
  const rank = share * total;
  let below = 0;
  for (const [i, count] of counts.entries()) {
    if (count > 0 && below + count >= rank) {
      if (i === to.bounds.length) break;
      const lower = i === 0 ? 0 : to.bounds[i - 1];
      return lower + (to.bounds[i] - lower) * ((rank - below) / count);
    }
    below += count;
  }
  return to.bounds.at(-1) ?? null;
}

/** Returns whether two snapshots are of the same process; otherwise their counts cannot be compared. */
export function isSameRun(from: DashboardSnapshot, to: DashboardSnapshot): boolean {
  return to.uptimeSeconds >= from.uptimeSeconds && to.loads.count >= from.loads.count && to.at > from.at;
}
