/** Estimated bytes of values that the loads of one connection or multi-key read may have in flight. */
const WINDOW_BYTES = 2 ** 20;
/** Estimated length of a value before the first one is known; it permits few concurrent loads. */
const FIRST_ESTIMATE = 2 ** 18;

/**
 * Limits the loads in flight of one connection or multi-key read, so that requests for large values do not occupy the
 * thread's connection to Redis and delay the loads of other clients. The length of a value is unknown until it is loaded;
 * it is estimated from recent values.
 *
 * The estimate follows a larger value immediately and halves with each smaller one. Above the initial estimate it decreases
 * slowly, because large values are likely to recur.
 */
export class LoadWindow {
  readonly #maxLoads: number;
  #estimate: number;

  /** @param estimate initial estimate of the length of a value in bytes. */
  constructor(maxLoads: number, estimate = FIRST_ESTIMATE) {
    this.#maxLoads = maxLoads;
    this.#estimate = estimate;
  }

  /** Estimated length of a value in bytes, at least 1. */
  get estimate(): number {
    return this.#estimate;
  }

  /** Number of loads that may be in flight: 1 to `maxLoads`. */
  get size(): number {
    return Math.min(this.#maxLoads, Math.max(1, Math.floor(WINDOW_BYTES / this.#estimate)));
  }

  /** Updates the estimate with the length of a loaded value. */
  observe(bytes: number): void {
    const estimate = this.#estimate;
    this.#estimate = Math.max(1, bytes, estimate > FIRST_ESTIMATE ? estimate - estimate / 16 : estimate / 2);
  }
}
