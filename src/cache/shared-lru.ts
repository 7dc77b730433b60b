import { randomInt } from 'node:crypto';
import type { Clock } from './clock.ts';
import { type CounterName, type Counters, SharedCounters, counter } from './counters.ts';
import type { Etag } from './etag.ts';
import { hashKey } from './hash.ts';
import { type Cursor, ItemBytes, STAGE_BYTES } from './item-bytes.ts';
import { KeyIndex } from './key-index.ts';
import {
  Header,
  HeaderFloat,
  type LruLimits,
  LruMemory,
  MISSING,
  NODE_WORDS,
  NONE,
  Node,
  SLOT_WORDS,
  Slot,
  State,
} from './layout.ts';
import { SharedLock } from './shared-lock.ts';
import { SlotList } from './slot-list.ts';
import { ValueSlab } from './value-slab.ts';

/** The right, and the duty, to load one key. Worth nothing once the key was purged, or the lease, overdue, taken back. */
export interface Lease {
  readonly slot: number;
  readonly version: number;
  readonly epoch: number;
}

/** How old an answer is and how long it may be given, in milliseconds. */
export interface Freshness {
  /** Since the entry was stored. */
  readonly ageMs: number;
  /** From when it was stored to when it expires. */
  readonly lifetimeMs: number;
}

export type Lookup =
  | { readonly kind: 'hit'; readonly value: Buffer; readonly etag: Etag; readonly freshness: Freshness }
  /** The key is known not to exist. */
  | { readonly kind: 'missing'; readonly freshness: Freshness }
  /** Not held, and the caller is the one to load it: it must `fill` or `release` the lease. */
  | { readonly kind: 'miss'; readonly lease: Lease }
  /** Not held, and the holder of this lease, this thread or another, is loading it. */
  | { readonly kind: 'loading'; readonly lease: Lease; readonly own: boolean }
  /** Not held, and no lease can be given: the caller loads for itself, nothing is stored. */
  | { readonly kind: 'unleased' };

/** `void`: the lease had ended. `uncacheable`: larger than the limits allow. */
export type FillResult = 'stored' | 'void' | 'uncacheable';

/** What those who wait for a load are told. `void`: nothing, they have to look again; so they have when it was stored. */
export const LOAD_RESULTS = [
  'void',
  'missing',
  'wrong-type',
  'timeout',
  'unavailable',
  'overloaded',
  /** There is a value, but it is not in the cache. */
  'unshared',
] as const;

export type LoadResult = (typeof LOAD_RESULTS)[number];

export interface LruStats extends Counters {
  readonly entries: number;
  readonly bytes: number;
  readonly leases: number;
}

/** An entry whose value is copied out in several holds of the lock. */
interface LargeEntry {
  readonly slot: number;
  readonly version: number;
  readonly epoch: number;
  readonly length: number;
  readonly etag: Etag;
  readonly freshness: Freshness;
}

/** Bytes copied in one hold of the lock, a multiple of 8: a large value takes several. */
const STEP_BYTES = 16 * 1024;

/** A key known to be missing has no value to hash. */
const NO_ETAG: Etag = [0, 0, 0];

const HITS = counter('hits');
const MISSES = counter('misses');
const COLLAPSED = counter('collapsed');
const EVICTIONS_BY_CAPACITY = counter('evictionsByCapacity');
const EVICTIONS_BY_BYTES = counter('evictionsByBytes');
const EXPIRATIONS = counter('expirations');
const INVALIDATIONS = counter('invalidations');
const UNCACHEABLE = counter('uncacheable');
const VOIDED_FILLS = counter('voidedFills');
const EXPIRED_LEASES = counter('expiredLeases');
const RECOVERIES = counter('recoveries');

/**
 * A strict LRU cache of byte keys and byte values in one `SharedArrayBuffer`, exact for all threads that map it: they
 * share one order of use, one capacity in keys, one budget of bytes and one expiry. {@link LruMemory} draws the layout;
 * every operation is O(1) but for the bytes it copies and the entries it evicts, and {@link flush}, which is O(buckets).
 *
 * A key that is not held is *leased* to the first who asks for it (R. Nishtala et al., "Scaling Memcache at Facebook",
 * NSDI 2013), and only a fill with a living lease stores: a value that was read before a purge is never stored after it.
 */
