import {
  BLOCK_BYTES,
  Header,
  INLINE_BYTES,
  type LruMemory,
  MAX_ID_BYTES,
  NONE,
  SLOT_BYTES,
  SLOT_INLINE_AT,
  SLOT_WORDS,
  Slot,
} from './layout.ts';

/** Bytes of a 64-bit word. */
const WORD_BYTES = 8;
const INLINE_WORDS = INLINE_BYTES / WORD_BYTES;
const BLOCK_WORDS = BLOCK_BYTES / WORD_BYTES;
const SLOT_WORDS64 = SLOT_BYTES / WORD_BYTES;
const SLOT_INLINE_WORDS_AT = SLOT_INLINE_AT / WORD_BYTES;

/** Number of words from which `set` with a subarray is faster than a loop, although the subarray is allocated. */
const BULK_COPY_MIN = 32;

/** Bytes of the staging buffer, the maximum written by one append. */
const STAGE_BYTES = MAX_ID_BYTES;

/** Position in an item from which reading continues: a block, and an offset in 64-bit words from its start. */
export interface Cursor {
  block: number;
  word: number;
}

/**
 * Storage of items, id and value concatenated: the first 128 bytes in the slot, the rest in a chain of 64-byte blocks.
 * Every block fits any item, so the memory does not fragment. Bytes are copied as 64-bit words, several times faster than
 * one by one from shared memory; positions are multiples of 8. Blocks that are adjacent in memory as well as in the chain
 * are copied at once. (`Buffer.prototype.copy` would be faster, but on Node.js 24 its positions wrap around at 4 GiB.)
 */
export class ItemBytes {
  readonly #header: Int32Array;
  readonly #slots: Int32Array;
  readonly #slotBytes: Uint8Array;
  readonly #slotWords64: BigInt64Array;
  readonly #links: Int32Array;
  readonly #blockBytes: Uint8Array;
  readonly #blockWords64: BigInt64Array;
  readonly #stage = new Uint8Array(STAGE_BYTES);
  readonly #stageWords64 = new BigInt64Array(this.#stage.buffer);

  constructor(memory: LruMemory) {
    this.#header = memory.header;
    this.#slots = memory.slots;
    this.#slotBytes = memory.slotBytes;
    this.#slotWords64 = memory.slotWords64;
    this.#links = memory.links;
    this.#blockBytes = memory.blockBytes;
    this.#blockWords64 = memory.blockWords64;
  }

  /** Returns the offset of the value in an item whose id has `idBytes` bytes. */
  static valuePosition(idBytes: number): number {
    return (idBytes + WORD_BYTES - 1) & -WORD_BYTES;
  }

  /** Returns the number of blocks, beside the slot, of an item that ends at `position`. */
  static blocksFor(position: number): number {
    return position <= INLINE_BYTES ? 0 : Math.ceil((position - INLINE_BYTES) / BLOCK_BYTES);
  }

