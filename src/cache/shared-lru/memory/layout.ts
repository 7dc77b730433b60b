/**
 * Layout of the shared memory. Indices of slots and blocks start at 1, and 0 means "none", so zeroed memory is an empty
 * cache.
 *
 * ```
 *   ┌──────────────────────────────────────────────────────────────────────────────────┐
 *   │ header    lock │ list heads, free lists │ limits │ counters │ seeds, epoch          │ 1 KiB
 *   ├──────────────────────────────────────────────────────────────────────────────────┤
 *   │ rings     owner, tail │ head, hits │ touches                2,176 B × threads     │
 *   ├──────────────────────────────────────────────────────────────────────────────────┤
 *   │ buckets   first slot of each hash chain                     4 B × power of two    │
 *   ├──────────────────────────────────────────────────────────────────────────────────┤
 *   │ nodes     hash │ chain │ previous │ next                    16 B × slots          │
 *   ├──────────────────────────────────────────────────────────────────────────────────┤
 *   │ slots     one entry or lease each                           176 B × (capacity + leases)
 *   │            48 B  lengths, block, state │ expires, stored │ etag, version          │
 *   │           128 B  the first bytes of the item: id, padding to 8, value             │
 *   ├──────────────────────────────────────────────────────────────────────────────────┤
 *   │ links     next block of each block                          4 B × blocks          │
 *   ├──────────────────────────────────────────────────────────────────────────────────┤
 *   │ blocks    the bytes of items that do not fit in their slot  64 B × blocks         │
 *   ├──────────────────────────────────────────────────────────────────────────────────┤
 *   │ query     first query of each key, by the hash of the key   4 B × power of two    │
 *   │ lists     hash │ chain │ previous │ next │ serial number    24 B × slots          │
 *   ├──────────────────────────────────────────────────────────────────────────────────┤
 *   │ hot keys  counts and keys of the most read keys             1 MiB, if they are on │
 *   └──────────────────────────────────────────────────────────────────────────────────┘
 * ```
 *
 * With a million entries, a hit spends its time in cache and TLB misses, not in instructions. Therefore the fields that a
 * hit reads of *other* slots (hash chain and order of use) are packed densely in the nodes, and the fields of its own slot
 * lie side by side. Items are copied as 64-bit words: a value starts at a multiple of 8. The query lists are written only for
 * queries other than GET: until then they are not resident.
 */

import { SKETCH_BYTES } from '../hot-keys/key-sketch.ts';

/** Limits of one cache. */
export interface LruLimits {
  /** Maximum number of entries, exact. */
  readonly capacity: number;
  /** Maximum bytes of all keys and values. */
  readonly maxBytes: number;
  /** Maximum bytes of a value that is stored. */
  readonly maxValueBytes: number;
  /** Maximum number of concurrent leases. */
  readonly maxLeases: number;
  /** Milliseconds after which a lease may be taken over. */
  readonly leaseMs: number;
  /** Milliseconds for which an expired value is kept, to be served stale if a load fails. */
  readonly staleMs: number;
  /** Milliseconds for which an expired value is served while it is reloaded; 0 by default. */
  readonly revalidateMs?: number;
  /** Last share of its TTL in which an entry that is read is reloaded, 0 to 0.9; 0 by default. */
  readonly refreshAhead?: number;
  /** Number of threads that may read without the lock at the same time; further ones read under it. */
  readonly maxThreads?: number;
  /** Whether the most read keys are counted; false by default. */
  readonly hotKeys?: boolean;
}

const DEFAULT_MAX_THREADS = 8;
/** Rings beside those of the reading threads: one for the main thread, one for a thread that starts while another ends. */
export const SPARE_RINGS = 2;

export const NONE = 0;

export const BLOCK_BYTES = 64;

/**
 * Indices of 32-bit words in the header. The lock has a cache line of its own, and so have the words that every hit reads and
 * that rarely change: the last ones.
 */
