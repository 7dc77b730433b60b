import { InstanceMemory, InstanceWord, ROWS, RowWord } from '../../instance/instance-memory.ts';
import { SharedLock } from '../shared-lru/memory/shared-lock.ts';

/** Limits of loads, over all threads. */
export interface LoadLimits {
  readonly maxConcurrentLoads: number;
  readonly maxQueuedLoads: number;
  /** Maximum milliseconds that a load is queued. */
  readonly queueTimeoutMs: number;
}

/** `queue-full`: too many loads are queued. `queue-timeout`: this load was queued for too long. */
export type Admission = 'admitted' | 'queue-full' | 'queue-timeout';

interface Waiter {
  readonly resolve: (admission: Admission) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Semaphore in shared memory that limits concurrent loads over all threads. Without a free permit a load is queued; the queue
 * is first come, first served within a thread. A released permit is handed directly to the next waiting thread (round robin).
 */
export class LoadLimiter {
  readonly #memory: InstanceMemory;
  readonly #words: Int32Array;
  readonly #thread: number;
  readonly #lock: SharedLock;
  readonly #limits: LoadLimits;
  readonly #waiters = new Set<Waiter>();
  #awaitingGrants = false;

  /**
   * @param thread index of this thread's row.
   * @param owner lock owner id: a number other than 0 that no other thread has or had.
   */
  constructor(memory: InstanceMemory, thread: number, owner: number, limits: LoadLimits) {
    this.#memory = memory;
    this.#words = memory.words;
    this.#thread = thread;
    this.#lock = new SharedLock(memory.words, owner);
    this.#limits = limits;
  }

