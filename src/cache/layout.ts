/**
 * The shape of the shared memory. All indices of slots and blocks start at 1; 0 means "none", so that memory as the
 * system hands it out, all zeroes, is an empty cache.
 *
 * ```
 *   ┌──────────────────────────────────────────────────────────────────────────────────┐
 *   │ header    lock │ list heads, free lists, epoch │ limits, seeds │ counters          │ 1 KiB
 *   ├──────────────────────────────────────────────────────────────────────────────────┤
 *   │ buckets   first slot of each hash chain                     4 B × power of two    │
 *   ├──────────────────────────────────────────────────────────────────────────────────┤
 *   │ nodes     hash │ chain │ previous │ next                    16 B × slots          │
 *   ├──────────────────────────────────────────────────────────────────────────────────┤
 *   │ slots     one entry or lease each                           176 B × (capacity + leases)
 *   │            48 B  lengths, block, state │ expires, stored │ etag, version          │
 *   │           128 B  the first bytes of the item: key, padding to 8, value            │
 *   ├──────────────────────────────────────────────────────────────────────────────────┤
 *   │ links     next block of each block                          4 B × blocks          │
 *   ├──────────────────────────────────────────────────────────────────────────────────┤
 *   │ blocks    the bytes of items that do not fit in their slot  64 B × blocks         │
 *   └──────────────────────────────────────────────────────────────────────────────────┘
 * ```
 *
 * With a million entries, a hit spends its time in cache and TLB misses, not in instructions. So what a hit needs of
 * *other* slots (hash chain and order of use) is packed densely in the nodes, and what it needs of its own lies side by
 * side in the slot. Items are copied in words of 64 bits: a value starts at a multiple of 8.
 */

/** What one cache may hold. */
export interface LruLimits {
  /** Entries held, exactly. */
  readonly capacity: number;
  /** Bytes of keys and values held. */
  readonly maxBytes: number;
  /** Bytes of the largest value that is stored. */
  readonly maxValueBytes: number;
  /** Loads that may hold a lease at the same time. */
  readonly maxLeases: number;
  /** Milliseconds after which a lease may be taken over. */
  readonly leaseMs: number;
  /** Milliseconds for which a value that is over is kept, to be answered as a stale one while it cannot be loaded. */
  readonly staleMs: number;
}

export const NONE = 0;

export const BLOCK_BYTES = 64;

/** Indices of 32-bit words in the header. The lock has a cache line of its own. */
export const Header = {
  LOCK: 0,
  LOCK_WAITERS: 1,
  EPOCH: 16,
  COUNT: 17,
  RECENCY_HEAD: 18,
  RECENCY_TAIL: 19,
  LEASE_HEAD: 20,
  LEASE_TAIL: 21,
  LEASE_COUNT: 22,
  LEASE_BLOCKS: 23,
  FREE_SLOT: 24,
  SLOT_MARK: 25,
  FREE_BLOCK: 26,
  BLOCK_MARK: 27,
  LEASE_SEQUENCE: 28,
  SEED_0: 32,
  SEED_1: 33,
} as const;

/** Indices of 64-bit floats in the header. */
export const HeaderFloat = {
  CAPACITY: 18,
  MAX_BYTES: 19,
  MAX_VALUE_BYTES: 20,
  MAX_LEASES: 21,
  LEASE_MS: 22,
  STALE_MS: 23,
  BYTES: 24,
  /** What was stored at this time or before is over, whatever its own time. */
  OVER: 25,
  /** When the latest of all entries was stored. */
  LATEST: 26,
  /** After this time nothing that is held is answered: it is not known what was written meanwhile. */
  FOLLOWED_UNTIL: 27,
  COUNTERS: 32,
  /** The times at which all entries were ended, {@link ENDINGS} of them, the last one last. */
  ENDINGS: 112,
} as const;

export const ENDINGS = 8;

/** Indices of 32-bit words in a slot's node. */
export const Node = {
  HASH: 0,
  /** Next slot with the same bucket. */
  CHAIN: 1,
  /** Neighbours in the order of use, in the list of leases or, NEXT alone, in the free list. */
  PREVIOUS: 2,
  NEXT: 3,
} as const;

export const NODE_WORDS = 4;