export const Header = {
  LOCK: 0,
  LOCK_WAITERS: 1,
  COUNT: 17,
  RECENCY_HEAD: 18,
  RECENCY_TAIL: 19,
  LEASE_HEAD: 20,
  LEASE_TAIL: 21,
  LEASE_COUNT: 22,
  LEASE_BLOCKS: 23,
  FREE_SLOT: 24,
  FREE_BLOCK: 25,
  BLOCK_HIGH_WATER: 26,
  /**
   * The first of the entries at the end of the order of use that were stored as the least recently used and not read since;
   * NONE if there are none.
   */
  UNREAD_HEAD: 27,
  SEED_0: 112,
  SEED_1: 113,
  /** Number of flushes started and ended; odd while one is in progress. */
  EPOCH: 114,
  /** Rings 0 to RINGS_USED - 1 may hold touches. */
  RINGS_USED: 115,
  /** The highest slot allocated since the last flush. */
  SLOT_HIGH_WATER: 120,
} as const;

/** Indices of 64-bit floats in the header. */
export const HeaderFloat = {
  CAPACITY: 18,
  MAX_BYTES: 19,
  MAX_VALUE_BYTES: 20,
  MAX_LEASES: 21,
  LEASE_MS: 22,
  STALE_MS: 23,
  MAX_THREADS: 24,
  REVALIDATE_MS: 27,
  REFRESH_AHEAD: 28,
  BYTES: 25,
  /** Time at which the most recent entry was stored. */
  LATEST_STORED: 26,
  /** Number of slots put in the query lists since the last flush; with 0, their buckets are empty. */
  QUERY_SERIAL: 29,
  /** 1 if hot keys are counted, else 0. */
  HOT_KEYS: 30,
  COUNTERS: 32,
  /** Entries stored at or before this time are expired, whatever their own TTL. */
  EXPIRE_ALL_AT: 58,
  /** After this time no entry is served: invalidation messages may be missing. */
  TRUSTED_UNTIL: 59,
  /** The last {@link EXPIRE_ALL_HISTORY_LENGTH} times at which all entries were expired, oldest first. */
  EXPIRE_ALL_HISTORY: 112,
} as const;

export const EXPIRE_ALL_HISTORY_LENGTH = 8;

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

/**
 * Indices of 32-bit words in the query node of a slot: its neighbours in the list of the queries of its key, which is circular,
 * oldest first.
 */
export const QueryNode = {
  /** In the first member of a list, the hash of the key. */
  KEY_HASH: 0,
  /** In the first member of a list, the first member of the next list with the same bucket; else {@link NOT_FIRST}. */
  CHAIN: 1,
  PREVIOUS: 2,
  NEXT: 3,
  /** 64-bit float at words 4 and 5: {@link HeaderFloat.QUERY_SERIAL} as of when the slot, or the one it replaced, was inserted. */
  SERIAL: 4,
} as const;

export const QUERY_NODE_WORDS = 6;
export const NOT_FIRST = -1;

/** Indices of 32-bit words in a slot. */
export const Slot = {
  /** Bytes of the id and of its selector, as {@link idLengths} returns them. */
  ID_LENGTHS: 0,
  /** Bytes of the value; {@link MISSING} in a negative entry. In a lease: bytes of the value written so far. */
  VALUE_BYTES: 1,
  FIRST_BLOCK: 2,
  /**
   * ```
   *   31 … 28  in an entry, the share of the longer of staleMs and revalidateMs for which it may be served stale, in fifteenths
   *   27 …  2  in an entry, the slot of the lease that will replace it
   *    1 …  0  state
   * ```
   */
  STATE: 3,
  /** 64-bit floats at words 4 and 6: when the entry or lease expires, and when the entry was stored. */
  EXPIRES: 4,
  STORED: 6,
  /** In a lease, in place of STORED: the slot of the entry that it will replace. */
  LEASE_ENTRY: 6,
  ETAG: 8,
  /** In a lease, the words of the etag hold the loading thread, the number of waiting threads, and the result for them. */
  LEASE_OWNER: 8,
  LEASE_WAITERS: 9,
  LEASE_RESULT: 10,
  /**
   * Odd exactly while the slot holds an entry, whose bytes then do not change: see {@link Slots}. It only ever grows (modulo
   * 2^32), so it distinguishes one use of a slot from the next.
   */
  VERSION: 11,
} as const;