export class SharedLru {
  readonly buffer: SharedArrayBuffer;
  readonly limits: LruLimits;
  readonly #clock: Clock;
  readonly #header: Int32Array;
  readonly #headerFloats: Float64Array;
  readonly #nodes: Int32Array;
  readonly #slots: Int32Array;
  readonly #slotFloats: Float64Array;
  readonly #leaseBlockBudget: number;
  readonly #thread: number;
  readonly #lock: SharedLock;
  readonly #items: ItemBytes;
  readonly #index: KeyIndex;
  /** Entries, the most recently read first. */
  readonly #recency: SlotList;
  /** Leases, the youngest first. */
  readonly #leases: SlotList;
  readonly #counters: SharedCounters;
  readonly #slab = new ValueSlab();
  readonly #cursor: Cursor = { block: NONE, long: 0 };

  /** @param thread a number other than 0 that no other thread of this cache has. */
  private constructor(memory: LruMemory, thread: number, clock: Clock) {
    this.buffer = memory.buffer;
    this.limits = memory.limits;
    this.#clock = clock;
    this.#header = memory.header;
    this.#headerFloats = memory.headerFloats;
    this.#nodes = memory.nodes;
    this.#slots = memory.slots;
    this.#slotFloats = memory.slotFloats;
    this.#leaseBlockBudget = memory.leaseBlockBudget;
    this.#thread = thread;
    this.#lock = new SharedLock(memory.header, thread);
    this.#items = new ItemBytes(memory);
    this.#index = new KeyIndex(memory, this.#items);
    this.#recency = new SlotList(memory.header, memory.nodes, Header.RECENCY_HEAD, Header.RECENCY_TAIL);
    this.#leases = new SlotList(memory.header, memory.nodes, Header.LEASE_HEAD, Header.LEASE_TAIL);
    this.#counters = new SharedCounters(memory.headerFloats);
  }

  /**
   * Makes an empty cache.
   *
   * @throws LayoutError when so much memory cannot be had.
   */
  static create(limits: LruLimits, thread: number, clock: Clock): SharedLru {
    const seeds = [randomInt(2 ** 32) | 0, randomInt(2 ** 32) | 0] as const;
    return new SharedLru(LruMemory.reserve(limits, seeds), thread, clock);
  }

  /** Maps a cache that another thread made. */
  static attach(buffer: SharedArrayBuffer, thread: number, clock: Clock): SharedLru {
    return new SharedLru(new LruMemory(buffer), thread, clock);
  }

