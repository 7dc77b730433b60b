import { hashKey } from './hash.ts';
import type { ItemBytes } from '../memory/item-bytes.ts';
import type { EntryId } from '../cache-types.ts';
import {
  Header,
  type LruMemory,
  NODE_WORDS,
  NONE,
  Node,
  SLOT_WORDS,
  Slot,
  idLengths,
  selectorBytesOf,
} from '../memory/layout.ts';
import { QueryLists } from './query-lists.ts';

/** Slots of a chain that are visited without the lock: another thread may change the chain meanwhile, even into a circle. */
const MAX_STEPS = 64;

/**
 * Hash chains that map an id to its slot, entry or lease, and lists of those of each key. All methods but {@link hash},
 * {@link hashOf} and {@link findEntry} require the cache lock.
 */
export class KeyIndex {
  readonly #header: Int32Array;
  readonly #buckets: Int32Array;
  readonly #nodes: Int32Array;
  readonly #slots: Int32Array;
  readonly #mask: number;
  readonly #items: ItemBytes;
  /** The slots of ids with a selector, by key. */
  readonly queries: QueryLists;
  /** Version of the slot that {@link findEntry} returned last, which is odd; 0 if it found none. */
  foundVersion = 0;

  constructor(memory: LruMemory, items: ItemBytes) {
    this.#header = memory.header;
    this.#buckets = memory.buckets;
    this.#nodes = memory.nodes;
    this.#slots = memory.slots;
    this.#mask = memory.buckets.length - 1;
    this.#items = items;
    this.queries = new QueryLists(memory, items);
  }

  /**
   * Hashes an id, bytes `from` to `to` of `bytes`. Needs no lock. A client can choose the same bytes with many lengths of the
   * selector; the length keeps them out of one bucket.
   */
  hash(bytes: Uint8Array, from = 0, to = bytes.length, selectorLength = 0): number {
    return hashKey(bytes, this.#header[Header.SEED_0], this.#header[Header.SEED_1], from, to) ^ selectorLength;
  }

  /** Hashes the id of an entry. Needs no lock. */
  hashOf({ id, selectorLength }: EntryId): number {
    return this.hash(id, 0, id.length, selectorLength);
  }

  /**
   * Finds an entry without the lock, by its id, bytes `from` to `to` of `bytes`; NONE also if it was overlooked, because other
   * threads changed the chain. The caller must check that the version of the slot is still {@link foundVersion} once it has
   * read the entry.
   */
  findEntry(bytes: Uint8Array, hash: number, from: number, to: number, selectorLength: number): number {
    const nodes = this.#nodes;
    const lengths = idLengths(to - from, selectorLength);
    let slot = this.#buckets[hash & this.#mask];
    for (let steps = 0; slot !== NONE && steps < MAX_STEPS; steps++) {
      if (nodes[slot * NODE_WORDS + Node.HASH] === hash) {
        const version = Atomics.load(this.#slots, slot * SLOT_WORDS + Slot.VERSION);
        // A slot beyond the mark was freed by a flush, which does not visit it.
        const isEntry = (version & 1) === 1 && slot <= this.#header[Header.SLOT_HIGH_WATER];
        if (isEntry && this.#items.hasId(slot, lengths, bytes, from, to)) {
          this.foundVersion = version;
          return slot;
        }
      }
      slot = nodes[slot * NODE_WORDS + Node.CHAIN];
    }
    this.foundVersion = 0;
    return NONE;
  }

  /** Finds the slot of an id; NONE if absent. */
  find({ id, selectorLength }: EntryId, hash: number): number {
    const nodes = this.#nodes;
    const lengths = idLengths(id.length, selectorLength);
    let slot = this.#buckets[hash & this.#mask];
    while (slot !== NONE) {
      if (nodes[slot * NODE_WORDS + Node.HASH] === hash && this.#items.hasId(slot, lengths, id, 0, id.length)) break;
      slot = nodes[slot * NODE_WORDS + Node.CHAIN];
    }
    return slot;
  }

  /** Adds the slot of an id, whose hash must be set. */
  insert(slot: number, { id, selectorLength }: EntryId): void {
    this.#chain(slot);
    if (selectorLength === 0) return;
    const keyBytes = id.length - selectorLength;
    this.queries.insert(slot, id, keyBytes, this.hash(id, 0, keyBytes));
  }

  remove(slot: number): void {
    this.#unchain(slot);
    if (this.#isQuery(slot)) this.queries.remove(slot);
  }

  /** Puts another slot of the same id, whose hash must be set, in the place of a slot. */
  replace(slot: number, by: number): void {
    this.#unchain(slot);
    this.#chain(by);
    if (this.#isQuery(slot)) this.queries.replace(slot, by);
  }

  clear(): void {
    this.#buckets.fill(NONE);
    this.queries.clear();
  }

  #isQuery(slot: number): boolean {
    return selectorBytesOf(this.#slots[slot * SLOT_WORDS + Slot.ID_LENGTHS]) > 0;
  }

  #chain(slot: number): void {
    const at = slot * NODE_WORDS;
    const bucket = this.#nodes[at + Node.HASH] & this.#mask;
    this.#nodes[at + Node.CHAIN] = this.#buckets[bucket];
    this.#buckets[bucket] = slot;
  }

  #unchain(slot: number): void {
    const nodes = this.#nodes;
    const at = slot * NODE_WORDS;
    const bucket = nodes[at + Node.HASH] & this.#mask;
    const next = nodes[at + Node.CHAIN];
    if (this.#buckets[bucket] === slot) {
      this.#buckets[bucket] = next;
      return;
    }
    let before = this.#buckets[bucket];
    while (nodes[before * NODE_WORDS + Node.CHAIN] !== slot) before = nodes[before * NODE_WORDS + Node.CHAIN];
    nodes[before * NODE_WORDS + Node.CHAIN] = next;
  }
}
