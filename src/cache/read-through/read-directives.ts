/** What a reader asks of an answer, apart from the key. */
export interface ReadDirectives {
  /** Milliseconds; what was stored longer ago is loaded anew, and at 0 whatever is held. A failure is told as it is then. */
  readonly maxAgeMs?: number;
  /** Whether nothing is to be loaded. */
  readonly onlyIfCached?: boolean;
}