/**
 * Indices of 32-bit words in a ring of touches. The owner writes head and hits, the holder of the lock the tail: they are a
 * cache line apart.
 */
export const Ring = {
  /** Id of the thread that writes the ring; 0 while the ring is free. */
  OWNER: 0,
  /** Number of touches drained, and of touches pushed, since the creation of the cache (modulo 2^32). */
  TAIL: 1,
  HEAD: 16,
  /** 64-bit float at words 18 and 19: hits counted by the owners of this ring. */
  HITS: 18,
  TOUCHES: 32,
} as const;

/** Indices of 32-bit words in a touch. */
export const Touch = {
  SLOT: 0,
  VERSION: 1,
  /** 64-bit float. */
  TIME: 2,
} as const;

export const TOUCH_WORDS = 4;
/** Touches that a ring holds, a power of two: enough that taking the lock to drain them costs little for each. */
export const RING_TOUCHES = 128;
export const RING_WORDS = Ring.TOUCHES + RING_TOUCHES * TOUCH_WORDS;

/** Maximum bytes of the id of an entry, and of the selector at its end. */
export const MAX_ID_BYTES = 64 * 1024;
export const MAX_SELECTOR_BYTES = 2 ** 14 - 1;
const SELECTOR_SHIFT = 17;

const SLOT_META_BYTES = 48;
/** Bytes of an item stored in its slot. */
export const INLINE_BYTES = 128;
export const SLOT_BYTES = SLOT_META_BYTES + INLINE_BYTES;
export const SLOT_WORDS = SLOT_BYTES / 4;
export const SLOT_INLINE_AT = SLOT_META_BYTES;

export const MISSING = -1;

/** SETTLED: a lease that has ended, kept until every waiting thread has read its result. */
export const State = { FREE: 0, ENTRY: 1, LEASE: 2, SETTLED: 3 } as const;

export const STATE_MASK = 3;
export const LINK_SHIFT = 2;
export const STALE_SHIFT = 28;
export const STALE_SHARES = 15;

/** Number of sketches of the hot keys, and bytes of the header in front of them. */
export const HOT_KEY_SKETCHES = 6;
export const HOT_KEYS_HEADER_BYTES = 64;

const HEADER_BYTES = 1024;
/** Blocks reserved per lease. Most keys fit in their slots; a lease whose key exceeds the remaining blocks is not granted. */
const LEASE_KEY_BLOCKS = 4;

