import { readFileSync, readdirSync } from 'node:fs';

const PAGE_BYTES = 4096;
const MIB = 2 ** 20;
/** Resident memory has grown if it exceeds both. */
const MAX_GROWTH_FACTOR = 1.15;
const MAX_GROWTH_MIB = 12;

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

  /** Median resident memory of the second and of the last quarter of the samples; the first quarter is the warm-up. */
  get quarters(): { readonly second: number; readonly last: number } {
    const quarter = Math.floor(this.#residentMiB.length / 4);
    const median = (from: number): number => {
      const sorted = this.#residentMiB.slice(from, from + quarter).sort((a, b) => a - b);
      return sorted[Math.floor(sorted.length / 2)];
    };
    return { second: median(quarter), last: median(3 * quarter) };
  }

  get hasGrown(): boolean {
    const { second, last } = this.quarters;
    return last > second * MAX_GROWTH_FACTOR && last > second + MAX_GROWTH_MIB;
  }
}
