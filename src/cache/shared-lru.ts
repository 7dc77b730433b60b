import { randomInt } from 'node:crypto';
import type { Clock } from './clock.ts';
import { type Counters, SharedCounters, counter } from './counters.ts';
import { Entries } from './entries.ts';
import { EntryReader } from './entry-reader.ts';
import type { Etag } from './etag.ts';
import { ItemBytes } from './item-bytes.ts';
import { KeyIndex } from './key-index.ts';
import { type LargeEntry, STEP_BYTES } from './large-read.ts';
import { type LruLimits, LruMemory, NONE, State } from './layout.ts';
import { Leases } from './leases.ts';
import type { Hit } from './hit.ts';
import {
  type FillResult,
  type Forward,
  type Held,
  type Lease,
  type LoadResult,
  type Lookup,
  type Stale,
  isAnswer,
} from './lookup.ts';
import { SharedLock } from './shared-lock.ts';
import { Slots } from './slots.ts';

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
  readonly #reader: EntryReader;
  readonly #counters: SharedCounters;

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
    this.#reader = new EntryReader(this.#slots, this.#items);
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
      if (slot === NONE || this.#slots.state(slot) !== State.ENTRY) return false;
      if (this.#slots.isOver(slot, now) || this.#slots.isDoubtful(now)) return false;
      const length = this.#slots.valueBytes(slot);
      if (length < 0 || length > STEP_BYTES) return false;
      this.#entries.touch(slot);
      this.#counters.increment(HITS);
      this.#reader.readInto(hit, slot, length, now);
      return true;
    } finally {
      this.#lock.release();
    }
  }

  /**
   * Reads a key, and makes it the most recently used one.
   *
   * @param again whether the caller has looked before, and was counted then.
   * @param maxAgeMs milliseconds; what was stored longer ago is to be loaded anew, and at 0 whatever is held.
   */
  lookup(key: Uint8Array, again = false, maxAgeMs = Infinity): Lookup {
    const hash = this.#index.hash(key);
    for (;;) {
      const now = this.#clock();
      let large: LargeEntry;
      this.#lock.acquire();
      try {
        const slot = this.#findUsable(key, hash, now);
        if (slot === NONE) return this.#grant(key, hash, now, NONE, 'uri-miss', again);
        if (this.#slots.state(slot) === State.LEASE) return this.#underWay(slot, 'uri-miss', again);
        this.#entries.touch(slot);
        if (!this.#slots.isFresh(slot, now, maxAgeMs)) return this.#reload(key, hash, now, slot, again);
        const found = this.#reader.read(slot, now);
        if (found.kind !== 'large') {
          if (!again) this.#counters.increment(HITS);
          return found;
        }
        large = found;
      } finally {
        this.#lock.release();
      }
      const value = this.#readLarge(large, !again);
      if (value !== undefined) return { kind: 'hit', value, etag: large.etag, freshness: large.freshness };
    }
  }

  /** Reads a key if it is held and not older than `maxAgeMs`, as {@link lookup} does, but leases nothing. */
  held(key: Uint8Array, maxAgeMs = Infinity): Held | undefined {
    const found = this.#readIf(key, (slot, now) => this.#slots.isFresh(slot, now, maxAgeMs));
    this.#locked(() => this.#counters.increment(found === undefined ? MISSES : HITS));
    return found;
  }

  /** Reads a value whose time is over, and has been for less than `staleMs`; not of a key that has expired. Counts nothing. */
  stale(key: Uint8Array): Stale | undefined {
    if (this.limits.staleMs === 0) return undefined;
    const found = this.#readIf(key, (slot, now) => this.#slots.isOver(slot, now) && this.#slots.isStale(slot, now));
    return found?.kind === 'hit' ? { ...found, kind: 'stale' } : undefined;
  }

  /**
   * Stores what the holder of a lease has loaded, for `lifetimeMs` milliseconds from now. Ends the lease.
   *
   * @param keptMs milliseconds from now after which it must not even be answered as a stale value.
   */
  fill(lease: Lease, value: Uint8Array, etag: Etag, lifetimeMs: number, keptMs = Infinity): FillResult {
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
        if (written === 0) this.#entries.supersede(lease.slot, now);
        if (!this.#entries.makeRoom(lease.slot, step - written, total)) return this.#giveUp(lease.slot);
        tail = this.#slots.append(lease.slot, tail, value.subarray(written, step));
        written = step;
        if (written === total) {
          this.#store(lease.slot, etag, now, lifetimeMs, keptMs);
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
      this.#entries.supersede(lease.slot, now);
      if (!this.#entries.makeRoom(lease.slot, 0, 0)) return this.#giveUp(lease.slot);
      this.#slots.setMissing(lease.slot);
      this.#store(lease.slot, NO_ETAG, now, lifetimeMs, lifetimeMs);
      return 'stored';
    });
  }

  /**
   * Ends a lease with nothing to store; `result` is told to the threads that wait. What was held of the key goes if Redis
   * has answered, and stays if it has not.
   */
  release(lease: Lease, result: LoadResult = 'void'): void {
    const now = this.#clock();
    this.#locked(() => {
      if (!this.#leases.isAlive(lease)) return;
      if (isAnswer(result)) this.#entries.supersede(lease.slot, now);
      this.#leases.drop(lease.slot, result);
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

  /** Forgets a key, and voids the lease on it. Answers whether it was held, be it as a stale value. */
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
   * Until when, by the cache's clock, what is held may be answered; Infinity: while its time lasts. After it all is loaded
   * anew, and stays in its place, to be answered again when this is set to a later time.
   */
  followUntil(time: number): void {
    this.#slots.followedUntil = time;
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

  /** The slot of the key, entry or lease, after one has been dropped that is of no use any more. */
  #findUsable(key: Uint8Array, hash: number, now: number): number {
    let slot = this.#index.find(key, hash);
    if (slot === NONE) return NONE;
    if (this.#slots.state(slot) === State.ENTRY) {
      if (this.#isUsable(slot, now)) return slot;
      const lease = this.#slots.leaseOf(slot);
      this.#entries.expire(slot);
      slot = lease;
    }
    return slot === NONE || this.#leases.lives(slot, now) ? slot : NONE;
  }

  /** Whether an entry can be answered, or could when it cannot be loaded. */
  #isUsable(slot: number, now: number): boolean {
    return !this.#slots.isOver(slot, now) || this.#slots.isStale(slot, now);
  }

  /** Has an entry loaded anew, which stays while that is under way. */
  #reload(key: Uint8Array, hash: number, now: number, entry: number, again: boolean): Lookup {
    const forward = this.#slots.isOver(entry, now) || this.#slots.isDoubtful(now) ? 'stale' : 'request';
    const lease = this.#slots.leaseOf(entry);
    if (lease !== NONE && this.#leases.lives(lease, now)) return this.#underWay(lease, forward, again);
    return this.#grant(key, hash, now, entry, forward, again);
  }

  #grant(key: Uint8Array, hash: number, now: number, entry: number, forward: Forward, again: boolean): Lookup {
    if (!again) this.#counters.increment(MISSES);
    const lease = this.#leases.grant(key, hash, now, entry);
    return lease === undefined ? { kind: 'unleased', forward } : { kind: 'miss', lease, forward };
  }

  #underWay(lease: number, forward: Forward, again: boolean): Lookup {
    if (!again) this.#counters.increment(COLLAPSED);
    return { kind: 'loading', lease: this.#slots.handle(lease), own: this.#leases.isOwn(lease), forward };
  }

  /** Reads the entry of a key, and makes it the most recently used one, if `isMeant`. */
  #readIf(key: Uint8Array, isMeant: (slot: number, now: number) => boolean): Held | undefined {
    const hash = this.#index.hash(key);
    for (;;) {
      const now = this.#clock();
      const found = this.#locked(() => {
        const slot = this.#index.find(key, hash);
        if (slot === NONE || this.#slots.state(slot) !== State.ENTRY || !isMeant(slot, now)) return undefined;
        this.#entries.touch(slot);
        return this.#reader.read(slot, now);
      });
      if (found?.kind !== 'large') return found;
      const value = this.#readLarge(found, false);
      if (value !== undefined) return { kind: 'hit', value, etag: found.etag, freshness: found.freshness };
    }
  }

  /** Copies a large value out in steps; undefined when it changed meanwhile, and the read has to start over. */
  #readLarge(entry: LargeEntry, isCounted: boolean): Buffer | undefined {
    const read = this.#reader.readInSteps(entry);
    for (let complete = false; !complete;) {
      const unchanged = this.#locked(() => {
        if (!this.#slots.isSame(entry.handle, State.ENTRY)) return false;
        complete = read.step();
        if (complete && isCounted) this.#counters.increment(HITS);
        return true;
      });
      if (!unchanged) return undefined;
    }
    return read.take();
  }

  /** Makes an entry of a leased item that is complete. */
  #store(slot: number, etag: Etag, now: number, lifetimeMs: number, keptMs: number): void {
    // In this order: in the slot of an entry, the etag lies where a lease counts those who wait for its end.
    this.#leases.end(slot);
    this.#entries.add(slot, etag, now, lifetimeMs, keptMs);
  }

  #refuse(lease: Lease): FillResult {
    const now = this.#clock();
    return this.#locked(() => {
      if (!this.#leases.isAlive(lease)) return this.#voided();
      this.#entries.supersede(lease.slot, now);
      return this.#giveUp(lease.slot);
    });
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

  /** Drops what is held of a key, and its lease; answers whether it was held, be it as a stale value. */
  #forget(key: Uint8Array, hash: number, now: number): boolean {
    const slot = this.#index.find(key, hash);
    if (slot === NONE) return false;
    if (this.#slots.state(slot) === State.LEASE) {
      this.#leases.drop(slot, 'void');
      return false;
    }
    const lease = this.#slots.leaseOf(slot);
    if (lease !== NONE) this.#leases.drop(lease, 'void');
    if (!this.#isUsable(slot, now)) {
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