const MAX_SLOTS = 2 ** (STALE_SHIFT - LINK_SHIFT) - 1;
/** Indices of blocks are stored as signed 32-bit numbers. */
const MAX_BLOCKS = 2 ** 31 - 2;
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
  /** Word `RING_WORDS * ring + field`. */
  readonly rings: Int32Array;
  readonly ringFloats: Float64Array;
  readonly buckets: Int32Array;
  /** Word `NODE_WORDS * slot + field`. Slot 0 is never used. */
  readonly nodes: Int32Array;
  /** Word `SLOT_WORDS * slot + field`. */
  readonly slots: Int32Array;
  readonly slotFloats: Float64Array;
  readonly slotBytes: Uint8Array;
  readonly slotWords64: BigInt64Array;
  readonly links: Int32Array;
  readonly blockBytes: Uint8Array;
  readonly blockWords64: BigInt64Array;
  readonly queryBuckets: Int32Array;
  /** Word `QUERY_NODE_WORDS * slot + field`. */
  readonly queryNodes: Int32Array;
  readonly queryNodeFloats: Float64Array;
  readonly limits: Required<LruLimits>;
  readonly leaseBlockBudget: number;
  /** Offset of the memory of the hot keys in {@link buffer}, in bytes. */
  readonly hotKeysAt: number;

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
      revalidateMs: this.headerFloats[HeaderFloat.REVALIDATE_MS],
      refreshAhead: this.headerFloats[HeaderFloat.REFRESH_AHEAD],
      maxThreads: this.headerFloats[HeaderFloat.MAX_THREADS],
      hotKeys: this.headerFloats[HeaderFloat.HOT_KEYS] === 1,
    });
    const sizes = sizesFor(this.limits);
    this.leaseBlockBudget = sizes.leaseBlocks;
    let offset = HEADER_BYTES;
    const take = (bytes: number): number => (offset += bytes) - bytes;
    const ringsAt = take(sizes.rings * RING_WORDS * 4);
    this.rings = new Int32Array(buffer, ringsAt, sizes.rings * RING_WORDS);
    this.ringFloats = new Float64Array(buffer, ringsAt, (sizes.rings * RING_WORDS) / 2);
    this.buckets = new Int32Array(buffer, take(sizes.buckets * 4), sizes.buckets);
    this.nodes = new Int32Array(buffer, take((sizes.slots + 1) * NODE_WORDS * 4), (sizes.slots + 1) * NODE_WORDS);
    const slotsAt = take((sizes.slots + 1) * SLOT_BYTES);
    this.slots = new Int32Array(buffer, slotsAt, (sizes.slots + 1) * SLOT_WORDS);
    this.slotFloats = new Float64Array(buffer, slotsAt, ((sizes.slots + 1) * SLOT_WORDS) / 2);
    this.slotBytes = new Uint8Array(buffer, slotsAt, (sizes.slots + 1) * SLOT_BYTES);
    this.slotWords64 = new BigInt64Array(buffer, slotsAt, ((sizes.slots + 1) * SLOT_BYTES) / 8);
    this.links = new Int32Array(buffer, take(roundUp((sizes.blocks + 1) * 4, BLOCK_BYTES)), sizes.blocks + 1);
    const blocksAt = take((sizes.blocks + 1) * BLOCK_BYTES);
    this.blockBytes = new Uint8Array(buffer, blocksAt, (sizes.blocks + 1) * BLOCK_BYTES);
    this.blockWords64 = new BigInt64Array(buffer, blocksAt, ((sizes.blocks + 1) * BLOCK_BYTES) / 8);
    this.queryBuckets = new Int32Array(buffer, take(sizes.buckets * 4), sizes.buckets);
    const queryWords = (sizes.slots + 1) * QUERY_NODE_WORDS;
    const queryNodesAt = take(queryWords * 4);
    this.queryNodes = new Int32Array(buffer, queryNodesAt, queryWords);
    this.queryNodeFloats = new Float64Array(buffer, queryNodesAt, queryWords / 2);
    this.hotKeysAt = take(sizes.hotKeysBytes);
  }

  /**
   * Reserves the memory of a cache. The system provides pages on first write, so reserved memory is not yet resident.
   *
   * @throws LayoutError when the limits need more than can be addressed or reserved.
   */
  static reserve(limits: LruLimits, seeds: readonly [number, number]): LruMemory {
    const buffer = allocate(LruMemory.bytesFor(limits));
    const floats = new Float64Array(buffer, 0, HEADER_BYTES / 8);
    floats[HeaderFloat.CAPACITY] = limits.capacity;
    floats[HeaderFloat.MAX_BYTES] = limits.maxBytes;
    floats[HeaderFloat.MAX_VALUE_BYTES] = limits.maxValueBytes;
    floats[HeaderFloat.MAX_LEASES] = limits.maxLeases;
    floats[HeaderFloat.LEASE_MS] = limits.leaseMs;
    floats[HeaderFloat.STALE_MS] = limits.staleMs;
    floats[HeaderFloat.REVALIDATE_MS] = limits.revalidateMs ?? 0;
    floats[HeaderFloat.REFRESH_AHEAD] = limits.refreshAhead ?? 0;
    floats[HeaderFloat.MAX_THREADS] = limits.maxThreads ?? DEFAULT_MAX_THREADS;
    floats[HeaderFloat.HOT_KEYS] = limits.hotKeys === true ? 1 : 0;
    floats[HeaderFloat.EXPIRE_ALL_AT] = -Infinity;
    floats.fill(-Infinity, HeaderFloat.EXPIRE_ALL_HISTORY, HeaderFloat.EXPIRE_ALL_HISTORY + EXPIRE_ALL_HISTORY_LENGTH);
    floats[HeaderFloat.LATEST_STORED] = -Infinity;
    floats[HeaderFloat.TRUSTED_UNTIL] = Infinity;
    const memory = new LruMemory(buffer);
    memory.header[Header.SEED_0] = seeds[0];
    memory.header[Header.SEED_1] = seeds[1];
    return memory;
  }

  /**
   * Returns the bytes of a cache with these limits once all of it has been written.
   *
   * @throws LayoutError when they are more than can be addressed.
   */
  static bytesFor(limits: LruLimits): number {
    requireInteger(limits.capacity, 0, 'capacity');
    requireInteger(limits.maxLeases, 1, 'maximum number of leases');
    requireInteger(limits.maxBytes, 1, 'byte budget');
    requireInteger(limits.maxValueBytes, 0, 'maximum value size');
    if (limits.maxValueBytes > MAX_VALUE_BYTES) {
      throw new LayoutError(`invalid maximum value size ${limits.maxValueBytes}: must be at most ${MAX_VALUE_BYTES}`);
    }
    const sizes = sizesFor(limits);
    if (sizes.slots > MAX_SLOTS) throw new LayoutError(`invalid capacity ${limits.capacity}: too large`);
    if (sizes.blocks > MAX_BLOCKS)
      throw new LayoutError(`invalid byte budget ${limits.maxBytes}: exceeds the addressable memory`);
    return sizes.total;
  }
}