  /**
   * Appends to an item and allocates blocks as needed; the caller has made sure that enough are free.
   *
   * @param position current end of the item, a multiple of 8.
   * @param tail the item's last block, as returned by the previous append; NONE to look it up.
   * @param bytes at most 64 KiB.
   * @returns the item's new last block.
   */
  append(slot: number, position: number, tail: number, bytes: Uint8Array): number {
    const held = ItemBytes.blocksFor(position);
    if (tail === NONE && held > 0) tail = this.#walk(this.#firstBlock(slot), held - 1);
    const newTail = this.#extend(slot, tail, ItemBytes.blocksFor(position + bytes.length) - held);
    this.#stage.set(bytes);
    const words = wordCount(bytes.length);
    const from = position / WORD_BYTES;
    const inSlot = Math.max(0, Math.min(INLINE_WORDS - from, words));
    const at = slot * SLOT_WORDS64 + SLOT_INLINE_WORDS_AT + from;
    copyWords(this.#stageWords64, 0, this.#slotWords64, at, inSlot);
    if (inSlot < words) {
      const offset = from + inSlot - INLINE_WORDS;
      if (held === 0) this.#writeBlocks(this.#firstBlock(slot), offset, inSlot, words);
      else this.#writeBlocks(tail, offset - (held - 1) * BLOCK_WORDS, inSlot, words);
    }
    return newTail;
  }

  /**
   * Copies `bytes` bytes, rounded up to words, from `position` of the item to word `at` of `target`, and sets `cursor` behind
   * them if they reach into the blocks.
   */
  read(slot: number, position: number, target: BigInt64Array, at: number, bytes: number, cursor: Cursor): void {
    const words = wordCount(bytes);
    const first = position / WORD_BYTES;
    const inSlot = Math.max(0, Math.min(INLINE_WORDS - first, words));
    const from = slot * SLOT_WORDS64 + SLOT_INLINE_WORDS_AT + first;
    copyWords(this.#slotWords64, from, target, at, inSlot);
    if (inSlot === words) return;
    cursor.block = this.#firstBlock(slot);
    cursor.word = first + inSlot - INLINE_WORDS;
    this.readOn(cursor, target, at + inSlot, bytes - inSlot * WORD_BYTES);
  }

  /** Copies the next `bytes` bytes, rounded up to words, and moves the cursor behind them. */
  readOn(cursor: Cursor, target: BigInt64Array, at: number, bytes: number): void {
    const end = at + wordCount(bytes);
    let block = this.#walk(cursor.block, Math.floor(cursor.word / BLOCK_WORDS));
    let word = cursor.word % BLOCK_WORDS;
    for (;;) {
      const from = block * BLOCK_WORDS + word;
      const last = this.#lastOfRun(block, word + end - at);
      const stop = Math.min(end, at + (last + 1) * BLOCK_WORDS - from);
      copyWords(this.#blockWords64, from, target, at, stop - at);
      if (stop === end) {
        cursor.block = last;
        cursor.word = from + stop - at - last * BLOCK_WORDS;
        return;
      }
      at = stop;
      block = this.#links[last];
      word = 0;
    }
  }

  /**
   * Whether the slot's id equals bytes `from` to `to` of `bytes`.
   *
   * @param lengths those of this id, as {@link idLengths} returns them.
   */
  hasId(slot: number, lengths: number, bytes: Uint8Array, from: number, to: number): boolean {
    if (this.#slots[slot * SLOT_WORDS + Slot.ID_LENGTHS] !== lengths) return false;
    return this.startsWith(slot, bytes, from, to);
  }

  /** Whether the slot's item, which is not shorter, starts with bytes `from` to `to` of `bytes`. */
  startsWith(slot: number, bytes: Uint8Array, from: number, to: number): boolean {
    const length = to - from;
    const inSlot = Math.min(INLINE_BYTES, length);
    const at = slot * SLOT_BYTES + SLOT_INLINE_AT;
    for (let i = 0; i < inSlot; i++) if (this.#slotBytes[at + i] !== bytes[from + i]) return false;
    return inSlot === length || this.#blocksHold(this.#firstBlock(slot), bytes, from + inSlot, to);
  }

  /** Frees the blocks of an item that ends at `position`. */
  free(slot: number, position: number): void {
    const count = ItemBytes.blocksFor(position);
    if (count === 0) return;
    const first = this.#firstBlock(slot);
    this.#links[this.#walk(first, count - 1)] = this.#header[Header.FREE_BLOCK];
    this.#header[Header.FREE_BLOCK] = first;
  }

  /** Frees all blocks at once. */
  clear(): void {
    this.#header[Header.FREE_BLOCK] = NONE;
    this.#header[Header.BLOCK_HIGH_WATER] = 0;
  }

  #firstBlock(slot: number): number {
    return this.#slots[slot * SLOT_WORDS + Slot.FIRST_BLOCK];
  }

  /** Returns the block `steps` after `block` in its chain. */
  #walk(block: number, steps: number): number {
    for (let i = 0; i < steps; i++) block = this.#links[block];
    return block;
  }

  #extend(slot: number, tail: number, count: number): number {
    for (let added = 0; added < count; added++) {
      const block = this.#allocateBlock();
      if (tail === NONE) this.#slots[slot * SLOT_WORDS + Slot.FIRST_BLOCK] = block;
      else this.#links[tail] = block;
      tail = block;
    }
    return tail;
  }

  #allocateBlock(): number {
    const free = this.#header[Header.FREE_BLOCK];
    if (free === NONE) return ++this.#header[Header.BLOCK_HIGH_WATER];
    this.#header[Header.FREE_BLOCK] = this.#links[free];
    return free;
  }

  /** Writes words `from` to `to` of the staging buffer into a chain, at word `word` counted from the start of `block`. */
  #writeBlocks(block: number, word: number, from: number, to: number): void {
    block = this.#walk(block, Math.floor(word / BLOCK_WORDS));
    word %= BLOCK_WORDS;
    for (;;) {
      const at = block * BLOCK_WORDS + word;
      const last = this.#lastOfRun(block, word + to - from);
      const stop = Math.min(to, from + (last + 1) * BLOCK_WORDS - at);
      copyWords(this.#stageWords64, from, this.#blockWords64, at, stop - from);
      if (stop === to) return;
      from = stop;
      block = this.#links[last];
      word = 0;
    }
  }

  /** Returns the last block that follows `block` contiguously in its chain and in memory, within `words` words. */
  #lastOfRun(block: number, words: number): number {
    const end = block + Math.ceil(words / BLOCK_WORDS) - 1;
    while (block < end && this.#links[block] === block + 1) block++;
    return block;
  }

  #blocksHold(block: number, bytes: Uint8Array, from: number, to: number): boolean {
    for (let done = from; done < to; block = this.#links[block]) {
      const shift = block * BLOCK_BYTES - done;
      const end = Math.min(to, done + BLOCK_BYTES);
      for (; done < end; done++) if (this.#blockBytes[shift + done] !== bytes[done]) return false;
    }
    return true;
  }
}

/** Returns the number of 64-bit words that hold `bytes` bytes. */
export function wordCount(bytes: number): number {
  return Math.ceil(bytes / WORD_BYTES);
}

function copyWords(source: BigInt64Array, from: number, target: BigInt64Array, at: number, count: number): void {
  if (count >= BULK_COPY_MIN) target.set(source.subarray(from, from + count), at);
  else for (let i = 0; i < count; i++) target[at + i] = source[from + i];
}
