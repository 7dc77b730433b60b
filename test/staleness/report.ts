export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly most: number;
}

/** What came of a run, as it prints it. */
export interface StalenessReport {
  readonly seed: number;
  readonly writes: number;
  readonly reads: number;
  readonly seconds: number;
  /** Times that the proxy lost the news of writes. */
  readonly losses: number;
  /** Reads of values that their key never had. */
  readonly wrong: readonly string[];
  /** How long after the acknowledgement of a write the last read began that did not see it, of all writes. */
  readonly delaysMs: Percentiles;
  /** What a read took, which is what the machine has time for. */
  readonly latenciesMs: Percentiles;
}
