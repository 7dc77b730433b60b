/** Interval of the timer that measures how late this process runs. */
const TICK_MS = 5;

/**
 * Measures time on a busy machine. Leaves out the time in which this process could not run, known from a timer that fires
 * late: the processes under test could not run either.
 */
export class Stopwatch {
  readonly #start = performance.now();
  #due = this.#start;
  #lateMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor() {
    this.#wait();
  }

  /** Milliseconds since the start, without those in which this process could not run. */
  stop(): number {
    this.#look();
    clearTimeout(this.#timer);
    return performance.now() - this.#start - this.#lateMs;
  }

  #wait(): void {
    this.#due = performance.now() + TICK_MS;
    this.#timer = setTimeout(() => {
      this.#look();
      this.#wait();
    }, TICK_MS).unref();
  }

  #look(): void {
    this.#lateMs += Math.max(0, performance.now() - this.#due);
  }
}
