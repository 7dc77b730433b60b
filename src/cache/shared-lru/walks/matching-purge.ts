import { ItemBytes, type Cursor, wordCount } from '../memory/item-bytes.ts';
import type { PurgeStep } from '../cache-types.ts';
import { BLOCK_BYTES, MAX_ID_BYTES, State } from '../memory/layout.ts';
import { type Slots, publishedVersion } from '../slots.ts';

/** A set of keys. */
export interface KeySelection {
  /**
   * Maximum bytes of keys, beyond the first, that are matched at a time: fewer if it takes long to match a byte. It bounds the
   * time of a step.
   */
  readonly keyBytesPerStep: number;
  /** Whether it contains the key, bytes `from` to `to` of `bytes`. */
  matches(bytes: Uint8Array, from: number, to: number): boolean;
}

/** What a purge changes, and the lock. */
export interface PurgeTarget {
  /** Calls `section` with the time, under the lock. */
  readonly locked: (section: (now: number) => void) => void;
  /** Calls `section` as `locked` does, but does not wait for the lock; returns whether it was called. */
  readonly tryLocked: (section: (now: number) => void) => boolean;
  /** Ends an entry and its lease, or a lease; returns whether it was an entry. */
  readonly end: (slot: number, now: number) => boolean;
  /** Whether ids with a selector have been in use: those of queries and of variants. */
  readonly hasSelectors: () => boolean;
}

/** Slots that are visited in a step. */
const SLOTS_PER_STEP = 256;
/** Slots that a step of the second walk visits, of which it copies the keys of {@link SLOTS_PER_STEP}. */
const VISITED_AGAIN_PER_STEP = 2048;
/** Blocks of memory, of 64 bytes each, after which a step ends no more entries: each is visited when it is freed. */
export const MAX_FREED_BLOCKS = 8192;

/**
 * A purge of all keys that a selection contains: it ends the entries, and voids the leases, of all their queries. The caller
 * calls {@link step} or {@link tryStep} until it returns `done`, in the thread that created the purge, and serves others in
 * between.
 *
 * An entry or a lease never changes its slot, and a lease becomes an entry in its own slot. So a walk over the slots that were
 * in use at the first step finds all entries and leases of that time, unless they have ended. What is stored meanwhile under a
 * later lease may stay or not. A later lease can be that of a variant, though, which is made of a value that the walk ends
 * afterwards. So a second walk, over what has a selector, begins when no such value is left.
 *
 * A step copies the keys of some slots under the lock and matches them without it; the next step ends the entries and leases
 * whose keys matched, unless their slots are in another use by then.
 */
export class MatchingPurge {
  /** Number of entries ended so far, stale ones included. */
  purged = 0;
  readonly #selection: KeySelection;
  readonly #slots: Slots;
  readonly #items: ItemBytes;
  readonly #target: PurgeTarget;
  readonly #words: BigInt64Array;
  readonly #bytes: Uint8Array;
  readonly #cursor: Cursor = { block: 0, word: 0 };
  /** Slots whose keys are copied, in `#bytes` from the given offset; slots with a matching key move to {@link #matched}. */
  #copied: CopiedKey[] = [];
  #matched: CopiedKey[] = [];
  #nextSlot = 1;
  /** Undefined before the first step. */
  #lastSlot: number | undefined;
  #isSecondWalk = false;
  /** Whether this is the last walk, as of the last step. */
  #isLastWalk = false;
  #epoch = 0;

  constructor(selection: KeySelection, slots: Slots, items: ItemBytes, target: PurgeTarget) {
    this.#selection = selection;
    this.#slots = slots;
    this.#items = items;
    this.#target = target;
    // Keys are copied while fewer bytes are in use, so the last one may exceed this number.
    this.#words = new BigInt64Array(wordCount(selection.keyBytesPerStep) + wordCount(MAX_ID_BYTES));
    this.#bytes = new Uint8Array(this.#words.buffer);
  }

  /** Makes a step, for which it waits for the lock; returns whether it was the last one. */
  step(): boolean {
    this.#target.locked((now) => this.#advance(now));
    this.#match();
    return this.#isDone;
  }

  /** Makes a step if the lock is free: for the main thread, which must not wait for the lock of a crashed thread. */
  tryStep(): PurgeStep {
    if (!this.#target.tryLocked((now) => this.#advance(now))) return 'locked';
    this.#match();
    return this.#isDone ? 'done' : 'more';
  }

  get #isDone(): boolean {
    return this.#isLastWalk && this.#matched.length === 0 && this.#nextSlot > (this.#lastSlot ?? Infinity);
  }

  #advance(now: number): void {
    if (this.#lastSlot === undefined) {
      this.#lastSlot = this.#slots.highest;
      this.#epoch = this.#slots.epoch;
    }
    if (this.#slots.epoch !== this.#epoch) {
      // A flush has ended everything that was there.
      this.#matched = [];
      this.#nextSlot = this.#lastSlot + 1;
      this.#isLastWalk = true;
      return;
    }
    this.#endMatched(now);
    if (this.#matched.length > 0) return;
    if (this.#nextSlot > this.#lastSlot && !this.#isSecondWalk) {
      this.#isSecondWalk = true;
      this.#nextSlot = 1;
      this.#lastSlot = this.#slots.highest;
    }
    this.#copyKeys(this.#lastSlot);
    this.#isLastWalk = this.#isSecondWalk || !this.#target.hasSelectors();
  }

  #endMatched(now: number): void {
    let blocks = 0;
    while (blocks < MAX_FREED_BLOCKS) {
      const found = this.#matched.pop();
      if (found === undefined) return;
      const { slot, use } = found;
      if (!this.#isInUse(slot) || publishedVersion(this.#slots.version(slot)) !== use) continue;
      blocks += Math.max(0, this.#slots.valueBytes(slot)) / BLOCK_BYTES;
      if (this.#target.end(slot, now)) this.purged++;
    }
  }

  #copyKeys(lastSlot: number): void {
    const end = Math.min(lastSlot, this.#nextSlot + (this.#isSecondWalk ? VISITED_AGAIN_PER_STEP : SLOTS_PER_STEP) - 1);
    let at = 0;
    for (; this.#nextSlot <= end && at <= this.#selection.keyBytesPerStep; this.#nextSlot++) {
      const slot = this.#nextSlot;
      if (!this.#isInUse(slot)) continue;
      const keyBytes = this.#slots.keyBytes(slot);
      if (this.#isSecondWalk) {
        if (keyBytes === this.#slots.idBytes(slot)) continue;
        if (this.#copied.length === SLOTS_PER_STEP) break;
      }
      this.#items.read(slot, 0, this.#words, at / 8, keyBytes, this.#cursor);
      this.#copied.push({ slot, use: publishedVersion(this.#slots.version(slot)), from: at, to: at + keyBytes });
      at += ItemBytes.valuePosition(keyBytes);
    }
  }

  #match(): void {
    for (const key of this.#copied) {
      if (this.#selection.matches(this.#bytes, key.from, key.to)) this.#matched.push(key);
    }
    this.#copied = [];
  }

  #isInUse(slot: number): boolean {
    const state = this.#slots.state(slot);
    return state === State.ENTRY || state === State.LEASE;
  }
}

interface CopiedKey {
  readonly slot: number;
  readonly use: number;
  readonly from: number;
  readonly to: number;
}
