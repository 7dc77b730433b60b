import type { Durations, DashboardSnapshot } from '../dashboard-snapshot.ts';

/** Reads of keys by what people want to tell apart; each outcome belongs to one of them. */
export const READ_KINDS = ['hit', 'miss', 'not-found', 'stale', 'refused', 'failed'] as const;
export type ReadKind = (typeof READ_KINDS)[number];

const KIND_OF: Readonly<Record<string, ReadKind>> = {
  hit: 'hit',
  miss: 'miss',
  collapsed: 'miss',
  'not-found': 'not-found',
  stale: 'stale',
  timeout: 'failed',
  unavailable: 'failed',
  overloaded: 'failed',
};

/** Reads since the start by their kind, over whichever transport; an outcome that is not known here is a refusal. */
export function readsByKind(reads: DashboardSnapshot['reads']): Record<ReadKind, number> {
  const sums = { hit: 0, miss: 0, 'not-found': 0, stale: 0, refused: 0, failed: 0 };
  for (const outcomes of Object.values(reads)) {
    for (const [outcome, count] of Object.entries(outcomes)) sums[KIND_OF[outcome] ?? 'refused'] += count;
  }
  return sums;
}

/** Hits among the reads between two ticks, 0 to 1; null when there was none. */
export function hitRatio(from: DashboardSnapshot['cache'], to: DashboardSnapshot['cache']): number | null {
  const hits = to.hits - from.hits;
  const reads = hits + (to.misses - from.misses) + (to.collapsed - from.collapsed);
  return reads > 0 ? hits / reads : null;
}

/**
 * The duration in seconds below which this share of the observations between two histograms lie, taken to be spread
 * evenly in their bucket; null when there was none. What is above the last bound counts as that bound.
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

/** Whether `to` tells of the same run of the proxy as `from`: else their counts have nothing to do with one another. */
export function sameRun(from: DashboardSnapshot, to: DashboardSnapshot): boolean {
  return to.uptimeSeconds >= from.uptimeSeconds && to.loads.count >= from.loads.count && to.at > from.at;
}
