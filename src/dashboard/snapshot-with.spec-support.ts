import type { DashboardSnapshot } from './dashboard-snapshot.ts';

/** Returns the snapshot of a proxy that has just started, with some properties replaced. */
export function snapshotWith(replaced: Partial<DashboardSnapshot> = {}): DashboardSnapshot {
  return {
    at: 1_000_000,
    version: '1.0.0',
    uptimeSeconds: 0,
    reads: { http: { hit: 0, 'not-found': 0 }, resp: { hit: 0 } },
    cache: {
      entries: 0,
      capacity: 100,
      bytes: 0,
      maxBytes: 1000,
      hits: 0,
      misses: 0,
      collapsed: 0,
      evictions: { capacity: 0, bytes: 0, expired: 0, purged: 0 },
    },
    loads: { count: 0, errors: 0, inFlight: 0, queued: 0, durations: { bounds: [0.001, 0.01], buckets: [0, 0, 0] } },
    redis: { connected: 2, circuits: { closed: 2, 'half-open': 0, open: 0 } },
    readSources: null,
    coherence: { state: 'ttl', invalidations: 0, losses: 0 },
    purgeChannel: null,
    warmup: null,
    threads: { count: 2, restarts: 0 },
    connections: { open: 1, max: 100 },
    auth: { tokenRequired: false, adminEnabled: true },
    ...replaced,
  };
}
