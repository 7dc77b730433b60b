import type { ReadOutcome } from './read-outcome.ts';

/** Of many reads, one whose value is not given, as those before it fill what there is room for. */
export interface Unread {
  readonly kind: 'unread';
}

const UNREAD: Unread = { kind: 'unread' };

/**
 * The outcomes of many reads, in the order of their keys, with as many values as there is room for: none that is longer
 * than `maxBytes`, and none more once those before it are as many bytes together. Outcomes come in any order, and what turns
 * out to have no room is let go at once. So fewer than twice as many bytes are held, however many values there are.
 */
export class KeptOutcomes {
  readonly outcomes: (ReadOutcome | Unread)[];
  readonly #maxBytes: number;
  #bytes = 0;
  /** From here on there is no room for values. */
  #end: number;

  constructor(count: number, maxBytes: number) {
    this.outcomes = Array.from({ length: count }, () => UNREAD);
    this.#maxBytes = maxBytes;
    this.#end = count;
  }

  /** Whether there is room for the value of a key. */
  hasRoomAt(index: number): boolean {
    return index < this.#end;
  }

  put(index: number, outcome: ReadOutcome): void {
    const bytes = bytesOf(outcome);
    if (bytes > this.#maxBytes || (bytes > 0 && !this.hasRoomAt(index))) return;
    this.outcomes[index] = outcome;
    this.#bytes += bytes;
    this.#letGo();
  }

  /** Lets values go from the last one on, until all that are kept begin within the room there is. */
  #letGo(): void {
    while (this.#end > 0) {
      const last = this.#end - 1;
      const bytes = bytesOf(this.outcomes[last]);
      if (this.#bytes - bytes < this.#maxBytes) return;
      if (bytes > 0) this.outcomes[last] = UNREAD;
      this.#bytes -= bytes;
      this.#end = last;
    }
  }
}

function bytesOf(outcome: ReadOutcome | Unread): number {
  return 'value' in outcome ? outcome.value.length : 0;
}
