import { randomInt } from 'node:crypto';
import { BufferFull } from '../../redis/redis-reply.ts';
import type { Clock } from './clock.ts';
import { type Counters, SharedCounters, counter } from './counters.ts';
import { Entries } from './entries.ts';
import { EntryReader } from './reading/entry-reader.ts';
import type { Etag } from './etag.ts';
import { Fills, NO_VARIANTS } from './fills.ts';
import { ItemBytes } from './memory/item-bytes.ts';
import { HotKeys, periodOf } from './hot-keys/hot-keys.ts';
import { type HotKeysReport, reportOf } from './hot-keys/hot-keys-report.ts';
import { KeyIndex } from './index/key-index.ts';
import type { LargeEntry } from './reading/chunked-read.ts';
import { BLOCK_BYTES, HOT_KEY_SKETCHES, type LruLimits, LruMemory, NONE, State } from './memory/layout.ts';
import { Leases } from './leases.ts';
import type { HitBuffer } from './hit-buffer.ts';
import { type KeySelection, MAX_FREED_BLOCKS, MatchingPurge } from './walks/matching-purge.ts';
import {
  type FillResult,
  type Forward,
  type CachedEntry,
  type CachedValue,
  type EntryId,
  type Lease,
  type Lifetime,
  type LoadResult,
  type Lookup,
  type Place,
  PurgeProgress,
  type PurgeStep,
  type Servable,
  type Stale,
  type UncachedLease,
} from './cache-types.ts';
import { OptimisticReader } from './reading/optimistic-reader.ts';
import { RecencyWalk } from './walks/recency-walk.ts';
import { SharedLock } from './memory/shared-lock.ts';
import { Slots, publishedVersion } from './slots.ts';
import { TouchRings } from './memory/touch-rings.ts';

export interface LruStats extends Counters {
  readonly entries: number;
  readonly bytes: number;
  readonly leases: number;
}

/** Maximum number of queries that a purge ends while it holds the lock once. */
export const PURGED_AT_ONCE = 128;

const HITS = counter('hits');
const MISSES = counter('misses');
const COLLAPSED = counter('collapsed');
const INVALIDATIONS = counter('invalidations');
const RECOVERIES = counter('recoveries');

