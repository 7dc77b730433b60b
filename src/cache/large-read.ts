import type { Etag } from './etag.ts';
import type { Cursor, ItemBytes } from './item-bytes.ts';
import { NONE } from './layout.ts';
import type { Freshness, Handle } from './lookup.ts';
import type { ValueSlab } from './value-slab.ts';

/** Bytes copied in one hold of the lock, a multiple of 8: a large value takes several. */
export const STEP_BYTES = 16 * 1024;

/** An entry as it was found, whose value is too large to be copied in one hold of the lock. */
export interface LargeEntry {
  readonly kind: 'large';
  readonly handle: Handle;
  /** Where in the item the value starts. */
  readonly position: number;
  /** Bytes of the value. */
  readonly length: number;
  readonly etag: Etag;
  readonly freshness: Freshness;
}

/**
 * The copy of a large value, in steps between which the lock is let go, so that nobody waits for longer than one of
 * them takes. Each {@link step} is called with the lock held, and only while the entry is still the same.
 */
export class LargeRead {
  readonly #items: ItemBytes;
  readonly #slab: ValueSlab;
  readonly #entry: LargeEntry;
  readonly #cursor: Cursor = { block: NONE, long: 0 };
  #done = 0;

  /** Reserves the memory for the copy, without the lock: the system may take its time to hand it out. */
  constructor(entry: LargeEntry, items: ItemBytes, slab: ValueSlab) {
    this.#items = items;
    this.#slab = slab;
    this.#entry = entry;
    slab.reserve(entry.length);
  }

  /** Copies some more; answers whether that was the last of it. */
  step(): boolean {
    const { handle, position, length } = this.#entry;
    const { longs, at } = this.#slab;
    const bytes = Math.min(STEP_BYTES, length - this.#done);
    if (this.#done === 0) this.#items.read(handle.slot, position, longs, at, bytes, this.#cursor);
    else this.#items.readOn(this.#cursor, longs, at + this.#done / 8, bytes);
    this.#done += bytes;
    return this.#done === length;
  }

  /** The copy, once it is complete. */
  take(): Buffer {
    return this.#slab.take(this.#entry.length);
  }
}
