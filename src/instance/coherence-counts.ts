import { type InstanceMemory, ROW_COUNTS } from './instance-memory.ts';
import { SUPERVISOR_ROW } from './thread-context.ts';

/** What lies behind the counts that the other rows use: see {@link RequestCounts}. */
const AT = ROW_COUNTS - 8;
const [INVALIDATIONS, FLUSHES, LOSSES, LAST_LOSS] = [AT, AT + 1, AT + 2, AT + 3];

/** What the main thread counts of the news of writes; every thread can read it. */
export class CoherenceCounts {
  readonly #counts: Float64Array;

  constructor(memory: InstanceMemory) {
    this.#counts = memory.countsOf(SUPERVISOR_ROW);
  }

  countInvalidation(): void {
    this.#counts[INVALIDATIONS]++;
  }

  countFlush(): void {
    this.#counts[FLUSHES]++;
  }

  /** @param now seconds since 1970. */
  countLoss(now: number): void {
    this.#counts[LOSSES]++;
    this.#counts[LAST_LOSS] = now;
  }

  /** Keys that Redis has told of. */
  get invalidations(): number {
    return this.#counts[INVALIDATIONS];
  }

  /** Times that Redis has told that it was emptied. */
  get flushes(): number {
    return this.#counts[FLUSHES];
  }

  /** Times that the news was lost. */
  get losses(): number {
    return this.#counts[LOSSES];
  }

  /** Seconds since 1970; 0: there was none. */
  get lastLoss(): number {
    return this.#counts[LAST_LOSS];
  }
}
