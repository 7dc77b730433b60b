import type { Etag } from '../etag.ts';
import type { Cursor, ItemBytes } from '../memory/item-bytes.ts';
import { NONE } from '../memory/layout.ts';
import type { Freshness, Handle } from '../cache-types.ts';
import type { ValueSlab } from '../memory/value-slab.ts';

/** Bytes written while the lock is held once, or read between two checks, a multiple of 8; larger values take several chunks. */
export const CHUNK_BYTES = 16 * 1024;

/** An entry whose value is too large to be copied at once. */
export interface LargeEntry {
  readonly kind: 'large';
  readonly handle: Handle;
  /** Offset of the value in the item, in bytes. */
  readonly position: number;
  /** Bytes of the value. */
  readonly length: number;
  readonly etag: Etag;
  readonly freshness: Freshness;
}

/**
 * Copies a large value in chunks. After each {@link step} the caller must check that the entry is still the same; it needs no
 * lock.
 */
export class ChunkedRead {
  readonly #items: ItemBytes;
  readonly #slab: ValueSlab;
  readonly #entry: LargeEntry;
  readonly #cursor: Cursor = { block: NONE, word: 0 };
  /** The memory of the copy. */
  readonly memory: ArrayBufferLike;
  #done = 0;

  /** Reserves the memory for the copy, without the lock: allocation may be slow. */
  constructor(entry: LargeEntry, items: ItemBytes, slab: ValueSlab) {
    this.#items = items;
    this.#slab = slab;
    this.#entry = entry;
    slab.reserve(entry.length);
    this.memory = slab.words64.buffer;
  }

  /** Copies the next chunk; returns whether the copy is complete. */
  step(): boolean {
    const { handle, position, length } = this.#entry;
    const { words64, at } = this.#slab;
    const bytes = Math.min(CHUNK_BYTES, length - this.#done);
    if (this.#done === 0) this.#items.read(handle.slot, position, words64, at, bytes, this.#cursor);
    else this.#items.readOn(this.#cursor, words64, at + this.#done / 8, bytes);
    this.#done += bytes;
    return this.#done === length;
  }

  /** Returns the complete copy. */
  take(): Buffer {
    return this.#slab.take(this.#entry.length);
  }
}