/** Indices of 32-bit words in a slot. */
export const Slot = {
  KEY_BYTES: 0,
  /** Bytes of the value; {@link MISSING} for a key known not to exist. In a lease: bytes of the value written so far. */
  VALUE_BYTES: 1,
  FIRST_BLOCK: 2,
  /**
   * ```
   *   31 … 28  in an entry, for how much of staleMs it may be answered after its time, in fifteenths
   *   27 …  2  in an entry, the slot of the lease that is to replace it
   *    1 …  0  state
   * ```
   */
  STATE: 3,
  /** 64-bit floats at words 4 and 6: the end of the entry's or the lease's time, and when the entry was stored. */
  EXPIRES: 4,
  STORED: 6,
  /** In a lease, where an entry notes when it was stored: the entry that it is to replace. */
  LEASE_ENTRY: 6,
  ETAG: 8,
  /** In a lease, the words of the etag say who loads, how many threads wait, and what they are to be told. */
  LEASE_OWNER: 8,
  LEASE_WAITERS: 9,
  LEASE_RESULT: 10,
  /** Drawn anew whenever a lease is granted and whenever it ends; tells one use of a slot from the next. */
  VERSION: 11,
} as const;

const SLOT_META_BYTES = 48;
/** Bytes of an item that lie in its slot. */
export const INLINE_BYTES = 128;
export const SLOT_BYTES = SLOT_META_BYTES + INLINE_BYTES;
export const SLOT_WORDS = SLOT_BYTES / 4;
export const SLOT_INLINE_AT = SLOT_META_BYTES;

export const MISSING = -1;

/** SETTLED: a lease that has ended, kept until those who waited for it have read its result. */
export const State = { FREE: 0, ENTRY: 1, LEASE: 2, SETTLED: 3 } as const;

export const STATE_MASK = 3;
export const LINK_SHIFT = 2;
export const STALE_SHIFT = 28;
export const STALE_SHARES = 15;

const HEADER_BYTES = 1024;
/** Keys fit in their slots as a rule; a lease whose key does not fit in what is left of this share is not granted. */
const LEASE_KEY_BLOCKS = 4;

const MAX_SLOTS = 2 ** (STALE_SHIFT - LINK_SHIFT) - 1;
const MAX_BLOCKS = 2 ** 30;
/** Lengths are kept as signed 32-bit numbers. */
const MAX_VALUE_BYTES = 2 ** 31 - 1;

export class LayoutError extends Error {
  override readonly name = 'LayoutError';
}

