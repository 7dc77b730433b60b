import type { Hit } from './hit.ts';
import type { Cursor, ItemBytes } from './item-bytes.ts';
import { type LargeEntry, LargeRead, STEP_BYTES } from './large-read.ts';
import { MISSING, NONE } from './layout.ts';
import type { Held } from './lookup.ts';
import type { Slots } from './slots.ts';
import { ValueSlab } from './value-slab.ts';

/** Copies entries out of the cache. All methods but {@link readInSteps} require the cache lock. */
export class EntryReader {
  readonly #slots: Slots;
  readonly #items: ItemBytes;
  readonly #slab = new ValueSlab();
  readonly #cursor: Cursor = { block: NONE, long: 0 };

  constructor(slots: Slots, items: ItemBytes) {
    this.#slots = slots;
    this.#items = items;
  }

  /** Reads an entry; for a large value, returns its location instead of a copy. */
  read(slot: number, now: number): Held | LargeEntry {
    const length = this.#slots.valueBytes(slot);
    const freshness = this.#slots.freshness(slot, now);
    if (length === MISSING) return { kind: 'missing', freshness };
    const position = this.#slots.valuePosition(slot);
    const etag = this.#slots.etag(slot);
    if (length > STEP_BYTES) {
      return { kind: 'large', handle: this.#slots.handle(slot), position, length, etag, freshness };
    }
    this.#slab.reserve(length);
    this.#items.read(slot, position, this.#slab.longs, this.#slab.at, length, this.#cursor);
    return { kind: 'hit', value: this.#slab.take(length), etag, freshness };
  }

  /** Reads an entry whose value has `length` bytes, at most STEP_BYTES, without allocating. */
  readInto(hit: Hit, slot: number, length: number, now: number): void {
    this.#items.read(slot, this.#slots.valuePosition(slot), hit.longs, 0, length, this.#cursor);
    hit.length = length;
    this.#slots.describe(slot, now, hit);
  }

  /** Starts copying a large value. */
  readInSteps(entry: LargeEntry): LargeRead {
    return new LargeRead(entry, this.#items, this.#slab);
  }
}
