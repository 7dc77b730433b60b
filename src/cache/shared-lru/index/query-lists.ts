import type { ItemBytes } from '../memory/item-bytes.ts';
import {
  HeaderFloat,
  type LruMemory,
  NONE,
  NOT_FIRST,
  QUERY_NODE_WORDS,
  QueryNode,
  SLOT_WORDS,
  Slot,
  idBytesOf,
  selectorBytesOf,
} from '../memory/layout.ts';

/**
 * Lists of the queries of each key: the slots, entries and leases, of ids with a selector, so that a purge of the key finds
 * them. A bucket for the hash of the key leads to the first member of each list. The members have ascending serial numbers, so
 * that a purge in steps ends with the members that were there when it began. All methods require the cache lock.
 */
export class QueryLists {
  readonly #headerFloats: Float64Array;
  readonly #slots: Int32Array;
  readonly #buckets: Int32Array;
  readonly #nodes: Int32Array;
  readonly #floats: Float64Array;
  readonly #mask: number;
  readonly #items: ItemBytes;

  constructor(memory: LruMemory, items: ItemBytes) {
    this.#headerFloats = memory.headerFloats;
    this.#slots = memory.slots;
    this.#buckets = memory.queryBuckets;
    this.#nodes = memory.queryNodes;
    this.#floats = memory.queryNodeFloats;
    this.#mask = memory.queryBuckets.length - 1;
    this.#items = items;
  }

  /** The serial number of the slot that was inserted last; 0 if none was since the last flush. */
  get serial(): number {
    return this.#headerFloats[HeaderFloat.QUERY_SERIAL];
  }

  serialOf(slot: number): number {
    return this.#floats[(slot * QUERY_NODE_WORDS + QueryNode.SERIAL) >>> 1];
  }

  /** Returns the first query of a key, the first `keyBytes` bytes of `bytes`; NONE if it has none. */
  first(bytes: Uint8Array, keyBytes: number, keyHash: number): number {
    // Without queries, their memory is not read.
    if (this.serial === 0) return NONE;
    const nodes = this.#nodes;
    let slot = this.#buckets[keyHash & this.#mask];
    while (slot !== NONE) {
      const at = slot * QUERY_NODE_WORDS;
      if (nodes[at + QueryNode.KEY_HASH] === keyHash && this.#hasKey(slot, bytes, keyBytes)) break;
      slot = nodes[at + QueryNode.CHAIN];
    }
    return slot;
  }

  /** Returns the query of the same key that was inserted next; NONE after the last one. */
  next(slot: number): number {
    const next = this.#nodes[slot * QUERY_NODE_WORDS + QueryNode.NEXT];
    return this.#isFirst(next) ? NONE : next;
  }

  /** Adds a slot, whose id starts with its key, as the last query of its key. */
  insert(slot: number, id: Uint8Array, keyBytes: number, keyHash: number): void {
    const first = this.first(id, keyBytes, keyHash);
    // Before anything else: a flush after a crash clears what is not 0.
    this.#floats[(slot * QUERY_NODE_WORDS + QueryNode.SERIAL) >>> 1] = ++this.#headerFloats[HeaderFloat.QUERY_SERIAL];
    const nodes = this.#nodes;
    const at = slot * QUERY_NODE_WORDS;
    if (first === NONE) {
      const bucket = keyHash & this.#mask;
      nodes[at + QueryNode.KEY_HASH] = keyHash;
      nodes[at + QueryNode.CHAIN] = this.#buckets[bucket];
      this.#connect(slot, slot);
      this.#buckets[bucket] = slot;
    } else {
      nodes[at + QueryNode.CHAIN] = NOT_FIRST;
      this.#connect(nodes[first * QUERY_NODE_WORDS + QueryNode.PREVIOUS], slot);
      this.#connect(slot, first);
    }
  }

  remove(slot: number): void {
    const nodes = this.#nodes;
    const at = slot * QUERY_NODE_WORDS;
    const next = nodes[at + QueryNode.NEXT];
    if (next === slot) {
      this.#relink(slot, nodes[at + QueryNode.CHAIN]);
      return;
    }
    if (this.#isFirst(slot)) this.#makeFirst(next, slot);
    this.#connect(nodes[at + QueryNode.PREVIOUS], next);
  }

  /** Puts another slot of the same id in the place of a slot. */
  replace(slot: number, by: number): void {
    const nodes = this.#nodes;
    const at = slot * QUERY_NODE_WORDS;
    const next = nodes[at + QueryNode.NEXT];
    if (this.#isFirst(slot)) this.#makeFirst(by, slot);
    else nodes[by * QUERY_NODE_WORDS + QueryNode.CHAIN] = NOT_FIRST;
    this.#floats[(by * QUERY_NODE_WORDS + QueryNode.SERIAL) >>> 1] = this.serialOf(slot);
    if (next === slot) {
      this.#connect(by, by);
    } else {
      this.#connect(nodes[at + QueryNode.PREVIOUS], by);
      this.#connect(by, next);
    }
  }

  /** Empties all lists without visiting their members. */
  clear(): void {
    if (this.serial === 0) return;
    this.#buckets.fill(NONE);
    this.#headerFloats[HeaderFloat.QUERY_SERIAL] = 0;
  }

  #isFirst(slot: number): boolean {
    return this.#nodes[slot * QUERY_NODE_WORDS + QueryNode.CHAIN] !== NOT_FIRST;
  }

  #hasKey(slot: number, bytes: Uint8Array, keyBytes: number): boolean {
    const lengths = this.#slots[slot * SLOT_WORDS + Slot.ID_LENGTHS];
    return (
      idBytesOf(lengths) - selectorBytesOf(lengths) === keyBytes && this.#items.startsWith(slot, bytes, 0, keyBytes)
    );
  }

  #connect(slot: number, next: number): void {
    this.#nodes[slot * QUERY_NODE_WORDS + QueryNode.NEXT] = next;
    this.#nodes[next * QUERY_NODE_WORDS + QueryNode.PREVIOUS] = slot;
  }

  /** Makes a slot the first member of a list in place of the current one. */
  #makeFirst(slot: number, first: number): void {
    const nodes = this.#nodes;
    const at = first * QUERY_NODE_WORDS;
    nodes[slot * QUERY_NODE_WORDS + QueryNode.KEY_HASH] = nodes[at + QueryNode.KEY_HASH];
    nodes[slot * QUERY_NODE_WORDS + QueryNode.CHAIN] = nodes[at + QueryNode.CHAIN];
    this.#relink(first, slot);
  }

  /** Lets what leads to the first member of a list, the bucket or another list, lead to `to`. */
  #relink(first: number, to: number): void {
    const nodes = this.#nodes;
    const bucket = nodes[first * QUERY_NODE_WORDS + QueryNode.KEY_HASH] & this.#mask;
    let before = this.#buckets[bucket];
    if (before === first) {
      this.#buckets[bucket] = to;
      return;
    }
    while (nodes[before * QUERY_NODE_WORDS + QueryNode.CHAIN] !== first) {
      before = nodes[before * QUERY_NODE_WORDS + QueryNode.CHAIN];
    }
    nodes[before * QUERY_NODE_WORDS + QueryNode.CHAIN] = to;
  }
}
