import { type Cursor, ItemBytes, wordCount } from '../memory/item-bytes.ts';
import type { Entries } from '../entries.ts';
import type { Handle, PurgeStep } from '../cache-types.ts';
import { MAX_ID_BYTES, NONE, State } from '../memory/layout.ts';
import type { Slots } from '../slots.ts';

/** Entries that are visited in a step, and bytes of ids after which a step visits no more. */
export const ENTRIES_PER_STEP = 256;
const ID_BYTES_PER_STEP = 64 * 1024;

/** Called with the id of an entry, bytes `from` to `to` of `bytes`, which are valid until it returns. */
export type VisitId = (bytes: Uint8Array, from: number, to: number, selectorLength: number) => void;

interface CopiedId {
  readonly from: number;
  readonly to: number;
  readonly selectorLength: number;
}

/**
 * A walk over the entries in the order of use, most recently used first, without those whose TTL has elapsed. The caller calls
 * {@link tryStep} until it returns `done`. It never waits for the lock, as it is made for the main thread.
 *
 * If nobody uses the cache meanwhile, it visits every entry once. Otherwise entries that are read or stored between two steps
 * may be visited again, or not at all.
 */
export class RecencyWalk {
  readonly #slots: Slots;
  readonly #items: ItemBytes;
  readonly #entries: Entries;
  readonly #tryLocked: (section: (now: number) => void) => boolean;
  readonly #words = new BigInt64Array(wordCount(ID_BYTES_PER_STEP) + wordCount(MAX_ID_BYTES));
  readonly #bytes = new Uint8Array(this.#words.buffer);
  readonly #cursor: Cursor = { block: 0, word: 0 };
  /** The entries of the last step, in their order then. */
  #visited: Handle[] = [];
  #copied: CopiedId[] = [];
  /** Number of entries that are left to visit at most; undefined before the first step. */
  #left: number | undefined;

  /** @param tryLocked calls its argument with the time, under the lock; returns false if the lock is held. */
  constructor(
    slots: Slots,
    items: ItemBytes,
    entries: Entries,
    tryLocked: (section: (now: number) => void) => boolean,
  ) {
    this.#slots = slots;
    this.#items = items;
    this.#entries = entries;
    this.#tryLocked = tryLocked;
  }

  /** Visits the next entries, if the lock is free. */
  tryStep(visit: VisitId): PurgeStep {
    if (!this.#tryLocked((now) => this.#copyIds(now))) return 'locked';
    for (const { from, to, selectorLength } of this.#copied) visit(this.#bytes, from, to, selectorLength);
    this.#copied = [];
    return this.#left === 0 ? 'done' : 'more';
  }

  #copyIds(now: number): void {
    let slot: number;
    if (this.#left === undefined) {
      this.#entries.drainTouches(now);
      this.#left = this.#entries.count;
      slot = this.#entries.first;
    } else {
      slot = this.#next();
    }
    const visited: Handle[] = [];
    let at = 0;
    while (slot !== NONE && this.#left > 0 && visited.length < ENTRIES_PER_STEP && at <= ID_BYTES_PER_STEP) {
      this.#left--;
      visited.push(this.#slots.handle(slot));
      if (this.#slots.isWithinLifetime(slot, now)) {
        const idBytes = this.#slots.idBytes(slot);
        this.#items.read(slot, 0, this.#words, at / 8, idBytes, this.#cursor);
        this.#copied.push({ from: at, to: at + idBytes, selectorLength: idBytes - this.#slots.keyBytes(slot) });
        at += ItemBytes.valuePosition(idBytes);
      }
      slot = this.#entries.next(slot);
    }
    this.#visited = visited;
    if (slot === NONE) this.#left = 0;
  }

  /** Returns the entry after the last visited one that has not moved; NONE if all have. */
  #next(): number {
    for (let i = this.#visited.length - 1; i >= 0; i--) {
      const { slot } = this.#visited[i];
      if (!this.#slots.isSame(this.#visited[i], State.ENTRY)) continue;
      // An entry that was read has another neighbour now.
      const before = this.#visited.at(i - 1);
      if (
        i === 0 ||
        (before !== undefined &&
          this.#slots.isSame(before, State.ENTRY) &&
          this.#entries.previous(slot) === before.slot)
      ) {
        return this.#entries.next(slot);
      }
    }
    return NONE;
  }
}
