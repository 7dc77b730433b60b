import type { HitBuffer } from '../hit-buffer.ts';
import type { Cursor, ItemBytes } from '../memory/item-bytes.ts';
import { type LargeEntry, ChunkedRead, CHUNK_BYTES } from './chunked-read.ts';
import { MISSING, NONE } from '../memory/layout.ts';
import type { CachedEntry } from '../cache-types.ts';
import type { Slots } from '../slots.ts';
import { ValueSlab } from '../memory/value-slab.ts';

/**
 * Copies entries out of the cache. All methods but {@link readInChunks} require the cache lock, or a check afterwards that the
 * entry has not changed: they end without error whatever another thread writes meanwhile.
 */
export class EntryReader {
  readonly #slots: Slots;
  readonly #items: ItemBytes;
  readonly #slab = new ValueSlab();
  readonly #cursor: Cursor = { block: NONE, word: 0 };

  constructor(slots: Slots, items: ItemBytes) {
    this.#slots = slots;
    this.#items = items;
  }

  /** Reads an entry; for a large value, returns its location instead of a copy. */
  read(slot: number, now: number): CachedEntry | LargeEntry {
    const length = this.#slots.valueBytes(slot);
    const freshness = this.#slots.freshness(slot, now);
    if (length === MISSING) return { kind: 'missing', freshness };
    const position = this.#slots.valuePosition(slot);
    const etag = this.#slots.etag(slot);
    if (length > CHUNK_BYTES) {
      return { kind: 'large', handle: this.#slots.handle(slot), position, length, etag, freshness };
    }
    this.#slab.reserve(length);
    this.#items.read(slot, position, this.#slab.words64, this.#slab.at, length, this.#cursor);
    return { kind: 'hit', value: this.#slab.take(length), etag, freshness };
  }

  /** Reads an entry whose value has `length` bytes, at most CHUNK_BYTES, without allocating. */
  readInto(hit: HitBuffer, slot: number, length: number, now: number): void {
    this.#items.read(slot, this.#slots.valuePosition(slot), hit.words64, 0, length, this.#cursor);
    hit.length = length;
    this.#slots.copyMetadata(slot, now, hit);
  }

  /** Starts copying a large value. */
  readInChunks(entry: LargeEntry): ChunkedRead {
    return new ChunkedRead(entry, this.#items, this.#slab);
  }
}
