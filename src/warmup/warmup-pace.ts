/** Minimum number of loads per second of a warm-up that is spread over time: a short file need not take all of it. */
const MIN_LOADS_PER_S = 100;
/** Maximum milliseconds from one batch of a warm-up that is spread over time to the next. */
const INTERVAL_MS = 100;

/** Maximum number of loads in a batch: they are started in one tick, in which the thread does nothing else. */
export const MAX_BATCH_LOADS = 256;

/**
 * Decides when a warm-up may start how many loads. If there is time to spread them over: evenly, no faster than needed to end
 * within it. In any case it pauses after a batch for as long as the batch took, so that Redis and the thread have half of their
 * time for others.
 */
export class WarmupPace {
  readonly #startedAt: number;
  readonly #loadsPerMs: number;
  readonly #batch: number;
  #started = 0;
  #batchAt = 0;
  #pauseUntil = 0;

  /** @param spreadMs milliseconds over which `total` loads are spread; 0: as soon as possible. */
  constructor(total: number, spreadMs: number, now: number) {
    this.#startedAt = now;
    this.#loadsPerMs = spreadMs === 0 ? Infinity : Math.max(MIN_LOADS_PER_S / 1000, total / spreadMs);
    this.#batch = Math.min(MAX_BATCH_LOADS, Math.ceil(this.#loadsPerMs * INTERVAL_MS));
  }

  /** Maximum number of loads that may start now; 0 if none may. */
  due(now: number): number {
    if (now < this.#pauseUntil) return 0;
    const due = Math.min(
      MAX_BATCH_LOADS,
      Math.floor((now - this.#startedAt) * this.#loadsPerMs) + this.#batch - this.#started,
    );
    return this.#loadsPerMs === Infinity ? MAX_BATCH_LOADS : due < this.#batch ? 0 : due;
  }

  /** Milliseconds until {@link due} may be more than 0, at least 1. */
  delayMs(now: number): number {
    const dueAt = this.#startedAt + this.#started / this.#loadsPerMs;
    return Math.max(1, this.#pauseUntil - now, dueAt - now);
  }

  /** Notes that a batch of loads starts. */
  start(loads: number, now: number): void {
    this.#started += loads;
    this.#batchAt = now;
  }

  /** Notes that the batch has ended. */
  end(now: number): void {
    this.#pauseUntil = now + (now - this.#batchAt);
  }
}