/**
 * Returns the bytes of an id, and above them those of its selector, in one word, which without a selector is `idBytes` itself.
 * It is negative, which no slot has, if they are too long to be cached.
 */
export function idLengths(idBytes: number, selectorLength: number): number {
  const fits = idBytes <= MAX_ID_BYTES && selectorLength <= MAX_SELECTOR_BYTES;
  return fits ? idBytes | (selectorLength << SELECTOR_SHIFT) : -1;
}

/** Returns the bytes of an id, given its {@link idLengths}. */
export function idBytesOf(lengths: number): number {
  return lengths & (2 ** SELECTOR_SHIFT - 1);
}

/** Returns the bytes of the selector of an id, given its {@link idLengths}. */
export function selectorBytesOf(lengths: number): number {
  return lengths >>> SELECTOR_SHIFT;
}

function sizesFor(limits: LruLimits) {
  const slots = limits.capacity + limits.maxLeases;
  const rings = (limits.maxThreads ?? DEFAULT_MAX_THREADS) + SPARE_RINGS;
  const buckets = 2 ** Math.ceil(Math.log2(Math.max(limits.capacity, 1024)));
  const leaseBlocks = limits.maxLeases * LEASE_KEY_BLOCKS;
  // An item never needs more blocks than its bytes, padding included, rounded up; and its first 128 bytes lie in the slot.
  // Therefore the byte budget is always met before the blocks run out.
  const blocks = Math.ceil(limits.maxBytes / BLOCK_BYTES) + leaseBlocks;
  const hotKeysBytes = limits.hotKeys === true ? HOT_KEYS_HEADER_BYTES + HOT_KEY_SKETCHES * SKETCH_BYTES : 0;
  const total =
    HEADER_BYTES +
    rings * RING_WORDS * 4 +
    2 * buckets * 4 +
    (slots + 1) * (NODE_WORDS * 4 + SLOT_BYTES + QUERY_NODE_WORDS * 4) +
    roundUp((blocks + 1) * 4, BLOCK_BYTES) +
    (blocks + 1) * BLOCK_BYTES +
    hotKeysBytes;
  return { slots, rings, buckets, leaseBlocks, blocks, hotKeysBytes, total };
}

function requireInteger(limit: number, min: number, name: string): void {
  if (Number.isSafeInteger(limit) && limit >= min) return;
  throw new LayoutError(`invalid ${name} ${limit}: must be an integer of at least ${min}`);
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
