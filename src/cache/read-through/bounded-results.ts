import { PAGE_BYTES, pagesFor } from '../../instance/buffer-budget.ts';
import type { Room } from './buffered-bytes.ts';
import type { ReadOutcome } from './read-outcome.ts';

/** Of many reads, one whose value is not given, as those before it fill what there is room for. */
export interface Omitted {
  readonly kind: 'unread';
}

const UNREAD: Omitted = { kind: 'unread' };

/**
 * The outcomes of many reads, in the order of their keys, with as many values as there is room for: none that is longer
 * than `maxBytes`, and none more once those before it are as many bytes together. Outcomes come in any order, and what turns
 * out to have no room is let go at once. So fewer than twice as many bytes are held, however many values there are.
 */
export class BoundedResults {
  readonly outcomes: (ReadOutcome | Omitted)[];
  readonly #maxBytes: number;
  #bytes = 0;
  /** From here on there is no room for values. */
  #end: number;
  /** Where the values are counted. */
  readonly #room: Room;
  readonly #release: (memory: ArrayBufferLike) => void;
  #lacking = 0;

  /** @param release ends a hold in `room`. */
  constructor(count: number, maxBytes: number, room: Room, release: (memory: ArrayBufferLike) => void) {
    this.outcomes = Array.from({ length: count }, () => UNREAD);
    this.#maxBytes = maxBytes;
    this.#end = count;
    this.#room = room;
    this.#release = release;
  }

  /** Whether there is room for the value of a key. */
  hasRoomAt(index: number): boolean {
    return index < this.#end;
  }

  put(index: number, outcome: ReadOutcome): void {
    const bytes = bytesOf(outcome);
    if (bytes > this.#maxBytes || (bytes > 0 && !this.hasRoomAt(index))) return;
    if ('value' in outcome && !this.#room.tryHold(outcome.value.buffer)) return this.lack(index, bytes);
    this.outcomes[index] = outcome;
    this.#bytes += bytes;
    this.#letGo();
  }

  /** Notes that there was no room among the buffered bytes for a value that is to be kept. */
  lack(index: number, bytes: number): void {
    if (bytes <= this.#maxBytes && this.hasRoomAt(index)) this.#lacking += pagesFor(bytes) * PAGE_BYTES;
  }

  /** Whether there was no room for one of the values. */
  get lacksRoom(): boolean {
    return this.#lacking > 0;
  }

  /** Bytes that it takes to hold all values. */
  get neededBytes(): number {
    return this.#memories().reduce((sum, { byteLength }) => sum + pagesFor(byteLength) * PAGE_BYTES, this.#lacking);
  }

  /** Hands the values over: whoever keeps them beyond this turn of the event loop has to count them from then on. */
  pass(): void {
    for (const memory of this.#memories()) this.#room.pass(memory);
  }

  /** Lets all values go. */
  clear(): void {
    for (const memory of this.#memories()) this.#release(memory);
    this.outcomes.fill(UNREAD);
  }

  #memories(): ArrayBufferLike[] {
    return this.outcomes.flatMap((outcome) => ('value' in outcome ? [outcome.value.buffer] : []));
  }

  /** Lets values go from the last one on, until all that are kept begin within the room there is. */
  #letGo(): void {
    while (this.#end > 0) {
      const last = this.#end - 1;
      const bytes = bytesOf(this.outcomes[last]);
      if (this.#bytes - bytes < this.#maxBytes) return;
      if (bytes > 0) this.#drop(last);
      this.#bytes -= bytes;
      this.#end = last;
    }
  }

  #drop(index: number): void {
    const outcome = this.outcomes[index];
    if ('value' in outcome) this.#release(outcome.value.buffer);
    this.outcomes[index] = UNREAD;
  }
}

function bytesOf(outcome: ReadOutcome | Omitted): number {
  return 'value' in outcome ? outcome.value.length : 0;
}
