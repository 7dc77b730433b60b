/**
 * The state of the whole instance, sent to the dashboard once a second. Counts are totals since the start of the proxy, so
 * a page that missed snapshots, or reconnects to another thread, loses nothing. It contains no keys and no values.
 */
export interface DashboardSnapshot {
  /** Unix time in milliseconds. */
  readonly at: number;
  readonly version: string;
  readonly uptimeSeconds: number;
  /** Key reads since the start, by transport and outcome. */
  readonly reads: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly cache: {
    readonly entries: number;
    readonly capacity: number;
    readonly bytes: number;
    readonly maxBytes: number;
    readonly hits: number;
    readonly misses: number;
    readonly collapsed: number;
    /** Entries removed since the start, by cause. */
    readonly evictions: Readonly<Record<'capacity' | 'bytes' | 'expired' | 'purged', number>>;
  };
  readonly loads: {
    readonly count: number;
    readonly errors: number;
    readonly inFlight: number;
    readonly queued: number;
    readonly durations: Durations;
  };
  readonly redis: {
    /** Number of threads that are connected to Redis. */
    readonly connected: number;
    /** Number of threads by the state of their circuit breaker. */
    readonly circuits: Readonly<Record<'closed' | 'half-open' | 'open', number>>;
  };
  /** What keys are loaded from with REDIS_READ_FROM; null if it is `master`, and before a server was selected. */
  readonly readSources: {
    /** One for each master of the keys; `address` is null if no server can be read. */
    readonly servers: readonly { readonly role: 'replica' | 'master' | 'none'; readonly address: string | null }[];
    /** Maximum lag of the replicas among them, as far as is known. */
    readonly lagSeconds: number;
  } | null;
  readonly coherence: {
    readonly state: 'ttl' | 'tracking' | 'resync';
    readonly invalidations: number;
    readonly losses: number;
  };
  /** The subscription to CACHE_PURGE_CHANNEL, and the number of purges applied since the start; null if it is unset. */
  readonly purgeChannel: { readonly subscribed: boolean; readonly purges: number } | null;
  /** Entries of CACHE_WARMUP_FILE that have been dealt with, and in all; null if it is unset. */
  readonly warmup: {
    readonly state: 'pending' | 'loading' | 'paused' | 'complete' | 'stopped';
    readonly done: number;
    readonly total: number;
  } | null;
  readonly threads: { readonly count: number; readonly restarts: number };
  readonly connections: { readonly open: number; readonly max: number };
  /** Whether reads require a token, and whether the admin API is enabled. */
  readonly auth: { readonly tokenRequired: boolean; readonly adminEnabled: boolean };
}

/** A histogram of durations since the start. */
export interface Durations {
  /** Upper bounds of the buckets in seconds, ascending. */
  readonly bounds: readonly number[];
  /** Observations in each bucket, not cumulative; the last bucket has no upper bound. */
  readonly buckets: readonly number[];
}