  /** Acquires a permit, synchronously if one is free. An admitted caller must {@link release} it. */
  acquire(): Admission | Promise<Admission> {
    const words = this.#words;
    const { maxConcurrentLoads, maxQueuedLoads } = this.#limits;
    this.#lock.acquire();
    try {
      if (words[InstanceWord.LOADS] < maxConcurrentLoads) {
        words[InstanceWord.LOADS]++;
        words[this.#word(RowWord.PERMITS_HELD)]++;
        return 'admitted';
      }
      if (words[InstanceWord.WAITING_LOADS] >= maxQueuedLoads) return 'queue-full';
      words[InstanceWord.WAITING_LOADS]++;
      words[this.#word(RowWord.QUEUED_LOADS)]++;
    } finally {
      this.#lock.release();
    }
    return this.#enqueue();
  }

  /**
   * Acquires a permit for a load that no request waits for: only if no load is queued, and fewer than half of the permits are
   * in use. The caller must {@link release} it.
   */
  tryAcquireSpare(): boolean {
    const words = this.#words;
    this.#lock.acquire();
    try {
      const isBusy = words[InstanceWord.LOADS] >= this.#limits.maxConcurrentLoads / 2;
      if (isBusy || words[InstanceWord.WAITING_LOADS] > 0) return false;
      words[InstanceWord.LOADS]++;
      words[this.#word(RowWord.PERMITS_HELD)]++;
      return true;
    } finally {
      this.#lock.release();
    }
  }

  release(): void {
    this.#lock.acquire();
    try {
      this.#words[this.#word(RowWord.PERMITS_HELD)]--;
      this.#words[InstanceWord.LOADS]--;
      this.#grantPermits();
    } finally {
      this.#lock.release();
    }
    this.#admitWaiters();
  }

  /**
   * Releases the permits of a crashed thread and removes its waiters. Returns false if the caller must try again later: the
   * lock's holder may be another crashed thread.
   */
  recoverFrom(crashedThread: number, crashedOwner: number): boolean {
    const words = this.#words;
    if (!this.#lock.seizeFrom(crashedOwner) && !this.#lock.tryAcquire()) return false;
    try {
      for (const word of [RowWord.PERMITS_HELD, RowWord.QUEUED_LOADS, RowWord.PERMITS_GRANTED]) {
        words[InstanceMemory.word(crashedThread, word)] = 0;
      }
      // The sums are recomputed, because the thread may have crashed in the middle of a change.
      words[InstanceWord.WAITING_LOADS] = this.#memory.sum(RowWord.QUEUED_LOADS);
      words[InstanceWord.LOADS] = this.#memory.sum(RowWord.PERMITS_HELD) + this.#memory.sum(RowWord.PERMITS_GRANTED);
      this.#grantPermits();
    } finally {
      this.#lock.release();
    }
    this.#admitWaiters();
    return true;
  }

  /** Grants free permits to waiting threads, round robin. Requires the lock. */
  #grantPermits(): void {
    const words = this.#words;
    while (words[InstanceWord.LOADS] < this.#limits.maxConcurrentLoads && words[InstanceWord.WAITING_LOADS] > 0) {
      const thread = this.#nextWaiting();
      words[InstanceMemory.word(thread, RowWord.QUEUED_LOADS)]--;
      words[InstanceWord.WAITING_LOADS]--;
      words[InstanceWord.LOADS]++;
      const granted = InstanceMemory.word(thread, RowWord.PERMITS_GRANTED);
      Atomics.add(words, granted, 1);
      if (thread !== this.#thread) Atomics.notify(words, granted);
    }
  }

  #nextWaiting(): number {
    const words = this.#words;
    let thread = words[InstanceWord.NEXT_ROW];
    while (words[InstanceMemory.word(thread, RowWord.QUEUED_LOADS)] === 0) thread = (thread + 1) % ROWS;
    words[InstanceWord.NEXT_ROW] = (thread + 1) % ROWS;
    return thread;
  }

  /** Admits as many of this thread's waiters as it was granted permits, which are never more than its waiters. */
  #admitWaiters(): void {
    const granted = this.#word(RowWord.PERMITS_GRANTED);
    if (Atomics.load(this.#words, granted) === 0) return;
    this.#lock.acquire();
    const permits = Atomics.exchange(this.#words, granted, 0);
    this.#words[this.#word(RowWord.PERMITS_HELD)] += permits;
    this.#lock.release();
    const admitted = [...this.#waiters].slice(0, permits);
    for (const waiter of admitted) {
      this.#waiters.delete(waiter);
      clearTimeout(waiter.timer);
      waiter.resolve('admitted');
    }
  }

  #enqueue(): Promise<Admission> {
    const admission = new Promise<Admission>((resolve) => {
      const timer = setTimeout(() => this.#expire(waiter), this.#limits.queueTimeoutMs).unref();
      const waiter: Waiter = { resolve, timer };
      this.#waiters.add(waiter);
    });
    void this.#awaitGrants();
    return admission;
  }

  #expire(waiter: Waiter): void {
    this.#lock.acquire();
    const waiting = this.#words[this.#word(RowWord.QUEUED_LOADS)] > 0;
    if (waiting) {
      this.#words[this.#word(RowWord.QUEUED_LOADS)]--;
      this.#words[InstanceWord.WAITING_LOADS]--;
    }
    this.#lock.release();
    // If no waiter of this thread is counted, every waiter has a granted permit, this one included.
    if (!waiting) return this.#admitWaiters();
    this.#waiters.delete(waiter);
    waiter.resolve('queue-timeout');
  }

  /** Waits for permits granted by other threads, as long as this thread has waiters. */
  async #awaitGrants(): Promise<void> {
    if (this.#awaitingGrants) return;
    this.#awaitingGrants = true;
    while (this.#waiters.size > 0) {
      const wait = Atomics.waitAsync(this.#words, this.#word(RowWord.PERMITS_GRANTED), 0, this.#limits.queueTimeoutMs);
      if (wait.async) await wait.value;
      this.#admitWaiters();
    }
    this.#awaitingGrants = false;
  }

  #word(name: number): number {
    return InstanceMemory.word(this.#thread, name);
  }
}
