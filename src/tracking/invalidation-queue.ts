import { PurgeProgress, type PurgeStep } from '../cache/shared-lru/cache-types.ts';
import type { SharedLru } from '../cache/shared-lru/shared-lru.ts';

/** The cache operations that the queue uses. */
export type MutableCache = Pick<SharedLru, 'tryPurge' | 'tryFlush' | 'tryExpireAll' | 'trustUntil'>;

/** Maximum number of pending mutations; beyond it the whole cache is flushed instead. */
export const MAX_PENDING = 1000;

/** When the queue continues, each given as a function that calls its argument then. */
export interface QueueSchedule {
  /** A little later: the cache lock is held. */
  readonly retry: (work: () => void) => void;
  /** In the next turn of the event loop: a purge is in progress. */
  readonly next: (work: () => void) => void;
}

/** Milliseconds between attempts to acquire the cache lock. */
const LOCK_RETRY_MS = 1;

/** The schedule of the main thread. */
export const SCHEDULE: QueueSchedule = {
  retry: (work) => void setTimeout(work, LOCK_RETRY_MS),
  next: (work) => void setImmediate(work),
};

interface Mutation {
  /** A purge may take several steps, and others may begin meanwhile. */
  readonly isPurge: boolean;
  /** Does nothing while the cache lock is held, see {@link PurgeStep}. */
  readonly attempt: () => PurgeStep;
  /** Called after the mutation. */
  readonly callbacks: (() => void)[];
}

/**
 * FIFO queue of cache mutations issued by the main thread, executed immediately while the lock is free. The queue never blocks
 * on the cache lock, whose holder may be a crashed thread that only the main thread can clean up after; a mutation that finds
 * the lock held is retried later. Threads still serve entries meanwhile, but not beyond the time they are trusted until.
 *
 * A purge of a key with many queries continues with one step in each turn of the event loop. Later purges need not wait for it;
 * all other mutations do.
 */
export class InvalidationQueue {
  readonly #lru: MutableCache;
  readonly #schedule: QueueSchedule;
  /** Purges that have begun, in this order, and will be completed in this order. */
  #begun: Mutation[] = [];
  /** Mutations that have not begun. */
  #pending: Mutation[] = [];
  #isScheduled = false;

  constructor(lru: MutableCache, schedule: QueueSchedule) {
    this.#lru = lru;
    this.#schedule = schedule;
  }

  /** @param onDone called with the key, after the mutation. */
  purge(key: Buffer, onDone?: (key: Buffer) => void): void {
    const progress = new PurgeProgress();
    const step = this.#beginPending() || this.#pending.length > 0 ? 'locked' : this.#lru.tryPurge(key, progress);
    if (step === 'done') return onDone?.(key);
    // The key is a view of a larger received chunk; copy it.
    const own = Buffer.from(key);
    const mutation = {
      isPurge: true,
      attempt: () => this.#lru.tryPurge(own, progress),
      callbacks: calling(onDone && (() => onDone(own))),
    };
    if (step === 'more') this.#begun.push(mutation);
    else this.#pending.push(mutation);
    this.#limit();
    this.#continueLater(step === 'locked');
  }

  flush(onDone?: () => void): void {
    this.#enqueue(() => this.#lru.tryFlush(), onDone);
  }

  expireAll(onDone?: () => void): void {
    this.#enqueue(() => this.#lru.tryExpireAll(), onDone);
  }

  /** Calls {@link SharedLru.trustUntil} after all mutations before. */
  trustUntil(time: number): void {
    const trust = (): void => this.#lru.trustUntil(time);
    const lastBegun = this.#begun.at(-1);
    if (this.#pending.length > 0) this.#enqueue(() => true, trust);
    // Not as a mutation of its own, for which later purges would wait.
    else if (lastBegun !== undefined) lastBegun.callbacks.push(trust);
    else trust();
  }

  #enqueue(attempt: () => boolean, onDone: (() => void) | undefined): void {
    this.#pending.push({
      isPurge: false,
      attempt: () => (attempt() ? 'done' : 'locked'),
      callbacks: calling(onDone),
    });
    this.#limit();
    this.#continueLater(this.#beginPending());
  }

  /** Replaces all mutations, if there are too many, by a flush, which includes them. */
  #limit(): void {
    if (this.#begun.length + this.#pending.length <= MAX_PENDING) return;
    const callbacks = [...this.#begun, ...this.#pending].flatMap((mutation) => mutation.callbacks);
    this.#begun = [];
    this.#pending = [{ isPurge: false, attempt: () => (this.#lru.tryFlush() ? 'done' : 'locked'), callbacks }];
  }

  #continueLater(isLocked: boolean): void {
    if (this.#isScheduled || this.#begun.length + this.#pending.length === 0) return;
    this.#isScheduled = true;
    this.#schedule[isLocked ? 'retry' : 'next'](() => {
      this.#isScheduled = false;
      this.#continueLater(this.#continuePurge() || this.#beginPending());
    });
  }

  /** Makes the next step of the first purge that has begun; returns whether the lock was held. */
  #continuePurge(): boolean {
    if (this.#begun.length === 0) return false;
    const step = this.#begun[0].attempt();
    if (step === 'done') complete(this.#begun.shift());
    return step === 'locked';
  }

  /** Begins pending mutations in their order; returns whether it stopped because the lock was held. */
  #beginPending(): boolean {
    if (this.#pending.length === 0) return false;
    let begun = 0;
    let step: PurgeStep = 'done';
    for (const mutation of this.#pending) {
      if (!mutation.isPurge && this.#begun.length > 0) break;
      step = mutation.attempt();
      if (step === 'locked') break;
      begun++;
      if (step === 'more') this.#begun.push(mutation);
      else complete(mutation);
    }
    this.#pending.splice(0, begun);
    return step === 'locked';
  }
}

function calling(onDone: (() => void) | undefined): (() => void)[] {
  return onDone === undefined ? [] : [onDone];
}

function complete(mutation: Mutation | undefined): void {
  for (const callback of mutation?.callbacks ?? []) callback();
}
