import { InstanceMemory, InstanceWord, ROWS, RowWord } from '../../instance/instance-memory.ts';
import { SharedLock } from '../shared-lru/memory/shared-lock.ts';

/** How many loads there may be, in all threads together. */
export interface LoadLimits {
  readonly maxConcurrentLoads: number;
  readonly maxQueuedLoads: number;
  /** Milliseconds that a load may wait for its turn. */
  readonly queueTimeoutMs: number;
}

/** `full`: too many wait already. `expired`: it has waited too long. */
export type Admission = 'entered' | 'full' | 'expired';

interface Waiter {
  readonly enter: (entry: Admission) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Bounds the loads of the whole instance. A load that finds no place waits, first come first served within its thread;
 * a place that falls free goes to the waiting threads in turn, handed over without ever being free.
 */
export class LoadLimiter {
  readonly #memory: InstanceMemory;
  readonly #words: Int32Array;
  readonly #thread: number;
  readonly #lock: SharedLock;
  readonly #limits: LoadLimits;
  readonly #waiters = new Set<Waiter>();
  #listening = false;

  /**
   * @param thread the thread's row.
   * @param owner a number other than 0 that no other thread, dead or alive, has.
   */
  constructor(memory: InstanceMemory, thread: number, owner: number, limits: LoadLimits) {
    this.#memory = memory;
    this.#words = memory.words;
    this.#thread = thread;
    this.#lock = new SharedLock(memory.words, owner);
    this.#limits = limits;
  }

  /** Takes a place, at once if there is one. Who has entered must leave. */
  acquire(): Admission | Promise<Admission> {
    const words = this.#words;
    const { maxConcurrentLoads, maxQueuedLoads } = this.#limits;
    this.#lock.acquire();
    try {
      if (words[InstanceWord.LOADS] < maxConcurrentLoads) {
        words[InstanceWord.LOADS]++;
        words[this.#word(RowWord.HELD)]++;
        return 'entered';
      }
      if (words[InstanceWord.WAITING_LOADS] >= maxQueuedLoads) return 'full';
      words[InstanceWord.WAITING_LOADS]++;
      words[this.#word(RowWord.WAITING)]++;
    } finally {
      this.#lock.release();
    }
    return this.#wait();
  }

  release(): void {
    this.#lock.acquire();
    try {
      this.#words[this.#word(RowWord.HELD)]--;
      this.#words[InstanceWord.LOADS]--;
      this.#fillPlaces();
    } finally {
      this.#lock.release();
    }
    this.#admit();
  }

  /**
   * Gives back the places of a thread that has died, and forgets those of its loads that waited. False when it has to be
   * tried again later: the lock's holder may be another dead thread.
   */
  recoverFrom(deadThread: number, deadOwner: number): boolean {
    const words = this.#words;
    if (!this.#lock.seizeFrom(deadOwner) && !this.#lock.tryAcquire()) return false;
    try {
      for (const word of [RowWord.HELD, RowWord.WAITING, RowWord.GRANTED]) {
        words[InstanceMemory.word(deadThread, word)] = 0;
      }
      // Also right when it died in the middle of a change: the sums follow from the rows.
      words[InstanceWord.WAITING_LOADS] = this.#memory.sum(RowWord.WAITING);
      words[InstanceWord.LOADS] = this.#memory.sum(RowWord.HELD) + this.#memory.sum(RowWord.GRANTED);
      this.#fillPlaces();
    } finally {
      this.#lock.release();
    }
    this.#admit();
    return true;
  }

  /** Grants what places there are to the threads that wait, in turn. Under the lock. */
  #fillPlaces(): void {
    const words = this.#words;
    while (words[InstanceWord.LOADS] < this.#limits.maxConcurrentLoads && words[InstanceWord.WAITING_LOADS] > 0) {
      const thread = this.#nextWaiting();
      words[InstanceMemory.word(thread, RowWord.WAITING)]--;
      words[InstanceWord.WAITING_LOADS]--;
      words[InstanceWord.LOADS]++;
      const granted = InstanceMemory.word(thread, RowWord.GRANTED);
      Atomics.add(words, granted, 1);
      if (thread !== this.#thread) Atomics.notify(words, granted);
    }
  }

  #nextWaiting(): number {
    const words = this.#words;
    let thread = words[InstanceWord.NEXT_ROW];
    while (words[InstanceMemory.word(thread, RowWord.WAITING)] === 0) thread = (thread + 1) % ROWS;
    words[InstanceWord.NEXT_ROW] = (thread + 1) % ROWS;
    return thread;
  }

  /** Lets in as many of this thread's loads as places were granted to it: never more than wait. */
  #admit(): void {
    const granted = this.#word(RowWord.GRANTED);
    if (Atomics.load(this.#words, granted) === 0) return;
    this.#lock.acquire();
    const places = Atomics.exchange(this.#words, granted, 0);
    this.#words[this.#word(RowWord.HELD)] += places;
    this.#lock.release();
    const admitted = [...this.#waiters].slice(0, places);
    for (const waiter of admitted) {
      this.#waiters.delete(waiter);
      clearTimeout(waiter.timer);
      waiter.enter('entered');
    }
  }

  #wait(): Promise<Admission> {
    const entry = new Promise<Admission>((enter) => {
      const timer = setTimeout(() => this.#expire(waiter), this.#limits.queueTimeoutMs).unref();
      const waiter: Waiter = { enter, timer };
      this.#waiters.add(waiter);
    });
    void this.#listen();
    return entry;
  }

  #expire(waiter: Waiter): void {
    this.#lock.acquire();
    const waiting = this.#words[this.#word(RowWord.WAITING)] > 0;
    if (waiting) {
      this.#words[this.#word(RowWord.WAITING)]--;
      this.#words[InstanceWord.WAITING_LOADS]--;
    }
    this.#lock.release();
    // When none of this thread's waits any more, there is a grant for each, this one included.
    if (!waiting) return this.#admit();
    this.#waiters.delete(waiter);
    waiter.enter('expired');
  }

  /** Notices what other threads grant, as long as something waits. */
  async #listen(): Promise<void> {
    if (this.#listening) return;
    this.#listening = true;
    while (this.#waiters.size > 0) {
      const wait = Atomics.waitAsync(this.#words, this.#word(RowWord.GRANTED), 0, this.#limits.queueTimeoutMs);
      if (wait.async) await wait.value;
      this.#admit();
    }
    this.#listening = false;
  }

  #word(name: number): number {
    return InstanceMemory.word(this.#thread, name);
  }
}
