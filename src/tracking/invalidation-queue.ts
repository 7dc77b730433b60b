import type { SharedLru } from '../cache/shared-lru/shared-lru.ts';

/** The cache operations that the queue uses. */
export type MutableCache = Pick<SharedLru, 'tryPurge' | 'tryFlush' | 'tryExpireAll' | 'trustUntil'>;

/** Maximum number of pending mutations; beyond it the whole cache is flushed instead. */
export const MAX_PENDING = 1000;

interface Mutation {
  /** Returns false, with nothing changed, while the cache lock is held. */
  readonly attempt: () => boolean;
  /** Called after the mutation. */
  readonly done?: (() => void) | undefined;
}

/**
 * FIFO queue of cache mutations issued by the main thread, executed immediately while the lock is free. The queue never blocks
 * on the cache lock, whose holder may be a crashed thread that only the main thread can clean up after; a mutation that finds
 * the lock held is retried later. Meanwhile no thread can read the cache either.
 */
export class InvalidationQueue {
  readonly #lru: MutableCache;
  readonly #later: (work: () => void) => void;
  #pending: Mutation[] = [];
  #scheduled = false;

  /** @param later schedules a retry. */
  constructor(lru: MutableCache, later: (work: () => void) => void) {
    this.#lru = lru;
    this.#later = later;
  }

  purge(key: Buffer, done?: () => void): void {
    if (this.#pending.length === 0 && this.#lru.tryPurge(key)) return done?.();
    // The key is a view of a larger received chunk; copy it.
    const own = Buffer.from(key);
    this.#enqueue({ attempt: () => this.#lru.tryPurge(own), done });
  }

  flush(done?: () => void): void {
    this.#enqueue({ attempt: () => this.#lru.tryFlush(), done });
  }

  expireAll(done?: () => void): void {
    this.#enqueue({ attempt: () => this.#lru.tryExpireAll(), done });
  }

  /** Calls {@link SharedLru.trustUntil} after all pending mutations. */
  trustUntil(time: number): void {
    if (this.#pending.length === 0) this.#lru.trustUntil(time);
    else this.#enqueue({ attempt: () => true, done: () => this.#lru.trustUntil(time) });
  }

  #enqueue(mutation: Mutation): void {
    this.#pending.push(mutation);
    if (this.#pending.length > MAX_PENDING) this.#collapse();
    this.#drain();
  }

  /** Replaces all pending mutations by a flush, which includes them. */
  #collapse(): void {
    const callbacks = this.#pending.flatMap(({ done }) => done ?? []);
    const done = (): void => {
      for (const callback of callbacks) callback();
    };
    this.#pending = [{ attempt: () => this.#lru.tryFlush(), done }];
  }

  #drain(): void {
    let executed = 0;
    for (const mutation of this.#pending) {
      if (!mutation.attempt()) break;
      executed++;
      mutation.done?.();
    }
    this.#pending.splice(0, executed);
    if (this.#pending.length === 0 || this.#scheduled) return;
    this.#scheduled = true;
    this.#later(() => {
      this.#scheduled = false;
      this.#drain();
    });
  }
}
