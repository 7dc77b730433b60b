import { InstanceMemory, RowWord } from './instance-memory.ts';

/** The unit in which memory is taken from the budget: words are of 32 bits, and a budget may be larger. */
export const PAGE_BYTES = 4096;

/** The pages that so many bytes need. */
export function pagesFor(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES);
}

/**
 * The budget of buffered bytes that all threads of the instance share, in pages. Each thread counts what it has taken in
 * its own row: it adds first and then looks at the sum, so two threads that take at the same time never take too much
 * together, and whatever a thread held when it crashed is given back by clearing its row.
 */
export class BufferBudget {
  /** Pages of the whole budget. */
  readonly maxPages: number;
  /** Pages that large values may take together, so that small ones go on while large ones wait. */
  readonly #maxLargePages: number;
  readonly #words: Int32Array;
  readonly #row: number;
  readonly #rows: number;
  /** Pages that threads keep for small values without using them. */
  readonly #idlePages: number;

  /**
   * @param row of this thread, among `rows`.
   * @param idlePages pages that each thread may keep although it does not use them.
   */
  constructor(memory: InstanceMemory, row: number, rows: number, maxBytes: number, idlePages: number) {
    this.#words = memory.words;
    this.#row = row;
    this.#rows = rows;
    this.#idlePages = idlePages * rows;
    this.maxPages = pagesFor(maxBytes);
    this.#maxLargePages = this.maxPages - Math.floor(this.maxPages / 8);
  }

  /** Whether there is a page left. */
  get hasRoom(): boolean {
    return this.#sum(RowWord.BUFFERED) < this.maxPages;
  }

  /** Takes pages for small values if there are as many. */
  tryTake(pages: number): boolean {
    this.take(pages);
    if (this.#sum(RowWord.BUFFERED) <= this.maxPages) return true;
    this.give(pages);
    return false;
  }

  /** Takes pages for large values if their share has as many, or if no other large value is held and all of it fits. */
  tryTakeLarge(pages: number): boolean {
    this.takeLarge(pages);
    const total = this.#sum(RowWord.BUFFERED);
    if (total <= this.#maxLargePages) return true;
    const isOnly = this.#sum(RowWord.BUFFERED_LARGE) === pages;
    if (isOnly && total <= this.maxPages + this.#idlePages) return true;
    this.giveLarge(pages);
    return false;
  }

  /** Takes pages even if there are none left: for memory that exists already. */
  take(pages: number): void {
    Atomics.add(this.#words, this.#word(RowWord.BUFFERED), pages);
  }

  takeLarge(pages: number): void {
    Atomics.add(this.#words, this.#word(RowWord.BUFFERED_LARGE), pages);
    this.take(pages);
  }

  give(pages: number): void {
    this.take(-pages);
  }

  giveLarge(pages: number): void {
    this.takeLarge(-pages);
  }

  /** Reads that wait for room, in all threads. */
  get waiting(): number {
    return this.#sum(RowWord.WAITING_FOR_ROOM);
  }

  /**
   * Publishes how many reads of this thread wait for room.
   *
   * @param since when the first of them began to wait, in whole milliseconds that may wrap around.
   */
  noteWaiting(count: number, since: number): void {
    Atomics.store(this.#words, this.#word(RowWord.WAITING_SINCE), since);
    Atomics.store(this.#words, this.#word(RowWord.WAITING_FOR_ROOM), count);
  }

  /** Whether no other thread has a read that has waited for longer than `since`: the longest waiting is served first. */
  isOldest(since: number): boolean {
    for (let row = 0; row < this.#rows; row++) {
      if (Atomics.load(this.#words, InstanceMemory.word(row, RowWord.WAITING_FOR_ROOM)) === 0) continue;
      const other = Atomics.load(this.#words, InstanceMemory.word(row, RowWord.WAITING_SINCE));
      if (((other - since) | 0) < 0) return false;
    }
    return true;
  }

  /** Gives back what a thread held that has crashed. */
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
