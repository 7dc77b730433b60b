import type { CachedEntry, EntryId, Handle } from '../cache-types.ts';
import type { HitBuffer } from '../hit-buffer.ts';
import type { KeyIndex } from '../index/key-index.ts';
import { Header, type LruMemory, NONE, SLOT_WORDS, Slot } from '../memory/layout.ts';
import type { TouchRings } from '../memory/touch-rings.ts';
import type { Slots } from '../slots.ts';
import { type ChunkedRead, CHUNK_BYTES, type LargeEntry } from './chunked-read.ts';
import type { EntryReader } from './entry-reader.ts';

/**
 * Reads fresh entries without the lock, and notes and counts the reads. An entry is copied, and then its version and the epoch
 * must be those from before: otherwise the copy is discarded. Every method returns "not read" whenever anything is unexpected;
 * the look-up under the lock then decides. docs/decisions/0036-hits-without-the-lock.md proves it.
 *
 * The own ring must have room for a touch, see {@link TouchRings.isDue}.
 */
export class OptimisticReader {
  readonly #header: Int32Array;
  readonly #words: Int32Array;
  readonly #slots: Slots;
  readonly #index: KeyIndex;
  readonly #reader: EntryReader;
  readonly #touches: TouchRings;
  readonly #fence = new Int32Array(1);
  /** Epoch as of an earlier read, even; a flush that has started since has changed it. */
  #epoch: number;

  constructor(memory: LruMemory, slots: Slots, index: KeyIndex, reader: EntryReader, touches: TouchRings) {
    this.#header = memory.header;
    this.#words = memory.slots;
    this.#slots = slots;
    this.#index = index;
    this.#reader = reader;
    this.#touches = touches;
    this.#epoch = Atomics.load(memory.header, Header.EPOCH) & ~1;
  }

  /** Copies a value of at most CHUNK_BYTES, without allocating; the id is bytes `from` to `to` of `bytes`. */
  readInto(
    bytes: Uint8Array,
    hash: number,
    from: number,
    to: number,
    selectorLength: number,
    now: number,
    hit: HitBuffer,
  ): boolean {
    const slot = this.#index.findEntry(bytes, hash, from, to, selectorLength);
    if (slot === NONE) return false;
    const version = this.#index.foundVersion;
    if (this.#slots.isExpired(slot, now) || this.#slots.isUnconfirmed(now)) return false;
    if (this.#slots.isRefreshDue(slot, now)) return false;
    const length = this.#slots.valueBytes(slot);
    if (length < 0 || length > CHUNK_BYTES) return false;
    this.#reader.readInto(hit, slot, length, now);
    this.#touches.push(slot, version, now);
    if (!this.#isUnchanged(slot, version)) {
      return this.#canRetry() && this.readInto(bytes, hash, from, to, selectorLength, now, hit);
    }
    this.#touches.countHit();
    return true;
  }

  /** Reads an entry of at most `maxAgeMs`; does not count it, and for a large value returns its location. */
  read(entry: EntryId, hash: number, now: number, maxAgeMs: number): CachedEntry | LargeEntry | undefined {
    const slot = this.#index.findEntry(entry.id, hash, 0, entry.id.length, entry.selectorLength);
    if (slot === NONE) return undefined;
    const version = this.#index.foundVersion;
    if (!this.#slots.isFresh(slot, now, maxAgeMs) || this.#slots.isRefreshDue(slot, now)) return undefined;
    const found = this.#reader.read(slot, now);
    // If all entries were expired meanwhile, its lifetime may be that of an expired entry.
    if (this.#slots.isExpired(slot, now)) return undefined;
    this.#touches.push(slot, version, now);
    if (this.#isUnchanged(slot, version)) return found;
    return this.#canRetry() ? this.read(entry, hash, now, maxAgeMs) : undefined;
  }

  /** Copies a large value in chunks; returns false as soon as the entry has changed. Needs no room in the ring. */
  copy({ handle }: LargeEntry, read: ChunkedRead): boolean {
    for (;;) {
      const complete = read.step();
      // As the atomic store in TouchRings.push.
      Atomics.store(this.#fence, 0, 0);
      if (!this.#isSame(handle)) return false;
      if (complete) return true;
    }
  }

  /** Whether the use of a slot in which this thread has just read, before an atomic store, has not ended. */
  #isUnchanged(slot: number, version: number): boolean {
    return (
      Atomics.load(this.#words, slot * SLOT_WORDS + Slot.VERSION) === version &&
      Atomics.load(this.#header, Header.EPOCH) === this.#epoch
    );
  }

  /** Whether a read that failed may succeed now: it was the first one after a flush, which has ended. */
  #canRetry(): boolean {
    const epoch = Atomics.load(this.#header, Header.EPOCH);
    if (epoch === this.#epoch || (epoch & 1) === 1) return false;
    this.#epoch = epoch;
    return !this.#touches.isFull();
  }

  #isSame({ slot, version, epoch }: Handle): boolean {
    return (
      Atomics.load(this.#words, slot * SLOT_WORDS + Slot.VERSION) === version &&
      Atomics.load(this.#header, Header.EPOCH) === epoch
    );
  }
}