/** Typed views of one cache's shared memory. */
export class LruMemory {
  readonly buffer: SharedArrayBuffer;
  readonly header: Int32Array;
  readonly headerFloats: Float64Array;
  readonly buckets: Int32Array;
  /** Word `NODE_WORDS * slot + field`. Slot 0 is never used. */
  readonly nodes: Int32Array;
  /** Word `SLOT_WORDS * slot + field`. */
  readonly slots: Int32Array;
  readonly slotFloats: Float64Array;
  readonly slotBytes: Uint8Array;
  readonly slotLongs: BigInt64Array;
  readonly links: Int32Array;
  readonly blockBytes: Uint8Array;
  readonly blockLongs: BigInt64Array;
  readonly limits: LruLimits;
  readonly leaseBlockBudget: number;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.header = new Int32Array(buffer, 0, HEADER_BYTES / 4);
    this.headerFloats = new Float64Array(buffer, 0, HEADER_BYTES / 8);
    this.limits = Object.freeze({
      capacity: this.headerFloats[HeaderFloat.CAPACITY],
      maxBytes: this.headerFloats[HeaderFloat.MAX_BYTES],
      maxValueBytes: this.headerFloats[HeaderFloat.MAX_VALUE_BYTES],
      maxLeases: this.headerFloats[HeaderFloat.MAX_LEASES],
      leaseMs: this.headerFloats[HeaderFloat.LEASE_MS],
      staleMs: this.headerFloats[HeaderFloat.STALE_MS],
    });
    const sizes = sizesFor(this.limits);
    this.leaseBlockBudget = sizes.leaseBlocks;
    let offset = HEADER_BYTES;
    const take = (bytes: number): number => (offset += bytes) - bytes;
    this.buckets = new Int32Array(buffer, take(sizes.buckets * 4), sizes.buckets);
    this.nodes = new Int32Array(buffer, take((sizes.slots + 1) * NODE_WORDS * 4), (sizes.slots + 1) * NODE_WORDS);
    const slotsAt = take((sizes.slots + 1) * SLOT_BYTES);
    this.slots = new Int32Array(buffer, slotsAt, (sizes.slots + 1) * SLOT_WORDS);
    this.slotFloats = new Float64Array(buffer, slotsAt, ((sizes.slots + 1) * SLOT_WORDS) / 2);
    this.slotBytes = new Uint8Array(buffer, slotsAt, (sizes.slots + 1) * SLOT_BYTES);
    this.slotLongs = new BigInt64Array(buffer, slotsAt, ((sizes.slots + 1) * SLOT_BYTES) / 8);
    this.links = new Int32Array(buffer, take(roundUp((sizes.blocks + 1) * 4, BLOCK_BYTES)), sizes.blocks + 1);
    const blocksAt = take((sizes.blocks + 1) * BLOCK_BYTES);
    this.blockBytes = new Uint8Array(buffer, blocksAt, (sizes.blocks + 1) * BLOCK_BYTES);
    this.blockLongs = new BigInt64Array(buffer, blocksAt, ((sizes.blocks + 1) * BLOCK_BYTES) / 8);
  }

  /**
   * Reserves the memory of a cache. The system hands pages out as they are first written, so what is reserved is not
   * yet resident.
   *
   * @throws LayoutError when the limits need more than can be addressed or reserved.
   */
  static reserve(limits: LruLimits, seeds: readonly [number, number]): LruMemory {
    requireWhole(limits.capacity, 1, 'a capacity', 'keys');
    requireWhole(limits.maxLeases, 1, 'a maximum', 'leases');
    requireWhole(limits.maxBytes, 1, 'a budget', 'bytes');
    requireWhole(limits.maxValueBytes, 0, 'a limit for values', 'bytes');
    if (limits.maxValueBytes > MAX_VALUE_BYTES)
      throw new LayoutError(`${limits.maxValueBytes} bytes a value are too many`);
    const sizes = sizesFor(limits);
    if (sizes.slots > MAX_SLOTS) throw new LayoutError(`a capacity of ${limits.capacity} keys is too large`);
    if (sizes.blocks > MAX_BLOCKS) throw new LayoutError(`${limits.maxBytes} bytes are too many`);
    const buffer = allocate(sizes.total);
    const floats = new Float64Array(buffer, 0, HEADER_BYTES / 8);
    floats[HeaderFloat.CAPACITY] = limits.capacity;
    floats[HeaderFloat.MAX_BYTES] = limits.maxBytes;
    floats[HeaderFloat.MAX_VALUE_BYTES] = limits.maxValueBytes;
    floats[HeaderFloat.MAX_LEASES] = limits.maxLeases;
    floats[HeaderFloat.LEASE_MS] = limits.leaseMs;
    floats[HeaderFloat.STALE_MS] = limits.staleMs;
    floats[HeaderFloat.OVER] = -Infinity;
    floats.fill(-Infinity, HeaderFloat.ENDINGS, HeaderFloat.ENDINGS + ENDINGS);
    floats[HeaderFloat.LATEST] = -Infinity;
    floats[HeaderFloat.FOLLOWED_UNTIL] = Infinity;
    const memory = new LruMemory(buffer);
    memory.header[Header.SEED_0] = seeds[0];
    memory.header[Header.SEED_1] = seeds[1];
    return memory;
  }
}

function sizesFor(limits: LruLimits) {
  const slots = limits.capacity + limits.maxLeases;
  const buckets = 2 ** Math.ceil(Math.log2(Math.max(limits.capacity, 1024)));
  const leaseBlocks = limits.maxLeases * LEASE_KEY_BLOCKS;
  // An item never takes more blocks than its bytes, padding included, rounded up; and a slot takes its first 128 bytes.
  // So the byte budget is always met before the blocks run out.
  const blocks = Math.ceil(limits.maxBytes / BLOCK_BYTES) + leaseBlocks;
  const total =
    HEADER_BYTES +
    buckets * 4 +
    (slots + 1) * (NODE_WORDS * 4 + SLOT_BYTES) +
    roundUp((blocks + 1) * 4, BLOCK_BYTES) +
    (blocks + 1) * BLOCK_BYTES;
  return { slots, buckets, leaseBlocks, blocks, total };
}

function requireWhole(limit: number, least: number, what: string, unit: string): void {
  if (Number.isSafeInteger(limit) && limit >= least) return;
  throw new LayoutError(`${what} of ${limit} ${unit} makes no cache`);
}

function roundUp(bytes: number, to: number): number {
  return Math.ceil(bytes / to) * to;
}

function allocate(bytes: number): SharedArrayBuffer {
  try {
    return new SharedArrayBuffer(bytes);
  } catch (cause) {
    throw new LayoutError(`${bytes} bytes of shared memory cannot be reserved`, { cause });
  }
}
