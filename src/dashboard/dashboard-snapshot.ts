/**
 * What the dashboard is told once a second, of the whole instance. Counts grow from the start of the proxy, so that who
 * has missed some ticks, or hears of them from another thread, loses nothing. It holds no key and no value.
 */
export interface DashboardSnapshot {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly version: string;
  readonly uptimeSeconds: number;
  /** Reads of keys since the start: by transport, then by how they ended. */
  readonly reads: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly cache: {
    readonly entries: number;
    readonly capacity: number;
    readonly bytes: number;
    readonly maxBytes: number;
    readonly hits: number;
    readonly misses: number;
    readonly collapsed: number;
    /** Entries dropped since the start, by cause. */
    readonly dropped: Readonly<Record<'capacity' | 'bytes' | 'expired' | 'purged', number>>;
  };
  readonly loads: {
    readonly count: number;
    readonly errors: number;
    readonly inFlight: number;
    readonly queued: number;
    readonly durations: Durations;
  };
  readonly redis: {
    /** Threads that have their connection to Redis. */
    readonly connected: number;
    /** Threads by the state of their circuit to Redis. */
    readonly circuits: Readonly<Record<'closed' | 'half-open' | 'open', number>>;
  };
  readonly coherence: {
    readonly state: 'ttl' | 'tracking' | 'resync';
    readonly invalidations: number;
    readonly losses: number;
  };
  readonly threads: { readonly count: number; readonly restarts: number };
  readonly connections: { readonly open: number; readonly max: number };
  /** Which doors have a lock: whether reads need a token, and whether there is an admin API. */
  readonly doors: { readonly readsNeedToken: boolean; readonly admin: boolean };
}

/** A histogram since the start. */
export interface Durations {
  /** Upper bounds of the buckets in seconds, ascending. */
  readonly bounds: readonly number[];
  /** Observations at or below each bound and above the one before, and above the last. */
  readonly buckets: readonly number[];
}
