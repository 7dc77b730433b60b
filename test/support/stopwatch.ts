/**
 * Milliseconds that a busy machine may add to a duration that a promise limits. Small compared with what a violation waits
 * for: a connection that is never replaced, or a time-out that a test has set to many seconds.
 */
export const BUSY_MS = 5000;
/** Interval of the timer that measures how late this process runs. */
const TICK_MS = 5;

/**
 * Measures time on a busy machine. Leaves out the time in which this process could not run, known from a timer that fires
 * late: the processes under test could not run either.
 */
export class Stopwatch {
  readonly #start = performance.now();
  #dueAt = this.#start;
  #lateMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor() {
    this.#schedule();
  }

  /** Milliseconds since the start, without those in which this process could not run. */
  stop(): number {
    this.#addLateness();
    clearTimeout(this.#timer);
    return performance.now() - this.#start - this.#lateMs;
  }

  #schedule(): void {
    this.#dueAt = performance.now() + TICK_MS;
    this.#timer = setTimeout(() => {
      this.#addLateness();
      this.#schedule();
    }, TICK_MS).unref();
  }

  #addLateness(): void {
    this.#lateMs += Math.max(0, performance.now() - this.#dueAt);
  }
}
