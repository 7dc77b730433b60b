import type { Mutex } from '../../net/mutex.ts';
import { MUTEX_WRITE_TIMEOUT_MS } from '../../net/time-limits.ts';

/**
 * Serialises the requests of a connection with those of all others (PROXY_MODE=sequential). A request holds the mutex until
 * the kernel has accepted its reply, or for {@link MUTEX_WRITE_TIMEOUT_MS} if the client does not read.
 */
export class RequestLock {
  readonly #mutex: Mutex;
  #isWaiting = false;
  #isHeld = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(mutex: Mutex) {
    this.#mutex = mutex;
  }

  /** Whether a request waits for the mutex or holds it, so that the next one must wait. */
  get isBusy(): boolean {
    return this.#isWaiting || this.#isHeld;
  }

  /** Whether a request holds the mutex. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  tryAcquire(): boolean {
    return (this.#isHeld = this.#mutex.tryAcquire());
  }

  /** Calls `start` once the mutex was acquired. */
  wait(start: () => void): void {
    this.#isWaiting = true;
    this.#mutex.wait(() => {
      this.#isWaiting = false;
      this.#isHeld = true;
      start();
    });
  }

  /** Releases the mutex when the client should have read the reply. */
  releaseLater(): void {
    this.#timer ??= setTimeout(() => this.release(), MUTEX_WRITE_TIMEOUT_MS);
  }

  /** Releases the mutex if it is held. */
  release(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#mutex.release();
  }
}
