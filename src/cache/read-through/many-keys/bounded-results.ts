import { PAGE_BYTES, pagesFor } from '../../../instance/buffer-budget.ts';
import type { MemoryAccount } from '../buffered-bytes.ts';
import type { ReadOutcome } from '../read-outcome.ts';

/** A result omitted because the response size limit was reached. */
export interface Omitted {
  readonly kind: 'omitted';
}

const OMITTED: Omitted = { kind: 'omitted' };

/**
 * Results of a multi-key read, in key order, capped at `maxBytes` of values: a longer value is omitted, and so is every
 * value after the first `maxBytes` bytes. Results may arrive in any order; a value that turns out to be beyond the cap is
 * released immediately, so less than twice `maxBytes` is retained at any time.
 */
export class BoundedResults {
  readonly outcomes: (ReadOutcome | Omitted)[];
  readonly #maxBytes: number;
  #bytes = 0;
  /** Index from which values are omitted. */
  #end: number;
  /** Memory account that values are charged to. */
  readonly #account: MemoryAccount;
  readonly #release: (memory: ArrayBufferLike) => void;
  #overflowBytes = 0;

  /** @param release releases memory that is held in `account`. */
  constructor(count: number, maxBytes: number, account: MemoryAccount, release: (memory: ArrayBufferLike) => void) {
    this.outcomes = Array.from({ length: count }, () => OMITTED);
    this.#maxBytes = maxBytes;
    this.#end = count;
    this.#account = account;
    this.#release = release;
  }

  /** Whether the value of the key at `index` can be within the cap. */
  isWithinCap(index: number): boolean {
    return index < this.#end;
  }

  set(index: number, outcome: ReadOutcome): void {
    const bytes = bytesOf(outcome);
    if (bytes > this.#maxBytes || (bytes > 0 && !this.isWithinCap(index))) return;
    if ('value' in outcome && !this.#account.tryHold(outcome.value.buffer)) return this.addOverflow(index, bytes);
    this.outcomes[index] = outcome;
    this.#bytes += bytes;
    this.#trim();
  }

  /** Records that a value within the cap did not fit in the buffered-bytes limit. */
  addOverflow(index: number, bytes: number): void {
    if (bytes <= this.#maxBytes && this.isWithinCap(index)) this.#overflowBytes += pagesFor(bytes) * PAGE_BYTES;
  }

  /** Whether at least one value did not fit in the buffered-bytes limit. */
  get hasOverflow(): boolean {
    return this.#overflowBytes > 0;
  }

  /** Bytes needed to hold all values. */
  get neededBytes(): number {
    return this.#memories().reduce(
      (sum, { byteLength }) => sum + pagesFor(byteLength) * PAGE_BYTES,
      this.#overflowBytes,
    );
  }

  /** Releases the values at the end of this tick; code that keeps them longer must hold them itself. */
  releaseAfterTick(): void {
    for (const memory of this.#memories()) this.#account.releaseAfterTick(memory);
  }

  /** Releases all values. */
  clear(): void {
    for (const memory of this.#memories()) this.#release(memory);
    this.outcomes.fill(OMITTED);
  }

  #memories(): ArrayBufferLike[] {
    return this.outcomes.flatMap((outcome) => ('value' in outcome ? [outcome.value.buffer] : []));
  }

  /** Releases values from the end until every remaining one starts within the cap. */
  #trim(): void {
    while (this.#end > 0) {
      const last = this.#end - 1;
      const bytes = bytesOf(this.outcomes[last]);
      if (this.#bytes - bytes < this.#maxBytes) return;
      if (bytes > 0) this.#omit(last);
      this.#bytes -= bytes;
      this.#end = last;
    }
  }

  #omit(index: number): void {
    const outcome = this.outcomes[index];
    if ('value' in outcome) this.#release(outcome.value.buffer);
    this.outcomes[index] = OMITTED;
  }
}

function bytesOf(outcome: ReadOutcome | Omitted): number {
  return 'value' in outcome ? outcome.value.length : 0;
}
