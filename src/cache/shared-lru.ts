import { randomInt } from 'node:crypto';
import type { Clock } from './clock.ts';
import { type Counters, SharedCounters, counter } from './counters.ts';
import { Entries } from './entries.ts';
import type { Etag } from './etag.ts';
import { type Cursor, ItemBytes } from './item-bytes.ts';
import { KeyIndex } from './key-index.ts';
import { LargeRead, type LargeEntry, STEP_BYTES } from './large-read.ts';
import { type LruLimits, LruMemory, MISSING, NONE, State } from './layout.ts';
import { Leases } from './leases.ts';
import type { Hit } from './hit.ts';
import type { FillResult, Lease, LoadResult, Lookup } from './lookup.ts';
import { SharedLock } from './shared-lock.ts';
import { Slots } from './slots.ts';
import { ValueSlab } from './value-slab.ts';

export interface LruStats extends Counters {
  readonly entries: number;
  readonly bytes: number;
  readonly leases: number;
}

/** A key known to be missing has no value to hash. */
const NO_ETAG: Etag = [0, 0, 0];

const HITS = counter('hits');
const MISSES = counter('misses');
const COLLAPSED = counter('collapsed');
const INVALIDATIONS = counter('invalidations');
const UNCACHEABLE = counter('uncacheable');
const VOIDED_FILLS = counter('voidedFills');
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
  readonly #lock: SharedLock;
  readonly #items: ItemBytes;
  readonly #slots: Slots;
  readonly #index: KeyIndex;
  readonly #entries: Entries;
  readonly #leases: Leases;
  readonly #counters: SharedCounters;
  readonly #slab = new ValueSlab();
  readonly #cursor: Cursor = { block: NONE, long: 0 };

  /** @param thread a number other than 0 that no other thread of this cache has. */
  private constructor(memory: LruMemory, thread: number, clock: Clock) {
    this.buffer = memory.buffer;
    this.limits = memory.limits;
    this.#clock = clock;
    this.#lock = new SharedLock(memory.header, thread);
    this.#items = new ItemBytes(memory);
    this.#slots = new Slots(memory, this.#items);
    this.#index = new KeyIndex(memory, this.#items);
    this.#counters = new SharedCounters(memory.headerFloats);
    this.#entries = new Entries(memory, this.#slots, this.#index, this.#counters);
    this.#leases = new Leases(memory, thread, this.#slots, this.#index, this.#counters);
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
   * Reads a key, bytes `from` to `to` of `bytes`, if it is held with a value of at most STEP_BYTES, and makes it the most
   * recently used one. False, with nothing changed or counted, when it takes a {@link lookup} to say more.
   */
  hit(bytes: Uint8Array, from: number, to: number, hit: Hit): boolean {
    const hash = this.#index.hash(bytes, from, to);
    const now = this.#clock();
    this.#lock.acquire();
    try {
      const slot = this.#index.find(bytes, hash, from, to);
      if (slot === NONE || this.#slots.state(slot) !== State.ENTRY || this.#slots.isOver(slot, now)) return false;
      const length = this.#slots.valueBytes(slot);
      if (length < 0 || length > STEP_BYTES) return false;
      this.#entries.touch(slot);
      this.#counters.increment(HITS);
      this.#items.read(slot, this.#slots.valuePosition(slot), hit.longs, 0, length, this.#cursor);
      hit.length = length;
      this.#slots.describe(slot, now, hit);
      return true;
    } finally {
      this.#lock.release();
    }
  }

  /**
   * Reads a key, and makes it the most recently used one.
   *
   * @param again whether the caller has looked before, and was counted then.
   */
  lookup(key: Uint8Array, again = false): Lookup {
    const hash = this.#index.hash(key);
    for (;;) {
      const now = this.#clock();
      let found: LargeEntry;
      this.#lock.acquire();
      try {
        const slot = this.#findLive(key, hash, now);
        if (slot === NONE) {
          if (!again) this.#counters.increment(MISSES);
          const lease = this.#leases.grant(key, hash, now);
          return lease === undefined ? { kind: 'unleased' } : { kind: 'miss', lease };
        }
        if (this.#slots.state(slot) === State.LEASE) {
          if (!again) this.#counters.increment(COLLAPSED);
          return { kind: 'loading', lease: this.#slots.handle(slot), own: this.#leases.isOwn(slot) };
        }
        this.#entries.touch(slot);
        const length = this.#slots.valueBytes(slot);
        const freshness = this.#slots.freshness(slot, now);
        if (length <= STEP_BYTES) {
          if (!again) this.#counters.increment(HITS);
          if (length === MISSING) return { kind: 'missing', freshness };
          return { kind: 'hit', value: this.#copyOut(slot, length), etag: this.#slots.etag(slot), freshness };
        }
        found = {
          handle: this.#slots.handle(slot),
          position: this.#slots.valuePosition(slot),
          length,
          etag: this.#slots.etag(slot),
          freshness,
        };
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
        if (!this.#leases.isFillable(lease, written)) return this.#voided();
        if (!this.#entries.makeRoom(lease.slot, step - written, total)) return this.#giveUp(lease.slot);
        tail = this.#slots.append(lease.slot, tail, value.subarray(written, step));
        written = step;
        if (written === total) {
          this.#store(lease.slot, etag, now, lifetimeMs);
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
      if (!this.#leases.isFillable(lease, 0)) return this.#voided();
      if (!this.#entries.makeRoom(lease.slot, 0, 0)) return this.#giveUp(lease.slot);
      this.#slots.setMissing(lease.slot);
      this.#store(lease.slot, NO_ETAG, now, lifetimeMs);
      return 'stored';
    });
  }

  /** Ends a lease with nothing to store; `result` is told to the threads that wait. */
  release(lease: Lease, result: LoadResult = 'void'): void {
    this.#locked(() => {
      if (this.#leases.isAlive(lease)) this.#leases.drop(lease.slot, result);
    });
  }

  /**
   * Waits until a lease that another thread holds has ended, without polling, and answers what came of it; `void` also
   * when it did not end in its time.
   */
  async result(lease: Lease): Promise<LoadResult> {
    const joined = this.#locked(() => this.#leases.join(lease));
    if (!joined) return 'void';
    await this.#leases.ended(lease);
    return this.#locked(() => this.#leases.collect(lease));
  }

  /** Forgets a key, and voids the lease on it. Answers whether it was held. */
  purge(key: Uint8Array): boolean {
    const hash = this.#index.hash(key);
    const now = this.#clock();
    return this.#locked(() => this.#forget(key, hash, now));
  }

  /** Forgets every key, and voids every lease. Answers how many entries were held. */
  flush(): number {
    return this.#locked(() => this.#clear());
  }

  /**
   * Ends the time of all entries and voids every lease, in O(leases): nothing that was stored or asked for before is
   * answered as fresh after. What a lease granted afterwards stores is not concerned, however little time has passed.
   */
  expireAll(): void {
    const now = this.#clock();
    this.#locked(() => this.#endAll(now));
  }

  /**
   * As {@link purge}, for the thread that must never wait for a lock whose holder may be dead, since it is the one that
   * finds that out. False, with nothing done, while the lock is held.
   */
  tryPurge(key: Uint8Array): boolean {
    const hash = this.#index.hash(key);
    const now = this.#clock();
    return this.#tryLocked(() => this.#forget(key, hash, now));
  }

  /** As {@link flush}, on the terms of {@link tryPurge}. */
  tryFlush(): boolean {
    return this.#tryLocked(() => this.#clear());
  }

  /** As {@link expireAll}, on the terms of {@link tryPurge}. */
  tryExpireAll(): boolean {
    const now = this.#clock();
    return this.#tryLocked(() => this.#endAll(now));
  }

  stats(): LruStats {
    return this.#locked(() => ({
      entries: this.#entries.count,
      bytes: this.#slots.bytes,
      leases: this.#leases.count,
      ...this.#counters.read(),
    }));
  }

  /**
   * Ends what a dead thread had begun: its leases and, if it died while it held the lock, the hold. What it left half
   * done then cannot be known, so the cache is emptied. To be called once the thread is known to be dead, and again
   * later while it answers `busy`: the lock's holder may be another dead thread, for which this one must not wait.
   */
  recoverFrom(deadThread: number): 'intact' | 'emptied' | 'busy' {
    if (!this.#lock.seizeFrom(deadThread)) {
      if (!this.#lock.tryAcquire()) return 'busy';
      try {
        this.#leases.dropAllOf(deadThread);
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

  /** The slot of the key, entry or lease, after one whose time is over has been dropped. */
  #findLive(key: Uint8Array, hash: number, now: number): number {
    const slot = this.#index.find(key, hash);
    if (slot === NONE) return NONE;
    if (this.#slots.state(slot) === State.LEASE) {
      if (!this.#slots.isPast(slot, now)) return slot;
      this.#leases.expire(slot);
    } else {
      if (!this.#slots.isOver(slot, now)) return slot;
      this.#entries.expire(slot);
    }
    return NONE;
  }

  #copyOut(slot: number, length: number): Buffer {
    this.#slab.reserve(length);
    const position = this.#slots.valuePosition(slot);
    this.#items.read(slot, position, this.#slab.longs, this.#slab.at, length, this.#cursor);
    return this.#slab.take(length);
  }

  /** Copies a large value out in steps; undefined when it changed meanwhile, and the lookup has to start over. */
  #readLarge(entry: LargeEntry, again: boolean): Lookup | undefined {
    const read = new LargeRead(entry, this.#items, this.#slab);
    for (let complete = false; !complete;) {
      const unchanged = this.#locked(() => {
        if (!this.#slots.isSame(entry.handle, State.ENTRY)) return false;
        complete = read.step();
        if (complete && !again) this.#counters.increment(HITS);
        return true;
      });
      if (!unchanged) return undefined;
    }
    return { kind: 'hit', value: read.take(), etag: entry.etag, freshness: entry.freshness };
  }

  /** Makes an entry of a leased item that is complete. */
  #store(slot: number, etag: Etag, now: number, lifetimeMs: number): void {
    // In this order: in the slot of an entry, the etag lies where a lease counts those who wait for its end.
    this.#leases.end(slot);
    this.#entries.add(slot, etag, now, lifetimeMs);
  }

  #refuse(lease: Lease): FillResult {
    return this.#locked(() => (this.#leases.isAlive(lease) ? this.#giveUp(lease.slot) : this.#voided()));
  }

  #giveUp(slot: number): FillResult {
    this.#counters.increment(UNCACHEABLE);
    this.#leases.drop(slot, 'unshared');
    return 'uncacheable';
  }

  #voided(): FillResult {
    this.#counters.increment(VOIDED_FILLS);
    return 'void';
  }

  /** Drops what is held of a key, and its lease; answers whether it was held and not over. */
  #forget(key: Uint8Array, hash: number, now: number): boolean {
    const slot = this.#index.find(key, hash);
    if (slot === NONE) return false;
    if (this.#slots.state(slot) === State.LEASE) {
      this.#leases.drop(slot, 'void');
      return false;
    }
    if (this.#slots.isOver(slot, now)) {
      this.#entries.expire(slot);
      return false;
    }
    this.#counters.increment(INVALIDATIONS);
    this.#entries.drop(slot);
    return true;
  }

  #endAll(now: number): void {
    this.#slots.overAll(now);
    this.#leases.dropAll();
  }

  #clear(): number {
    const entries = this.#entries.count;
    // A new epoch ends all leases and large reads. The walk to those who wait needs the slots, which go after the leases.
    this.#slots.startEpoch();
    this.#leases.clear();
    this.#entries.clear();
    this.#slots.clear();
    this.#items.clear();
    this.#index.clear();
    return entries;
  }

  #tryLocked(section: () => void): boolean {
    if (!this.#lock.tryAcquire()) return false;
    try {
      section();
    } finally {
      this.#lock.release();
    }
    return true;
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
