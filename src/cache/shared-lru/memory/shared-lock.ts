import { isMainThread } from 'node:worker_threads';
import { Header } from './layout.ts';

/** Attempts before a waiter sleeps: a few microseconds, several times as long as a holder needs. */
const SPINS = 200;
/** Maximum milliseconds that a waiter sleeps before it tries again; bounds the cost of a lost wake-up. */
const SLEEP_MS = 5;
/** Maximum milliseconds for which a thread gives way to a waiter that does not wake up: it may wait for a core, or have crashed. */
const GIVE_WAY_MS = 0.5;

/**
 * Lock in shared memory. The lock word holds the owner's id, so that the supervisor can tell whether the owner is still
 * running. Not re-entrant.
 */
export class SharedLock {
  readonly #header: Int32Array;
  readonly #owner: number;

  /** @param owner a number other than 0 that no other thread has. */
  constructor(header: Int32Array, owner: number) {
    this.#header = header;
    this.#owner = owner;
  }

  acquire(): void {
    const holder = Atomics.compareExchange(this.#header, Header.LOCK, 0, this.#owner);
    if (holder === 0) return;
    if (holder === this.#owner) endThread();
    this.#contend();
  }

  /**
   * Acquires the lock if it is released within a few microseconds: for callers that must not wait for a crashed holder.
   *
   * @param attempts number of attempts; 1 acquires it only if it is free.
   */
  tryAcquire(attempts = SPINS): boolean {
    for (let spin = 0; spin < attempts; spin++) {
      if (Atomics.compareExchange(this.#header, Header.LOCK, 0, this.#owner) === 0) return true;
    }
    return false;
  }

  release(): void {
    Atomics.store(this.#header, Header.LOCK, 0);
    if (Atomics.load(this.#header, Header.LOCK_WAITERS) > 0) Atomics.notify(this.#header, Header.LOCK, 1);
  }

  /** Runs a section under the lock, and returns its result. */
  hold<Result>(section: () => Result): Result {
    this.acquire();
    try {
      return section();
    } finally {
      this.release();
    }
  }

  /** Runs a section if the lock is released within a few microseconds; returns whether it did. */
  tryHold(section: () => void): boolean {
    if (!this.tryAcquire()) return false;
    try {
      section();
    } finally {
      this.release();
    }
    return true;
  }

  /** Lets a waiting thread acquire the lock, which this thread has just released and is about to acquire again. */
  giveWay(): void {
    const waiters = Atomics.load(this.#header, Header.LOCK_WAITERS);
    if (waiters > 0) Atomics.wait(this.#header, Header.LOCK_WAITERS, waiters, GIVE_WAY_MS);
  }

  /** Id of the thread that holds the lock; 0 if it is free. */
  get holder(): number {
    return Atomics.load(this.#header, Header.LOCK);
  }

  /** Takes the lock over from a crashed thread; false if that thread did not hold it. */
  seizeFrom(crashed: number): boolean {
    return Atomics.compareExchange(this.#header, Header.LOCK, crashed, this.#owner) === crashed;
  }

  #contend(): void {
    const header = this.#header;
    const owner = this.#owner;
    for (;;) {
      for (let spin = 0; spin < SPINS; spin++) {
        if (Atomics.load(header, Header.LOCK) === 0 && Atomics.compareExchange(header, Header.LOCK, 0, owner) === 0) {
          return;
        }
      }
      Atomics.add(header, Header.LOCK_WAITERS, 1);
      const holder = Atomics.load(header, Header.LOCK);
      if (holder !== 0) Atomics.wait(header, Header.LOCK, holder, SLEEP_MS);
      Atomics.sub(header, Header.LOCK_WAITERS, 1);
      // A thread that gives way waits for this. It takes longer to wake up than this one to acquire the lock.
      Atomics.notify(header, Header.LOCK_WAITERS);
    }
  }
}

/**
 * Ends a thread that would deadlock with itself. V8 skips `finally` when it terminates a thread (out of memory, `terminate()`),
 * so the lock stays held; Node.js still runs the callbacks that were already due, and one of them called this.
 */
function endThread(): never {
  if (!isMainThread) process.exit(1);
  throw new Error('this thread holds the lock already');
}
