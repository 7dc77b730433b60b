import type { SharedLru } from '../cache/shared-lru/shared-lru.ts';

/** The cache operations that the queue uses. */
export type MutableCache = Pick<SharedLru, 'tryPurge' | 'tryFlush' | 'tryExpireAll' | 'trustUntil'>;

/** Maximum number of pending mutations; beyond it the whole cache is flushed instead. */
export const MAX_PENDING = 1000;

interface Mutation {
  /** Returns false, with nothing changed, while the cache lock is held. */
  readonly attempt: () => boolean;
  /** Called after the mutation. */
  readonly onDone?: (() => void) | undefined;
}

/**
 * FIFO queue of cache mutations issued by the main thread, executed immediately while the lock is free. The queue never blocks
 * on the cache lock, whose holder may be a crashed thread that only the main thread can clean up after; a mutation that finds
 * the lock held is retried later. Meanwhile no thread can read the cache either.
 */
export class InvalidationQueue {
  readonly #lru: MutableCache;
  readonly #scheduleRetry: (retry: () => void) => void;
  #pending: Mutation[] = [];
  #scheduled = false;

  /** @param scheduleRetry calls its argument a little later. */
  constructor(lru: MutableCache, scheduleRetry: (retry: () => void) => void) {
    this.#lru = lru;
    this.#scheduleRetry = scheduleRetry;
  }

  purge(key: Buffer, onDone?: () => void): void {
    if (this.#pending.length === 0 && this.#lru.tryPurge(key)) return onDone?.();
    // The key is a view of a larger received chunk; copy it.
    const own = Buffer.from(key);
    this.#enqueue({ attempt: () => this.#lru.tryPurge(own), onDone });
  }

  flush(onDone?: () => void): void {
    this.#enqueue({ attempt: () => this.#lru.tryFlush(), onDone });
  }

  expireAll(onDone?: () => void): void {
    this.#enqueue({ attempt: () => this.#lru.tryExpireAll(), onDone });
  }

  /** Calls {@link SharedLru.trustUntil} after all pending mutations. */
  trustUntil(time: number): void {
    if (this.#pending.length === 0) this.#lru.trustUntil(time);
    else this.#enqueue({ attempt: () => true, onDone: () => this.#lru.trustUntil(time) });
  }

  #enqueue(mutation: Mutation): void {
    this.#pending.push(mutation);
    if (this.#pending.length > MAX_PENDING) this.#collapse();
    this.#drain();
  }

  /** Replaces all pending mutations by a flush, which includes them. */
  #collapse(): void {
    const callbacks = this.#pending.flatMap(({ onDone }) => onDone ?? []);
    const onDone = (): void => {
      for (const callback of callbacks) callback();
    };
    this.#pending = [{ attempt: () => this.#lru.tryFlush(), onDone }];
  }

  #drain(): void {
    let executed = 0;
    for (const mutation of this.#pending) {
      if (!mutation.attempt()) break;
      executed++;
      mutation.onDone?.();
    }
    this.#pending.splice(0, executed);
    if (this.#pending.length === 0 || this.#scheduled) return;
    this.#scheduled = true;
    this.#scheduleRetry(() => {
      this.#scheduled = false;
      this.#drain();
    });
  }
}
