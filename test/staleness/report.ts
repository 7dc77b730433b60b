export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Result of a run. */
export interface StalenessReport {
  readonly seed: number;
  readonly writes: number;
  readonly reads: number;
  readonly seconds: number;
  /** How often the proxy lost the invalidation stream. */
  readonly losses: number;
  /** Reads that returned a value that the key never had. */
  readonly wrong: readonly string[];
  /** Staleness of all writes: how long after its acknowledgement the last read started that returned the old value. */
  readonly delaysMs: Percentiles;
  /** Latency of reads, which shows how busy the machine was. */
  readonly latenciesMs: Percentiles;
}
