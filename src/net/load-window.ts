/** Bytes of values that the loads of one connection may bring at once, as far as that can be estimated. */
const WINDOW_BYTES = 2 ** 20;
/** What a value is taken for while nothing is known of the connection's values: few loads begin at once. */
const FIRST_ESTIMATE = 2 ** 18;
const MAX_LOADS = 128;

/**
 * How many loads of one connection may be in flight. How long a value is, is not known before it is loaded; so it is
 * estimated by the largest of the connection's recent values. Many requests for large values that arrive at once would
 * otherwise keep the thread's connection to Redis busy for long, and everybody else's loads behind them.
 *
 * The estimate follows a larger value at once, halves with each smaller one, and from the size of large values on goes back
 * slowly: among small values, a large one is to be expected again.
 */
export class LoadWindow {
  #estimate = FIRST_ESTIMATE;

  /** Loads that may be in flight: 1 to 128. */
  get size(): number {
    return Math.min(MAX_LOADS, Math.max(1, Math.floor(WINDOW_BYTES / this.#estimate)));
  }

  /** Takes note of a value that was loaded. */
  observe(bytes: number): void {
    const estimate = this.#estimate;
    this.#estimate = Math.max(1, bytes, estimate > FIRST_ESTIMATE ? estimate - estimate / 16 : estimate / 2);
  }
}
