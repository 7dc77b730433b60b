import { readFileSync, readdirSync } from 'node:fs';

const PAGE_BYTES = 4096;
const MIB = 2 ** 20;
/** What counts as growth. */
const MOST_GROWTH = 1.15;
const MOST_GROWTH_MIB = 12;

/** Resident memory and open handles of a process, sampled over its life. */
export class Vitals {
  readonly #pid: number;
  readonly #residentMiB: number[] = [];

  constructor(pid: number) {
    this.#pid = pid;
  }

  sample(): void {
    this.#residentMiB.push(this.residentMiB);
  }

  get residentMiB(): number {
    return (Number(readFileSync(`/proc/${this.#pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES) / MIB;
  }

  get handles(): number {
    return readdirSync(`/proc/${this.#pid}/fd`).length;
  }

  /** Median resident memory of the second and of the last quarter of the samples: what it takes to warm up is past. */
  get quarters(): { readonly second: number; readonly last: number } {
    const quarter = Math.floor(this.#residentMiB.length / 4);
    const median = (from: number): number => {
      const sorted = this.#residentMiB.slice(from, from + quarter).sort((a, b) => a - b);
      return sorted[Math.floor(sorted.length / 2)];
    };
    return { second: median(quarter), last: median(3 * quarter) };
  }

  get grown(): boolean {
    const { second, last } = this.quarters;
    return last > second * MOST_GROWTH && last > second + MOST_GROWTH_MIB;
  }
}
