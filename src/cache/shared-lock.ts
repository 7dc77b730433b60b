import { isMainThread } from 'node:worker_threads';
import { Header } from './layout.ts';

/** Tries before a waiter goes to sleep: a few microseconds, several times what a holder needs. */
const SPINS = 200;
/** Milliseconds a waiter sleeps at most before it looks again, so that a lost wake-up costs no more than this. */
const SLEEP_MS = 5;

/**
 * The one lock of a cache. The lock word holds the owner's id, so that a supervisor can tell whether the owner is still
 * alive. Not re-entrant.
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

  /** Takes the lock if it falls free within a few microseconds: for who must not wait for a holder that may be dead. */
  tryAcquire(): boolean {
    for (let spin = 0; spin < SPINS; spin++) {
      if (Atomics.compareExchange(this.#header, Header.LOCK, 0, this.#owner) === 0) return true;
    }
    return false;
  }

  release(): void {
    Atomics.store(this.#header, Header.LOCK, 0);
    if (Atomics.load(this.#header, Header.LOCK_WAITERS) > 0) Atomics.notify(this.#header, Header.LOCK, 1);
  }

  /** The id of the thread that holds the lock, 0 when it is free. */
  get holder(): number {
    return Atomics.load(this.#header, Header.LOCK);
  }

  /** Makes this thread the holder in place of a dead one; false if that one did not hold it. */
  seizeFrom(dead: number): boolean {
    return Atomics.compareExchange(this.#header, Header.LOCK, dead, this.#owner) === dead;
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
    }
  }
}

/**
 * Ends a thread that would wait for itself. V8 skips `finally` when it terminates a thread (out of memory, `terminate()`),
 * so the lock stays held; yet Node.js still runs the callbacks that were due already, and one of them has come here.
 */
function endThread(): never {
  if (!isMainThread) process.exit(1);
  throw new Error('this thread holds the lock already');
}