  /**
   * Reads a key, and makes it the most recently used one.
   *
   * @param again whether the caller has looked before, and was counted then.
   */
  lookup(key: Uint8Array, again = false): Lookup {
    const hash = this.#hash(key);
    for (;;) {
      const now = this.#clock();
      let found: LargeEntry;
      this.#lock.acquire();
      try {
        const slot = this.#findLive(key, hash, now);
        if (slot === NONE) {
          if (!again) this.#counters.increment(MISSES);
          return this.#grantLease(key, hash, now);
        }
        const at = slot * SLOT_WORDS;
        if (this.#slots[at + Slot.STATE] === State.LEASE) {
          if (!again) this.#counters.increment(COLLAPSED);
          const own = this.#slots[at + Slot.LEASE_OWNER] === this.#thread;
          return { kind: 'loading', lease: this.#leaseIn(slot), own };
        }
        this.#recency.moveToFront(slot);
        const length = this.#slots[at + Slot.VALUE_BYTES];
        const freshness = this.#freshness(slot, now);
        if (length <= STEP_BYTES) {
          if (!again) this.#counters.increment(HITS);
          if (length === MISSING) return { kind: 'missing', freshness };
          return { kind: 'hit', value: this.#copyOut(slot, length), etag: this.#etag(slot), freshness };
        }
        const version = this.#slots[at + Slot.VERSION];
        found = { slot, version, epoch: this.#header[Header.EPOCH], length, etag: this.#etag(slot), freshness };
      } finally {
        this.#lock.release();
      }
      const large = this.#readLarge(found, again);
      if (large !== undefined) return large;
    }
  }

  /** Stores what the holder of a lease has loaded, for `lifetimeMs` milliseconds from now. Ends the lease. */
  fill(lease: Lease, value: Uint8Array, etag: Etag, lifetimeMs: number): FillResult {
    const total = value.length;
    if (total > this.limits.maxValueBytes) return this.#refuse(lease);
    let written = 0;
    let tail = NONE;
    for (;;) {
      const step = Math.min(total, written + STEP_BYTES);
      const now = this.#clock();
      this.#lock.acquire();
      try {
        if (!this.#isFillable(lease, written)) return this.#voided();
        if (!this.#makeRoom(lease.slot, step - written, total)) return this.#giveUp(lease.slot);
        tail = this.#append(lease.slot, tail, value.subarray(written, step));
        written = step;
        if (written === total) {
          this.#becomeEntry(lease.slot, etag, now, lifetimeMs);
          return 'stored';
        }
      } finally {
        this.#lock.release();
      }
    }
  }

  /** Remembers for `lifetimeMs` milliseconds that the leased key does not exist. Ends the lease. */
  fillMissing(lease: Lease, lifetimeMs: number): FillResult {
    const now = this.#clock();
    return this.#locked(() => {
      if (!this.#isFillable(lease, 0)) return this.#voided();
      if (!this.#makeRoom(lease.slot, 0, 0)) return this.#giveUp(lease.slot);
      this.#slots[lease.slot * SLOT_WORDS + Slot.VALUE_BYTES] = MISSING;
      this.#becomeEntry(lease.slot, NO_ETAG, now, lifetimeMs);
      return 'stored';
    });
  }

  /** Ends a lease with nothing to store; `result` is told to the threads that wait. */
  release(lease: Lease, result: LoadResult = 'void'): void {
    this.#locked(() => {
      if (this.#isAlive(lease)) this.#dropLease(lease.slot, result);
    });
  }

  /**
   * Waits until a lease that another thread holds has ended, without polling, and answers what came of it; `void` also
   * when it did not end in its time.
   */
  async result(lease: Lease): Promise<LoadResult> {
    const joined = this.#locked(() => {
      if (!this.#isAlive(lease)) return false;
      this.#slots[lease.slot * SLOT_WORDS + Slot.LEASE_WAITERS]++;
      return true;
    });
    if (!joined) return 'void';
    const word = lease.slot * SLOT_WORDS + Slot.VERSION;
    const wait = Atomics.waitAsync(this.#slots, word, lease.version, this.limits.leaseMs);
    if (wait.async) await wait.value;
    return this.#locked(() => this.#collect(lease));
  }

  /** Forgets a key, and voids the lease on it. Answers whether it was held. */
  purge(key: Uint8Array): boolean {
    const hash = this.#hash(key);
    const now = this.#clock();
    return this.#locked(() => {
      const slot = this.#index.find(key, hash);
      if (slot === NONE) return false;
      if (this.#slots[slot * SLOT_WORDS + Slot.STATE] === State.LEASE) {
        this.#dropLease(slot, 'void');
        return false;
      }
      const live = !this.#isOver(slot, now);
      this.#counters.increment(live ? INVALIDATIONS : EXPIRATIONS);
      this.#dropEntry(slot);
      return live;
    });
  }

  /** Forgets every key, and voids every lease. Answers how many entries were held. */
  flush(): number {
    return this.#locked(() => this.#clear());
  }

  /** Adds one to a counter that the callers of the cache keep. */
  count(name: CounterName): void {
    const index = counter(name);
    this.#locked(() => this.#counters.increment(index));
  }

  stats(): LruStats {
    return this.#locked(() => ({
      entries: this.#header[Header.COUNT],
      bytes: this.#headerFloats[HeaderFloat.BYTES],
      leases: this.#header[Header.LEASE_COUNT],
      ...this.#counters.read(),
    }));
  }

  /**
   * Ends what a dead thread had begun: its leases and, if it died while it held the lock, the hold. What it left half
   * done then cannot be known, so the cache is emptied. To be called once the thread is known to be dead, and again later while
   * it answers `busy`: the lock's holder may be another dead thread, for which this one must not wait.
   */
  recoverFrom(deadThread: number): 'intact' | 'emptied' | 'busy' {
    if (!this.#lock.seizeFrom(deadThread)) {
      if (!this.#lock.tryAcquire()) return 'busy';
      try {
        this.#endLeasesOf(deadThread);
      } finally {
        this.#lock.release();
      }
      return 'intact';
    }
    try {
      this.#clear();
      this.#counters.increment(RECOVERIES);
    } finally {
      this.#lock.release();
    }
    return 'emptied';
  }

  /** Copies a large value out in steps; undefined when it changed meanwhile, and the lookup has to start over. */
  #readLarge(entry: LargeEntry, again: boolean): Lookup | undefined {
    const { slot, version, epoch, length, etag, freshness } = entry;
    this.#slab.reserve(length);
    const { longs, at } = this.#slab;
    const cursor: Cursor = { block: NONE, long: 0 };
    for (let done = 0; done < length; done += STEP_BYTES) {
      const step = Math.min(STEP_BYTES, length - done);
      const unchanged = this.#locked(() => {
        if (!this.#isSame(slot, version, epoch, State.ENTRY)) return false;
        if (done === 0) this.#items.read(slot, this.#valuePosition(slot), longs, at, step, cursor);
        else this.#items.readOn(cursor, longs, at + done / 8, step);
        if (done + step === length && !again) this.#counters.increment(HITS);
        return true;
      });
      if (!unchanged) return undefined;
    }
    return { kind: 'hit', value: this.#slab.take(length), etag, freshness };
  }

  #copyOut(slot: number, length: number): Buffer {
    this.#slab.reserve(length);
    this.#items.read(slot, this.#valuePosition(slot), this.#slab.longs, this.#slab.at, length, this.#cursor);
    return this.#slab.take(length);
  }

  #valuePosition(slot: number): number {
    return ItemBytes.valuePosition(this.#slots[slot * SLOT_WORDS + Slot.KEY_BYTES]);
  }

  /** The slot of the key, entry or lease, after one whose time is over has been dropped. */
  #findLive(key: Uint8Array, hash: number, now: number): number {
    const slot = this.#index.find(key, hash);
    if (slot === NONE || !this.#isOver(slot, now)) return slot;
    if (this.#slots[slot * SLOT_WORDS + Slot.STATE] === State.LEASE) {
      this.#expireLease(slot);
    } else {
      this.#counters.increment(EXPIRATIONS);
      this.#dropEntry(slot);
    }
    return NONE;
  }

  #grantLease(key: Uint8Array, hash: number, now: number): Lookup {
    const blocks = ItemBytes.blocksFor(key.length);
    // Those whose time is over are the oldest. What they have written so far counts against the budget of bytes, and
    // nobody may ever ask for their keys again.
    while (this.#leases.last !== NONE && this.#isOver(this.#leases.last, now)) this.#expireLease(this.#leases.last);
    if (key.length > STAGE_BYTES || !this.#leaseFits(blocks)) return { kind: 'unleased' };
    const slot = this.#takeSlot();
    const at = slot * SLOT_WORDS;
    this.#items.append(slot, 0, NONE, key);
    this.#nodes[slot * NODE_WORDS + Node.HASH] = hash;
    this.#slots[at + Slot.KEY_BYTES] = key.length;
    this.#slots[at + Slot.VALUE_BYTES] = 0;
    this.#slots[at + Slot.STATE] = State.LEASE;
    this.#slots[at + Slot.VERSION] = this.#header[Header.LEASE_SEQUENCE]++;
    this.#slots[at + Slot.LEASE_OWNER] = this.#thread;
    this.#slots[at + Slot.LEASE_WAITERS] = 0;
    this.#slotFloats[(at + Slot.EXPIRES) >>> 1] = now + this.limits.leaseMs;
    this.#header[Header.LEASE_COUNT]++;
    this.#header[Header.LEASE_BLOCKS] += blocks;
    this.#leases.prepend(slot);
    this.#index.insert(slot);
    return { kind: 'miss', lease: this.#leaseIn(slot) };
  }

  #leaseFits(blocks: number): boolean {
    return (
      this.#header[Header.LEASE_COUNT] < this.limits.maxLeases &&
      this.#header[Header.LEASE_BLOCKS] + blocks <= this.#leaseBlockBudget
    );
  }

  #leaseIn(slot: number): Lease {
    return { slot, version: this.#slots[slot * SLOT_WORDS + Slot.VERSION], epoch: this.#header[Header.EPOCH] };
  }

  #isAlive(lease: Lease): boolean {
    return this.#isSame(lease.slot, lease.version, lease.epoch, State.LEASE);
  }

  /** Whether a fill that has written so many bytes may go on: not when the lease has ended or another fill is at it. */
  #isFillable(lease: Lease, written: number): boolean {
    return this.#isAlive(lease) && this.#slots[lease.slot * SLOT_WORDS + Slot.VALUE_BYTES] === written;
  }

  /** Whether a slot is still what it was when its version and the epoch were read. */
  #isSame(slot: number, version: number, epoch: number, state: number): boolean {
    const at = slot * SLOT_WORDS;
    return (
      this.#slots[at + Slot.STATE] === state &&
      this.#slots[at + Slot.VERSION] === version &&
      this.#header[Header.EPOCH] === epoch
    );
  }

  #isOver(slot: number, now: number): boolean {
    return this.#slotFloats[(slot * SLOT_WORDS + Slot.EXPIRES) >>> 1] <= now;
  }

  /**
   * Evicts until the leased item, `more` bytes longer than it is, fits the budget of bytes, and, with its last bytes,
   * the capacity. False when it never will.
   */
  #makeRoom(slot: number, more: number, total: number): boolean {
    const at = slot * SLOT_WORDS;
    const keyBytes = this.#slots[at + Slot.KEY_BYTES];
    const written = this.#slots[at + Slot.VALUE_BYTES];
    const { maxBytes, capacity } = this.limits;
    if (keyBytes + total > maxBytes) return false;
    // The bytes of a lease are counted as they are written, its key with the first of them.
    const added = written === 0 ? keyBytes + more : more;
    while (this.#headerFloats[HeaderFloat.BYTES] + added > maxBytes) {
      if (!this.#evict(EVICTIONS_BY_BYTES)) return false;
    }
    if (written + more === total) {
      while (this.#header[Header.COUNT] >= capacity) this.#evict(EVICTIONS_BY_CAPACITY);
    }
    this.#headerFloats[HeaderFloat.BYTES] += added;
    return true;
  }

  #evict(cause: number): boolean {
    const slot = this.#recency.last;
    if (slot === NONE) return false;
    this.#counters.increment(cause);
    this.#dropEntry(slot);
    return true;
  }

  /** Writes more of a leased item's value; takes the item's last block and answers the new one, as ItemBytes does. */
  #append(slot: number, tail: number, bytes: Uint8Array): number {
    const at = slot * SLOT_WORDS;
    const position = this.#valuePosition(slot) + this.#slots[at + Slot.VALUE_BYTES];
    this.#slots[at + Slot.VALUE_BYTES] += bytes.length;
    return this.#items.append(slot, position, tail, bytes);
  }

  #becomeEntry(slot: number, etag: Etag, now: number, lifetimeMs: number): void {
    const at = slot * SLOT_WORDS;
    this.#unlistLease(slot);
    this.#wakeWaiters(slot);
    this.#slots[at + Slot.STATE] = State.ENTRY;
    this.#slots[at + Slot.ETAG] = etag[0];
    this.#slots[at + Slot.ETAG + 1] = etag[1];
    this.#slots[at + Slot.ETAG + 2] = etag[2];
    this.#slotFloats[(at + Slot.EXPIRES) >>> 1] = now + lifetimeMs;
    this.#slotFloats[(at + Slot.STORED) >>> 1] = now;
    this.#header[Header.COUNT]++;
    this.#recency.prepend(slot);
  }

  #unlistLease(slot: number): void {
    this.#leases.remove(slot);
    this.#header[Header.LEASE_COUNT]--;
    this.#header[Header.LEASE_BLOCKS] -= ItemBytes.blocksFor(this.#slots[slot * SLOT_WORDS + Slot.KEY_BYTES]);
  }

  #expireLease(slot: number): void {
    if (this.#slots[slot * SLOT_WORDS + Slot.STATE] === State.SETTLED) {
      this.#forgetSettled(slot);
      return;
    }
    this.#counters.increment(EXPIRED_LEASES);
    this.#dropLease(slot, 'void');
  }

  #dropLease(slot: number, result: LoadResult): void {
    const at = slot * SLOT_WORDS;
    const written = this.#slots[at + Slot.VALUE_BYTES];
    if (written > 0) this.#headerFloats[HeaderFloat.BYTES] -= this.#slots[at + Slot.KEY_BYTES] + written;
    this.#index.remove(slot);
    if (result !== 'void' && this.#slots[at + Slot.LEASE_WAITERS] > 0) {
      this.#settle(slot, result);
    } else {
      this.#wakeWaiters(slot);
      this.#unlistLease(slot);
      this.#freeSlot(slot);
    }
  }

  /** Keeps an ended lease, out of the index, for those who wait for its result. */
  #settle(slot: number, result: LoadResult): void {
    const at = slot * SLOT_WORDS;
    const waiters = this.#slots[at + Slot.LEASE_WAITERS];
    this.#slots[at + Slot.STATE] = State.SETTLED;
    this.#slots[at + Slot.LEASE_RESULT] = LOAD_RESULTS.indexOf(result);
    // Those who wait know the lease by its version, which wakes them by being another.
    this.#slots[at + Slot.LEASE_OWNER] = this.#slots[at + Slot.VERSION];
    this.#wakeWaiters(slot);
    this.#slots[at + Slot.LEASE_WAITERS] = waiters;
  }

  /** What came of an ended lease; the last who asks lets go of it. */
  #collect(lease: Lease): LoadResult {
    const at = lease.slot * SLOT_WORDS;
    if (this.#isAlive(lease)) {
      this.#slots[at + Slot.LEASE_WAITERS]--;
      return 'void';
    }
    const settled =
      this.#slots[at + Slot.STATE] === State.SETTLED &&
      this.#slots[at + Slot.LEASE_OWNER] === lease.version &&
      this.#header[Header.EPOCH] === lease.epoch;
    if (!settled) return 'void';
    const result = LOAD_RESULTS[this.#slots[at + Slot.LEASE_RESULT]];
    if (--this.#slots[at + Slot.LEASE_WAITERS] === 0) this.#forgetSettled(lease.slot);
    return result;
  }

  #forgetSettled(slot: number): void {
    this.#unlistLease(slot);
    this.#freeSlot(slot);
  }

  /** Gives a slot whose lease ends its next version, and wakes the threads that wait for the one it had. */
  #wakeWaiters(slot: number): void {
    const at = slot * SLOT_WORDS;
    Atomics.store(this.#slots, at + Slot.VERSION, this.#header[Header.LEASE_SEQUENCE]++);
    if (this.#slots[at + Slot.LEASE_WAITERS] > 0) Atomics.notify(this.#slots, at + Slot.VERSION);
  }

  #endLeasesOf(thread: number): void {
    for (let slot = this.#leases.first; slot !== NONE;) {
      const next = this.#leases.next(slot);
      const at = slot * SLOT_WORDS;
      if (this.#slots[at + Slot.STATE] === State.LEASE && this.#slots[at + Slot.LEASE_OWNER] === thread) {
        this.#dropLease(slot, 'void');
      }
      slot = next;
    }
  }

  #dropEntry(slot: number): void {
    const at = slot * SLOT_WORDS;
    const value = Math.max(0, this.#slots[at + Slot.VALUE_BYTES]);
    this.#headerFloats[HeaderFloat.BYTES] -= this.#slots[at + Slot.KEY_BYTES] + value;
    this.#header[Header.COUNT]--;
    this.#recency.remove(slot);
    this.#index.remove(slot);
    this.#freeSlot(slot);
  }

  #takeSlot(): number {
    const free = this.#header[Header.FREE_SLOT];
    if (free === NONE) return ++this.#header[Header.SLOT_MARK];
    this.#header[Header.FREE_SLOT] = this.#nodes[free * NODE_WORDS + Node.NEXT];
    return free;
  }

  #freeSlot(slot: number): void {
    const at = slot * SLOT_WORDS;
    this.#items.free(slot, this.#valuePosition(slot) + Math.max(0, this.#slots[at + Slot.VALUE_BYTES]));
    this.#slots[at + Slot.STATE] = State.FREE;
    this.#nodes[slot * NODE_WORDS + Node.NEXT] = this.#header[Header.FREE_SLOT];
    this.#header[Header.FREE_SLOT] = slot;
  }

  #clear(): number {
    const header = this.#header;
    const entries = header[Header.COUNT];
    // A new epoch ends all leases and large reads.
    header[Header.EPOCH]++;
    this.#wakeAll();
    header[Header.COUNT] = 0;
    header[Header.LEASE_COUNT] = 0;
    header[Header.LEASE_BLOCKS] = 0;
    header[Header.FREE_SLOT] = NONE;
    header[Header.SLOT_MARK] = 0;
    this.#headerFloats[HeaderFloat.BYTES] = 0;
    this.#recency.clear();
    this.#leases.clear();
    this.#items.clear();
    this.#index.clear();
    return entries;
  }

  /** Wakes all who wait. The walk is bounded, as a dead thread may have left the list broken. */
  #wakeAll(): void {
    let slot = this.#leases.first;
    for (let left = this.#header[Header.LEASE_COUNT]; left > 0 && this.#isSlot(slot); left--) {
      this.#wakeWaiters(slot);
      slot = this.#leases.next(slot);
    }
  }

  #isSlot(slot: number): boolean {
    return slot > NONE && slot <= this.#header[Header.SLOT_MARK];
  }

  #refuse(lease: Lease): FillResult {
    return this.#locked(() => (this.#isAlive(lease) ? this.#giveUp(lease.slot) : this.#voided()));
  }

  #giveUp(slot: number): FillResult {
    this.#counters.increment(UNCACHEABLE);
    this.#dropLease(slot, 'unshared');
    return 'uncacheable';
  }

  #voided(): FillResult {
    this.#counters.increment(VOIDED_FILLS);
    return 'void';
  }

  #freshness(slot: number, now: number): Freshness {
    const at = (slot * SLOT_WORDS) >>> 1;
    const stored = this.#slotFloats[at + (Slot.STORED >> 1)];
    // Another thread may have stored it after this one had read the time.
    return { ageMs: Math.max(0, now - stored), lifetimeMs: this.#slotFloats[at + (Slot.EXPIRES >> 1)] - stored };
  }

  #etag(slot: number): Etag {
    const at = slot * SLOT_WORDS + Slot.ETAG;
    return [this.#slots[at], this.#slots[at + 1], this.#slots[at + 2]];
  }

  #hash(key: Uint8Array): number {
    return hashKey(key, this.#header[Header.SEED_0], this.#header[Header.SEED_1]);
  }

  #locked<Result>(section: () => Result): Result {
    this.#lock.acquire();
    try {
      return section();
    } finally {
      this.#lock.release();
    }
  }
}