/**
 * Strict LRU cache of the results of queries in one `SharedArrayBuffer`, shared exactly by all threads that map it: one
 * order of use, one capacity, one byte budget and one expiry. `layout.ts` draws the memory. Every operation is O(1) plus the
 * bytes it copies, the entries it evicts and the reads since the last change, except {@link flush}, which is O(buckets), and
 * {@link purge}, which is O(queries of the key).
 *
 * A fresh entry is read without the lock. Whatever else a read finds is decided under the lock, as are all changes.
 *
 * A key without an entry is *leased* to the first reader (R. Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013),
 * and only a fill with a valid lease stores: a value that was read before a purge is never stored after it.
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
  readonly #fills: Fills;
  readonly #touches: TouchRings;
  /** Undefined if they are not counted. */
  readonly #hotKeys: HotKeys | undefined;
  readonly #reader: EntryReader;
  readonly #optimistic: OptimisticReader;
  readonly #counters: SharedCounters;
  /** Hash of a key that {@link tryGetInto} has just not found: {@link lookup} need not look for it without the lock again. */
  #unreadHash: number | undefined;

  /** @param thread the thread's id in locks and leases: not 0, and unique among the threads of this cache. */
  private constructor(memory: LruMemory, thread: number, clock: Clock) {
    this.buffer = memory.buffer;
    this.limits = memory.limits;
    this.#clock = clock;
    this.#lock = new SharedLock(memory.header, thread);
    this.#items = new ItemBytes(memory);
    this.#slots = new Slots(memory, this.#items);
    this.#index = new KeyIndex(memory, this.#items);
    this.#counters = new SharedCounters(memory.headerFloats);
    this.#touches = new TouchRings(memory, thread);
    this.#hotKeys = memory.limits.hotKeys
      ? new HotKeys(memory, { index: this.#index, slots: this.#slots, items: this.#items })
      : undefined;
    this.#entries = new Entries(memory, this.#slots, this.#index, this.#counters, this.#touches, this.#hotKeys);
    this.#leases = new Leases(memory, thread, this.#slots, this.#index, this.#counters);
    this.#fills = new Fills(memory.limits.maxValueBytes, clock, this.#lock, {
      ...{ slots: this.#slots, index: this.#index, entries: this.#entries, leases: this.#leases },
      counters: this.#counters,
    });
    this.#reader = new EntryReader(this.#slots, this.#items);
    this.#optimistic = new OptimisticReader(memory, this.#slots, this.#index, this.#reader, this.#touches);
  }

  /**
   * Creates an empty cache.
   *
   * @throws LayoutError if the memory cannot be reserved.
   */
  static create(limits: LruLimits, thread: number, clock: Clock): SharedLru {
    const seeds = [randomInt(2 ** 32) | 0, randomInt(2 ** 32) | 0] as const;
    const lru = new SharedLru(LruMemory.reserve(limits, seeds), thread, clock);
    lru.#hotKeys?.restart(clock());
    return lru;
  }

  /** Maps a cache that another thread created. */
  static attach(buffer: SharedArrayBuffer, thread: number, clock: Clock): SharedLru {
    return new SharedLru(new LruMemory(buffer), thread, clock);
  }

  /**
   * Reads the entry whose id is bytes `from` to `to` of `bytes`, if it is fresh and its value has at most CHUNK_BYTES, and
   * makes it the most recently used. Takes no lock. Returns false, with nothing changed or counted, if {@link lookup} has to
   * decide.
   *
   * @param selectorLength bytes of the selector, at the end of the id.
   */
  tryGetInto(bytes: Uint8Array, from: number, to: number, hit: HitBuffer, selectorLength = 0): boolean {
    if (!this.#canTouch()) return false;
    const hash = this.#index.hash(bytes, from, to, selectorLength);
    if (this.#optimistic.readInto(bytes, hash, from, to, selectorLength, this.#clock(), hit)) return true;
    if (this.#index.foundVersion === 0) this.#unreadHash = hash;
    return false;
  }

  /**
   * Looks up an entry and makes it the most recently used; grants a lease if it must be loaded.
   *
   * @param counted whether the read has been counted already, by an earlier look-up.
   * @param maxAgeMs maximum age in milliseconds; an older entry is reloaded, with 0 every entry.
   * @param admit returns whether a copy of a large value fits, given the memory of the copy.
   */
  lookup(
    id: EntryId,
    counted = false,
    maxAgeMs = Infinity,
    admit: (memory: ArrayBufferLike) => boolean = () => true,
  ): Lookup {
    const hash = this.#index.hashOf(id);
    for (;;) {
      let found = this.#tryRead(id, hash, maxAgeMs);
      let isFresh = true;
      let refresh: Lease | undefined;
      if (found === undefined) {
        const now = this.#clock();
        this.#lock.acquire();
        try {
          const slot = this.#findUsable(id, hash, now);
          if (slot === NONE || this.#slots.state(slot) === State.LEASE) {
            if (!counted) this.#hotKeys?.countMiss(id, now);
            if (slot === NONE) return this.#grant(id, hash, now, NONE, 'uri-miss', counted);
            return this.#joinLoad(slot, 'uri-miss', counted);
          }
          this.#entries.touch(slot, now);
          isFresh = this.#slots.isFresh(slot, now, maxAgeMs);
          const mayServe = isFresh || (maxAgeMs === Infinity && this.#slots.mayRevalidate(slot, now));
          if (!mayServe) return this.#reload(id, hash, now, slot, counted);
          if (!isFresh || this.#slots.isRefreshDue(slot, now)) refresh = this.#refresh(id, hash, now, slot);
          found = this.#reader.read(slot, now);
        } finally {
          this.#lock.release();
        }
      }
      let entry: CachedEntry;
      if (found.kind === 'large') {
        const copied = this.#copyLarge(found, admit);
        if (copied === 'changed' || copied.kind === 'buffer-full') {
          if (refresh !== undefined) this.abandon(refresh);
          if (copied === 'changed') continue;
          return copied;
        }
        entry = copied;
      } else {
        entry = found;
      }
      if (!counted) this.countHit();
      const served = isFresh || entry.kind === 'missing' ? entry : ({ ...entry, kind: 'revalidating' } as const);
      return refresh === undefined ? served : { kind: 'refresh', found: served, lease: refresh };
    }
  }

  /**
   * Grants a lease to load an entry that nobody waits for, if there is no entry yet, no load in flight, and room for it. Counts
   * nothing.
   *
   * @param others number of entries that are about to be stored before.
   * @param bytes expected bytes of their ids and values and of the value of this one.
   */
  leaseUncached(id: EntryId, others = 0, bytes = 0): UncachedLease {
    const hash = this.#index.hashOf(id);
    const now = this.#clock();
    return this.#lock.hold(() => {
      if (this.#findUsable(id, hash, now) !== NONE) return 'cached';
      if (!this.#entries.hasRoomFor(others + 1, bytes + id.id.length)) return 'full';
      return this.#leases.grant(id, hash, now, NONE) ?? 'refused';
    });
  }

  /** Reads an entry if it is at most `maxAgeMs` old, as {@link lookup} does, but never grants a lease. */
  peek(id: EntryId, maxAgeMs = Infinity): CachedEntry | undefined {
    const found = this.#readIf(id, maxAgeMs, (slot, now) => this.#slots.isFresh(slot, now, maxAgeMs));
    if (found !== undefined) {
      this.countHit();
      return found;
    }
    const now = this.#clock();
    this.#lock.hold(() => {
      this.#counters.increment(MISSES);
      this.#hotKeys?.countMiss(id, now);
    });
    return undefined;
  }

  /**
   * Reads a value that may be served: a fresh one, or an expired one while it is loaded anew. Counts nothing, and grants no lease.
   *
   * @param admit returns whether a copy of a large value fits, given the memory of the copy.
   */
  readServable(
    id: EntryId,
    maxAgeMs: number,
    admit: (memory: ArrayBufferLike) => boolean,
  ): Servable | BufferFull | undefined {
    let kind: Servable['kind'] = 'fresh';
    const isServable = (slot: number, now: number): boolean => {
      const isFresh = this.#slots.isFresh(slot, now, maxAgeMs);
      kind = !isFresh ? 'expired' : this.#slots.isRefreshDue(slot, now) ? 'due' : 'fresh';
      return isFresh || (maxAgeMs === Infinity && this.#slots.mayRevalidate(slot, now));
    };
    const found = this.#readIf(id, maxAgeMs, isServable, admit);
    if (found === undefined || found.kind === 'buffer-full') return found;
    return found.kind === 'hit' ? { kind, found } : undefined;
  }

  /** Reads a value, expired or not, as {@link readServable} does. */
  readAny(id: EntryId, admit: (memory: ArrayBufferLike) => boolean): CachedValue | BufferFull | undefined {
    const found = this.#readIf(id, undefined, () => true, admit);
    return found?.kind === 'missing' ? undefined : found;
  }

  /** Returns etag and TTL of an entry, expired or not. */
  describe(id: EntryId): { readonly etag: Etag; readonly lifetime: Lifetime } | undefined {
    const hash = this.#index.hashOf(id);
    const now = this.#clock();
    return this.#lock.hold(() => {
      const slot = this.#index.find(id, hash);
      if (slot === NONE || this.#slots.state(slot) !== State.ENTRY || !this.#isUsable(slot, now)) return undefined;
      return { etag: this.#slots.etag(slot), lifetime: this.#slots.lifetime(slot) };
    });
  }

  /** Reads a value that has been expired for less than `staleMs`, unless the key itself has expired. Counts nothing. */
  getStale(id: EntryId): Stale | undefined {
    if (this.limits.staleMs === 0) return undefined;
    const isStale = (slot: number, now: number): boolean =>
      this.#slots.isExpired(slot, now) && this.#slots.isStale(slot, now);
    const found = this.#readIf(id, undefined, isStale);
    return found?.kind === 'hit' ? { ...found, kind: 'stale' } : undefined;
  }

  /**
   * Stores a loaded value for `lifetimeMs` milliseconds from now and ends the lease.
   *
   * @param hardTtlMs milliseconds from now after which the value must not be served at all, not even as stale.
   * @param place `last` is ignored if another thread waits for the load, whose read makes the entry the most recently used one.
   * @param variants entries that were made of the value before, which end, with their leases.
   */
  commit(
    lease: Lease,
    value: Uint8Array,
    etag: Etag,
    lifetimeMs: number,
    hardTtlMs = Infinity,
    place: Place = 'first',
    variants = NO_VARIANTS,
  ): FillResult {
    return this.#fills.store(lease, value, etag, { place, variants }, (slot, now) =>
      this.#slots.setLifetime(slot, now, lifetimeMs, hardTtlMs),
    );
  }

  /**
   * Stores what was made of the value of another entry, with the age and the TTL of that one, and ends the lease. The lease must
   * have been granted before that entry was read.
   */
  commitVariant(lease: Lease, value: Uint8Array, etag: Etag, lifetime: Lifetime): FillResult {
    return this.#fills.store(lease, value, etag, { place: 'first', variants: NO_VARIANTS }, (slot) =>
      this.#slots.copyLifetime(slot, lifetime),
    );
  }

  /**
   * Stores a negative entry for `lifetimeMs` milliseconds and ends the lease.
   *
   * @param place as for {@link commit}, like `variants`.
   */
  commitNegative(lease: Lease, lifetimeMs: number, place: Place = 'first', variants = NO_VARIANTS): FillResult {
    return this.#fills.storeNegative(lease, lifetimeMs, { place, variants });
  }

  /**
   * Puts the entries of leases whose fills were the latest ones with place `last` in this order of use, most recently used first.
   * Entries that were read since stay where they are.
   */
  reorderLast(leases: readonly Lease[]): void {
    if (leases.length === 0) return;
    const now = this.#clock();
    this.#lock.hold(() => {
      this.#entries.drainTouches(now);
      const current = leases.filter(({ slot, version, epoch }) =>
        this.#slots.isSame({ slot, version: publishedVersion(version), epoch }, State.ENTRY),
      );
      this.#entries.reorderLast(current.map(({ slot }) => slot));
    });
  }

  /** Prepares a walk over the entries in the order of use; see {@link RecencyWalk}. */
  walkByRecency(): RecencyWalk {
    return new RecencyWalk(this.#slots, this.#items, this.#entries, (section) => {
      const now = this.#clock();
      return this.#lock.tryHold(() => section(now));
    });
  }

  /**
   * Ends a lease without storing anything and passes `result` to the waiting threads. An existing entry, with its variants,
   * is dropped if Redis has replied, and stays otherwise.
   *
   * @returns false, with nothing changed, if the lease had ended.
   */
  abandon(lease: Lease, result: LoadResult = 'void', variants = NO_VARIANTS): boolean {
    return this.#fills.abandon(lease, result, variants);
  }

  /**
   * Drops an entry that is outdated by a load without a valid lease, which cannot replace it: it was stored before the load was
   * requested, and differs from the result. Unless the entry stays, its variants that were stored before the load was requested
   * end, with all their leases. A load in flight stays.
   *
   * @param etag of the value that was loaded; undefined if it has none.
   * @param requestedAt time, by the cache's clock, at which the load was requested.
   */
  dropOutdated(id: EntryId, etag: Etag | undefined, requestedAt: number, variants = NO_VARIANTS): void {
    this.#fills.dropOutdated(id, etag, requestedAt, variants);
  }

  /**
   * Waits, without polling, until a lease of another thread has ended, and returns its result; `void` also if it did not end
   * in time.
   */
  async result(lease: Lease): Promise<LoadResult> {
    const joined = this.#lock.hold(() => this.#leases.join(lease));
    if (!joined) return 'void';
    await this.#leases.waitForEnd(lease);
    return this.#lock.hold(() => this.#leases.takeResult(lease));
  }

  /**
   * Purges a key: ends the entries, and voids the leases, of all its queries. Returns the number of entries, stale ones
   * included. Takes the lock for {@link PURGED_AT_ONCE} of many queries at a time; a read meanwhile may find some of them.
   */
  purge(key: Uint8Array): number {
    const hash = this.#index.hash(key);
    const progress = new PurgeProgress();
    for (;;) {
      const now = this.#clock();
      if (this.#lock.hold(() => this.#purgeSome(key, hash, now, progress))) return progress.purged;
      this.#lock.giveWay();
    }
  }

  /** Prepares a purge of the keys that `selection` accepts; see {@link MatchingPurge}. */
  purgeMatching(selection: KeySelection): MatchingPurge {
    return new MatchingPurge(selection, this.#slots, this.#items, {
      // Each step follows the last one closely: a thread that waits, for a hit perhaps, would find the lock held each time it wakes up.
      locked: (section) => {
        const now = this.#clock();
        this.#lock.hold(() => section(now));
        this.#lock.giveWay();
      },
      tryLocked: (section) => {
        const now = this.#clock();
        const hasRun = this.#lock.tryHold(() => section(now));
        if (hasRun) this.#lock.giveWay();
        return hasRun;
      },
      end: (slot, now) => this.#purgeSlot(slot, now),
      hasSelectors: () => this.#index.queries.serial > 0,
    });
  }

  /** Purges every key and voids every lease. Returns the number of entries. */
  flush(): number {
    return this.#lock.hold(() => this.#clear());
  }

  /**
   * Expires all entries and voids every lease, in O(leases): nothing that was stored or requested before is served as fresh
   * afterwards. Entries stored under a later lease are not affected, however little time has passed.
   */
  expireAll(): void {
    const now = this.#clock();
    this.#lock.hold(() => this.#expireEverything(now));
  }

  /**
   * Sets until when, by the cache's clock, entries may be served; Infinity: until they expire. Afterwards entries are
   * reloaded but keep their slots, and may be served again once a later time is set.
   */
  trustUntil(time: number): void {
    this.#slots.trustedUntil = time;
  }

  /** Until when, by the cache's clock, entries may be served: see {@link trustUntil}. */
  get trustedUntil(): number {
    return this.#slots.trustedUntil;
  }

  /**
   * Purges a key as {@link purge} does, but one step at a time, and never waits for the lock, whose holder may have crashed: for
   * the main thread, which detects crashes. The caller must repeat it, with the same progress, until it returns `done`.
   */
  tryPurge(key: Uint8Array, progress: PurgeProgress): PurgeStep {
    const hash = this.#index.hash(key);
    const now = this.#clock();
    let isDone = false;
    const isMade = this.#lock.tryHold(() => (isDone = this.#purgeSome(key, hash, now, progress)));
    return isDone ? 'done' : isMade ? 'more' : 'locked';
  }

  /**
   * Flushes as {@link flush} does, but never waits for the lock, as {@link tryPurge}. Returns false, with nothing changed, while
   * the lock is held.
   */
  tryFlush(): boolean {
    return this.#lock.tryHold(() => this.#clear());
  }

  /** Expires all entries as {@link expireAll} does, without waiting, as {@link tryFlush}. */
  tryExpireAll(): boolean {
    const now = this.#clock();
    return this.#lock.tryHold(() => this.#expireEverything(now));
  }

  stats(): LruStats {
    return this.#lock.hold(() => {
      const counters = this.#counters.read();
      return {
        entries: this.#entries.count,
        bytes: this.#slots.bytes,
        leases: this.#leases.count,
        ...counters,
        hits: counters.hits + this.#touches.hits,
      };
    });
  }

  /**
   * Returns the keys that were read most in the last minute, with all their queries, at most `limit`; undefined if they are not
   * counted.
   */
  hotKeys(limit: number): HotKeysReport | undefined {
    const hotKeys = this.#hotKeys;
    if (hotKeys === undefined) return undefined;
    const now = this.#clock();
    const windowMs = this.#lock.hold(() => {
      this.#entries.drainTouches(now);
      return hotKeys.windowMs(now);
    });
    // One at a time, so that the lock is not held long.
    const sketches = Array.from({ length: HOT_KEY_SKETCHES }, (_, i) => this.#lock.hold(() => hotKeys.copySketch(i)));
    return reportOf(sketches, periodOf(now), windowMs, limit);
  }

  /**
   * Cleans up after a crashed thread: ends its leases and, if it crashed while it held the lock, releases the lock and
   * flushes the cache, because the change in progress may be incomplete. Call it once the thread has exited, and again later
   * while it returns `busy`: the lock's holder may be another crashed thread, for which the caller must not wait.
   */
  recoverFrom(deadThread: number): 'intact' | 'emptied' | 'busy' {
    if (!this.#lock.seizeFrom(deadThread)) {
      const cleanedUp = this.#lock.tryHold(() => {
        this.#leases.endAllOf(deadThread);
        this.#touches.release(deadThread);
      });
      return cleanedUp ? 'intact' : 'busy';
    }
    try {
      this.#clear();
      this.#touches.release(deadThread);
      this.#hotKeys?.restart(this.#clock());
      this.#counters.increment(RECOVERIES);
    } finally {
      this.#lock.release();
    }
    return 'emptied';
  }

  /** Returns the slot of an id, entry or lease, after dropping an entry or lease that can no longer be used. */
  #findUsable(id: EntryId, hash: number, now: number): number {
    let slot = this.#index.find(id, hash);
    if (slot === NONE) return NONE;
    if (this.#slots.state(slot) === State.ENTRY) {
      if (this.#isUsable(slot, now)) return slot;
      const lease = this.#slots.leaseOf(slot);
      this.#entries.expire(slot, now);
      slot = lease;
    }
    return slot === NONE || this.#leases.isUnexpired(slot, now) ? slot : NONE;
  }

  /** Whether an entry can be served, now or if its load fails. */
  #isUsable(slot: number, now: number): boolean {
    return !this.#slots.isExpired(slot, now) || this.#slots.isRetained(slot, now);
  }

  /** Grants or joins a lease to reload an entry, which stays in place until the load ends. */
  #reload(id: EntryId, hash: number, now: number, entry: number, counted: boolean): Lookup {
    const forward = this.#slots.isExpired(entry, now) || this.#slots.isUnconfirmed(now) ? 'stale' : 'request';
    const lease = this.#slots.leaseOf(entry);
    if (lease !== NONE && this.#leases.isUnexpired(lease, now)) return this.#joinLoad(lease, forward, counted);
    return this.#grant(id, hash, now, entry, forward, counted);
  }

  /** Grants a lease to reload an entry that is served meanwhile; undefined if it is being reloaded already. */
  #refresh(id: EntryId, hash: number, now: number, entry: number): Lease | undefined {
    const lease = this.#slots.leaseOf(entry);
    if (lease !== NONE && this.#leases.isUnexpired(lease, now)) return undefined;
    return this.#leases.grant(id, hash, now, entry);
  }

  #grant(id: EntryId, hash: number, now: number, entry: number, forward: Forward, counted: boolean): Lookup {
    if (!counted) this.#counters.increment(MISSES);
    const lease = this.#leases.grant(id, hash, now, entry);
    return lease === undefined ? { kind: 'unleased', forward } : { kind: 'miss', lease, forward };
  }

  #joinLoad(lease: number, forward: Forward, counted: boolean): Lookup {
    if (!counted) this.#counters.increment(COLLAPSED);
    return { kind: 'loading', lease: this.#slots.handle(lease), own: this.#leases.isOwn(lease), forward };
  }

  /**
   * Reads an entry, and makes it the most recently used, if `isMeant` accepts it.
   *
   * @param maxAgeMs set if that is the case for exactly the fresh entries of at most this age.
   */
  #readIf(
    id: EntryId,
    maxAgeMs: number | undefined,
    isMeant: (slot: number, now: number) => boolean,
  ): CachedEntry | undefined;
  #readIf(
    id: EntryId,
    maxAgeMs: number | undefined,
    isMeant: (slot: number, now: number) => boolean,
    admit: (memory: ArrayBufferLike) => boolean,
  ): CachedEntry | BufferFull | undefined;
  #readIf(
    id: EntryId,
    maxAgeMs: number | undefined,
    isMeant: (slot: number, now: number) => boolean,
    admit: (memory: ArrayBufferLike) => boolean = () => true,
  ): CachedEntry | BufferFull | undefined {
    const hash = this.#index.hashOf(id);
    for (;;) {
      const fresh = maxAgeMs === undefined ? undefined : this.#tryRead(id, hash, maxAgeMs);
      const now = this.#clock();
      const found =
        fresh ??
        this.#lock.hold(() => {
          const slot = this.#index.find(id, hash);
          if (slot === NONE || this.#slots.state(slot) !== State.ENTRY || !isMeant(slot, now)) return undefined;
          // A stale read has been counted by the look-up that started the load.
          if (maxAgeMs === undefined) this.#entries.moveToFront(slot, now);
          else this.#entries.touch(slot, now);
          return this.#reader.read(slot, now);
        });
      if (found?.kind !== 'large') return found;
      const copied = this.#copyLarge(found, admit);
      if (copied !== 'changed') return copied;
    }
  }

  /** Copies a large value, of which other threads may change the entry meanwhile. */
  #copyLarge(found: LargeEntry, admit: (memory: ArrayBufferLike) => boolean): CachedEntry | BufferFull | 'changed' {
    const read = this.#reader.readInChunks(found);
    if (!admit(read.memory)) return new BufferFull(found.length);
    if (!this.#optimistic.copy(found, read)) return 'changed';
    return { kind: 'hit', value: read.take(), etag: found.etag, freshness: found.freshness };
  }

  /** Reads a fresh entry of at most `maxAgeMs` without the lock. */
  #tryRead(id: EntryId, hash: number, maxAgeMs: number): CachedEntry | LargeEntry | undefined {
    if (hash === this.#unreadHash) {
      this.#unreadHash = undefined;
      return undefined;
    }
    return this.#canTouch() ? this.#optimistic.read(id, hash, this.#clock(), maxAgeMs) : undefined;
  }

  /** Whether this thread may read without the lock, which needs room for a touch; drains the touches if it is time to. */
  #canTouch(): boolean {
    if (!this.#touches.isAvailable) return false;
    if (this.#touches.isDue()) this.#drainTouches();
    return true;
  }

  /** Drains the touches, at once if the lock is free or this thread's ring is full; later otherwise. */
  #drainTouches(): void {
    const now = this.#clock();
    if (!this.#lock.tryAcquire(1)) {
      if (!this.#touches.isFull()) return;
      this.#lock.acquire();
    }
    try {
      this.#entries.drainTouches(now);
    } finally {
      this.#lock.release();
    }
  }

  /** Counts a hit that was read with {@link readServable}. */
  countHit(): void {
    if (this.#touches.isAvailable) this.#touches.countHit();
    else this.#lock.hold(() => this.#counters.increment(HITS));
  }

  /** Makes one step of a purge; returns whether it was the last one. */
  #purgeSome(key: Uint8Array, hash: number, now: number, progress: PurgeProgress): boolean {
    const { queries } = this.#index;
    if (progress.upTo === undefined) {
      progress.upTo = queries.serial;
      const slot = this.#index.find({ id: key, selectorLength: 0 }, hash);
      if (slot !== NONE && this.#purgeSlot(slot, now)) progress.purged++;
    }
    let query = queries.first(key, key.length, hash);
    let blocks = 0;
    for (let ended = 0; query !== NONE && queries.serialOf(query) <= progress.upTo; ended++) {
      if (ended === PURGED_AT_ONCE || blocks >= MAX_FREED_BLOCKS) {
        progress.mustRepeat ??= true;
        return false;
      }
      const next = queries.next(query);
      blocks += this.#slots.valueBytes(query) / BLOCK_BYTES;
      if (this.#purgeSlot(query, now)) progress.purged++;
      query = next;
    }
    if (progress.mustRepeat !== true) return true;
    // Between the steps, variants may have been made of what a later step has ended. None can be any more.
    progress.mustRepeat = false;
    progress.upTo = queries.serial;
    return query === NONE;
  }

  /** Ends an entry and its lease, or a lease; returns whether it was an entry, stale or not. */
  #purgeSlot(slot: number, now: number): boolean {
    if (!this.#leases.endOf(slot)) return false;
    if (!this.#isUsable(slot, now)) {
      this.#entries.expire(slot, now);
      return false;
    }
    this.#counters.increment(INVALIDATIONS);
    this.#entries.drop(slot, now);
    return true;
  }

  #expireEverything(now: number): void {
    this.#slots.expireAll(now);
    this.#leases.endAll();
  }

  #clear(): number {
    const entries = this.#entries.count;
    // A new epoch ends all leases and large reads. Waking the waiters needs the slots, so these are cleared afterwards.
    this.#slots.startFlush();
    this.#leases.clear();
    this.#entries.clear();
    this.#slots.clear();
    this.#items.clear();
    this.#index.clear();
    this.#slots.endFlush();
    return entries;
  }
}
