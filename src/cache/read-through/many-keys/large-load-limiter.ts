/** Bytes of large values in flight. A small value queued behind them is delayed by some hundredths of a second at most. */
const MAX_BYTES = 8 * 2 ** 20;

interface Waiter {
  readonly bytes: number;
  readonly resolve: () => void;
}

/**
 * Bounds the bytes of large values that the multi-key reads of a thread load at once, since these share its connection to
 * Redis with the small values of other clients. First come, first served: a read acquires one batch at a time, so reads
 * alternate.
 */
export class LargeLoadLimiter {
  #bytes = 0;
  readonly #waiters: Waiter[] = [];

  /**
   * Waits until `bytes` more may be in flight; more than the limit only on their own. {@link release} must follow.
   *
   * @returns undefined if they may be in flight now.
   */
  acquire(bytes: number): Promise<void> | undefined {
    if (this.#waiters.length === 0 && this.#tryAcquire(bytes)) return undefined;
    return new Promise((resolve) => this.#waiters.push({ bytes, resolve }));
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
    for (let first; (first = this.#waiters.at(0)) !== undefined && this.#tryAcquire(first.bytes);) {
      this.#waiters.shift();
      first.resolve();
    }
  }

  #tryAcquire(bytes: number): boolean {
    if (this.#bytes > 0 && this.#bytes + bytes > MAX_BYTES) return false;
    this.#bytes += bytes;
    return true;
  }
}
