import { InstanceMemory, RowWord } from './instance-memory.ts';

/** Unit of the budget in bytes: it is counted in 32-bit words, which could not count bytes. */
export const PAGE_BYTES = 4096;

/** Returns the number of pages that `bytes` bytes occupy. */
export function pagesFor(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES);
}

/**
 * Budget of buffered bytes, in pages, shared by all threads of the instance. Each thread counts its reservations in its own
 * row. It adds before it checks the sum, so concurrent reservations never exceed the budget; clearing the row of a crashed
 * thread releases its reservations.
 */
export class BufferBudget {
  /** Pages of the whole budget. */
  readonly maxPages: number;
  /** Maximum pages of all large values, so that small values still fit while large ones wait. */
  readonly #maxLargePages: number;
  readonly #words: Int32Array;
  readonly #row: number;
  readonly #rows: number;
  /** Maximum pages that all threads keep reserved for small values without using them. */
  readonly #idlePages: number;

  /**
   * @param row index of this thread's row among `rows`.
   * @param idlePages maximum pages that each thread keeps reserved without using them.
   */
  constructor(memory: InstanceMemory, row: number, rows: number, maxBytes: number, idlePages: number) {
    this.#words = memory.words;
    this.#row = row;
    this.#rows = rows;
    this.#idlePages = idlePages * rows;
    this.maxPages = pagesFor(maxBytes);
    this.#maxLargePages = this.maxPages - Math.floor(this.maxPages / 8);
  }

  /** Whether a page is free. */
  get hasRoom(): boolean {
    return this.#sum(RowWord.BUFFERED) < this.maxPages;
  }

  /** Reserves pages for small values; returns false if they do not fit. */
  tryReserve(pages: number): boolean {
    this.reserve(pages);
    if (this.#sum(RowWord.BUFFERED) <= this.maxPages) return true;
    this.release(pages);
    return false;
  }

  /**
   * Reserves pages for a large value if they fit its share, or the whole budget while there is no other large value.
   *
   * @param isOverdue whether they are reserved beyond the budget if there is no other large value: what small values occupy may
   *   not be released before the read that waits has ended.
   */
  tryReserveLarge(pages: number, isOverdue = false): boolean {
    this.reserveLarge(pages);
    const total = this.#sum(RowWord.BUFFERED);
    if (total <= this.#maxLargePages) return true;
    const isOnly = this.#sum(RowWord.BUFFERED_LARGE) === pages;
    if (isOnly && (isOverdue || total <= this.maxPages + this.#idlePages)) return true;
    this.releaseLarge(pages);
    return false;
  }

  /** Reserves pages even beyond the budget, for memory that exists already. */
  reserve(pages: number): void {
    Atomics.add(this.#words, this.#word(RowWord.BUFFERED), pages);
  }

  reserveLarge(pages: number): void {
    Atomics.add(this.#words, this.#word(RowWord.BUFFERED_LARGE), pages);
    this.reserve(pages);
  }

  release(pages: number): void {
    this.reserve(-pages);
  }

  releaseLarge(pages: number): void {
    this.reserveLarge(-pages);
  }

  /** Number of reads that wait for memory, over all threads. */
  get waiting(): number {
    return this.#sum(RowWord.WAITING_FOR_ROOM);
  }

  /**
   * Publishes how many reads of this thread wait for memory.
   *
   * @param since time at which the first of them started to wait, in whole milliseconds that may wrap around.
   */
  noteWaiting(count: number, since: number): void {
    Atomics.store(this.#words, this.#word(RowWord.WAITING_SINCE), since);
    Atomics.store(this.#words, this.#word(RowWord.WAITING_FOR_ROOM), count);
  }

  /** Whether no other thread has a read that has been waiting since before `since`; the oldest one is served first. */
  isOldest(since: number): boolean {
    for (let row = 0; row < this.#rows; row++) {
      if (Atomics.load(this.#words, InstanceMemory.word(row, RowWord.WAITING_FOR_ROOM)) === 0) continue;
      const other = Atomics.load(this.#words, InstanceMemory.word(row, RowWord.WAITING_SINCE));
      if (((other - since) | 0) < 0) return false;
    }
    return true;
  }

  /** Releases the reservations of a crashed thread. */
  static recoverFrom(memory: InstanceMemory, crashedRow: number): void {
    for (const word of [RowWord.BUFFERED, RowWord.BUFFERED_LARGE, RowWord.WAITING_FOR_ROOM]) {
      Atomics.store(memory.words, InstanceMemory.word(crashedRow, word), 0);
    }
  }

  #sum(word: number): number {
    let sum = 0;
    for (let row = 0; row < this.#rows; row++) sum += Atomics.load(this.#words, InstanceMemory.word(row, word));
    return sum;
  }

  #word(word: number): number {
    return InstanceMemory.word(this.#row, word);
  }
}
