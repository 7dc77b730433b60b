import { mulberry32 } from '../support/random.ts';

/** Seeded random choices, so that a run can be repeated as far as timing allows. */
export class Random {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = mulberry32(seed);
  }

  /** Returns an integer from `min` (inclusive) to `end` (exclusive). */
  integer(min: number, end: number): number {
    return min + Math.floor(this.#next() * (end - min));
  }

  isTrueWith(probability: number): boolean {
    return this.#next() < probability;
  }

  pick<T>(all: readonly T[]): T {
    return all[this.integer(0, all.length)];
  }

  /** Returns an index below `count`; low indices are far more frequent. */
  hot(count: number): number {
    return Math.floor(count * this.#next() ** 3);
  }
}
