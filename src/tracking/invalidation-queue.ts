import type { SharedLru } from '../cache/shared-lru/shared-lru.ts';

/** What is used of the cache. */
export type OrderedCache = Pick<SharedLru, 'tryPurge' | 'tryFlush' | 'tryExpireAll' | 'trustUntil'>;

/** Orders that wait at most; when there are more all keys are forgotten at once. */
export const MOST_WAITING = 1000;

interface Order {
  /** False: the cache's lock is held, and nothing was done. */
  readonly attempt: () => boolean;
  /** What is to follow when it has been done. */
  readonly done?: (() => void) | undefined;
}

/**
 * What the main thread orders of the cache, carried out in the order in which it was given, and at once as long as the
 * lock is free. It never waits for the lock, whose holder may be a dead thread that only the main thread can bury: what
 * cannot be done now is done later. Meanwhile nobody is answered from a cache whose lock a dead thread holds.
 */
export class InvalidationQueue {
  readonly #lru: OrderedCache;
  readonly #later: (work: () => void) => void;
  #waiting: Order[] = [];
  #scheduled = false;

  /** @param later calls a function soon. */
  constructor(lru: OrderedCache, later: (work: () => void) => void) {
    this.#lru = lru;
    this.#later = later;
  }

  purge(key: Buffer, done?: () => void): void {
    if (this.#waiting.length === 0 && this.#lru.tryPurge(key)) return done?.();
    // What Redis sent is a view of a larger chunk, which need not be kept.
    const own = Buffer.from(key);
    this.#give({ attempt: () => this.#lru.tryPurge(own), done });
  }

  flush(done?: () => void): void {
    this.#give({ attempt: () => this.#lru.tryFlush(), done });
  }

  expireAll(done?: () => void): void {
    this.#give({ attempt: () => this.#lru.tryExpireAll(), done });
  }

  /** As {@link SharedLru.trustUntil}: what was told before has been purged by then. */
  trustUntil(time: number): void {
    if (this.#waiting.length === 0) this.#lru.trustUntil(time);
    else this.#give({ attempt: () => true, done: () => this.#lru.trustUntil(time) });
  }

  #give(order: Order): void {
    this.#waiting.push(order);
    if (this.#waiting.length > MOST_WAITING) this.#forgetAll();
    this.#work();
  }

  /** To forget all keys does more than any of the orders. */
  #forgetAll(): void {
    const followers = this.#waiting.flatMap(({ done }) => done ?? []);
    const done = (): void => {
      for (const follower of followers) follower();
    };
    this.#waiting = [{ attempt: () => this.#lru.tryFlush(), done }];
  }

  #work(): void {
    let carriedOut = 0;
    for (const order of this.#waiting) {
      if (!order.attempt()) break;
      carriedOut++;
      order.done?.();
    }
    this.#waiting.splice(0, carriedOut);
    if (this.#waiting.length === 0 || this.#scheduled) return;
    this.#scheduled = true;
    this.#later(() => {
      this.#scheduled = false;
      this.#work();
    });
  }
}
