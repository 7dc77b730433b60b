import { MUTEX_WRITE_TIMEOUT_MS } from './time-limits.ts';

/**
 * Serialises requests across connections and protocols (PROXY_MODE=sequential). A request releases the mutex when its
 * response has been handed to the kernel, or {@link MUTEX_WRITE_TIMEOUT_MS} after it was rendered, so that a client that
 * does not read cannot block the others.
 */
export class Mutex {
  readonly #waiting: (() => void)[] = [];
  #locked = false;
  #releasing = false;

  /** Acquires the mutex if it is free; the holder must call {@link release}. */
  tryAcquire(): boolean {
    if (this.#locked) return false;
    this.#locked = true;
    return true;
  }

  /** Calls `start` once the mutex has been acquired; `start` may release it synchronously. */
  wait(start: () => void): void {
    this.#waiting.push(start);
  }

  /** Releases the mutex, and starts the waiting requests. */
  release(): void {
    this.#locked = false;
    // The outer call's loop starts the next one: no recursion, however many release synchronously.
    if (this.#releasing) return;
    this.#releasing = true;
    try {
      while (!this.#locked) {
        const start = this.#waiting.shift();
        if (start === undefined) break;
        this.#locked = true;
        start();
      }
    } finally {
      this.#releasing = false;
    }
  }

  /** Calls `start` once the mutex has been acquired, unless the response is closed by then; releases it with the response. */
  run(response: Closeable, start: () => void): void {
    const run = (): void => {
      if (response.destroyed) return this.release();
      this.#releaseWith(response);
      start();
    };
    if (this.tryAcquire()) run();
    else this.wait(run);
  }

  #releaseWith(response: Closeable): void {
    let timer: NodeJS.Timeout | undefined;
    let released = false;
    const release = (): void => {
      clearTimeout(timer);
      if (released) return;
      released = true;
      this.release();
    };
    response.once('close', release);
    response.once('prefinish', () => (timer = setTimeout(release, MUTEX_WRITE_TIMEOUT_MS)));
  }
}

/** A response: completely rendered at `prefinish`; sent, or its client disconnected, at `close`. */
interface Closeable {
  readonly destroyed: boolean;
  once(event: 'close' | 'prefinish', listener: () => void): unknown;
}
