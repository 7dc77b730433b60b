import { hashKey } from './memory/hash.ts';
import type { ItemBytes } from './memory/item-bytes.ts';
import { Header, type LruMemory, NODE_WORDS, NONE, Node } from './memory/layout.ts';

/** Hash chains that map a key to its slot, entry or lease. */
export class KeyIndex {
  readonly #header: Int32Array;
  readonly #buckets: Int32Array;
  readonly #nodes: Int32Array;
  readonly #mask: number;
  readonly #items: ItemBytes;

  constructor(memory: LruMemory, items: ItemBytes) {
    this.#header = memory.header;
    this.#buckets = memory.buckets;
    this.#nodes = memory.nodes;
    this.#mask = memory.buckets.length - 1;
    this.#items = items;
  }

  /** Hashes a key, bytes `from` to `to` of `bytes`. Needs no lock. */
  hash(bytes: Uint8Array, from = 0, to = bytes.length): number {
    return hashKey(bytes, this.#header[Header.SEED_0], this.#header[Header.SEED_1], from, to);
  }

  /** Finds the slot of a key; NONE if absent. */
  find(bytes: Uint8Array, hash: number, from = 0, to = bytes.length): number {
    const nodes = this.#nodes;
    let slot = this.#buckets[hash & this.#mask];
    while (slot !== NONE) {
      if (nodes[slot * NODE_WORDS + Node.HASH] === hash && this.#items.hasKey(slot, bytes, from, to)) break;
      slot = nodes[slot * NODE_WORDS + Node.CHAIN];
    }
    return slot;
  }

  /** Adds a slot, whose hash must be set. */
  insert(slot: number): void {
    const at = slot * NODE_WORDS;
    const bucket = this.#nodes[at + Node.HASH] & this.#mask;
    this.#nodes[at + Node.CHAIN] = this.#buckets[bucket];
    this.#buckets[bucket] = slot;
  }

  remove(slot: number): void {
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

  clear(): void {
    this.#buckets.fill(NONE);
  }
}
