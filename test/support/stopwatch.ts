/** How often it is looked whether this process gets its turns. */
const TICK_MS = 5;

/**
 * Measures time on a machine that may have more to do than it has cores for: what passes while this process is kept from
 * running, which is known by a timer that fires late, is left out, as the processes it waits for fare no better.
 */
export class Stopwatch {
  readonly #start = performance.now();
  #due = this.#start;
  #lateMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor() {
    this.#wait();
  }

  /** Milliseconds since the start, less those that this process was kept waiting. */
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
