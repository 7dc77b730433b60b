import { performance } from 'node:perf_hooks';

interface HeldRead {
  /** Called once: with true when the connection is ready. */
  readonly resume: (ready: boolean) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Reads that wait while their connection is re-established, because it may have been lost to a change of credentials. They wait
 * for a limited time after the loss; afterwards reads fail fast as with any other loss.
 */
export class HeldReads {
  readonly #reads = new Set<HeldRead>();
  /** Time by `performance.now()` until which reads are held. */
  #until = -Infinity;

  /** Whether reads are held. */
  get isHolding(): boolean {
    return performance.now() < this.#until;
  }

  /** Starts to hold reads for so many milliseconds. */
  begin(ms: number): void {
    if (!this.isHolding) this.#until = performance.now() + ms;
  }

  /**
   * Holds a read.
   *
   * @param deadline time by `performance.now()` after which the read fails.
   * @param resume called once: with true when the connection is ready, with false if it will not be in time.
   */
  hold(deadline: number, resume: (ready: boolean) => void): void {
    const ms = Math.min(deadline, this.#until) - performance.now();
    const timer = setTimeout(() => this.#end(read, false), Math.max(0, ms));
    const read: HeldRead = { resume, timer };
    this.#reads.add(read);
  }

  /** Stops to hold reads and resumes them; `ready`: the connection is ready. */
  release(ready: boolean): void {
    this.#until = -Infinity;
    for (const read of [...this.#reads]) this.#end(read, ready);
  }

  #end(read: HeldRead, ready: boolean): void {
    clearTimeout(read.timer);
    this.#reads.delete(read);
    read.resume(ready);
  }
}
