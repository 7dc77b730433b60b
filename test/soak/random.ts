import { mulberry32 } from '../../bench/random.ts';

/** Choices that a seed determines: the same run again, as far as processes are alike. */
export class Random {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = mulberry32(seed);
  }

  /** A whole number from `least` to less than `end`. */
  whole(least: number, end: number): number {
    return least + Math.floor(this.#next() * (end - least));
  }

  chance(probability: number): boolean {
    return this.#next() < probability;
  }

  pick<T>(all: readonly T[]): T {
    return all[this.whole(0, all.length)];
  }

  /** An index below `count`, the low ones far more often. */
  hot(count: number): number {
    return Math.floor(count * this.#next() ** 3);
  }
}
