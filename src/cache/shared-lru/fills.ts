import {
  type EntryId,
  type FillResult,
  type Lease,
  type LoadResult,
  type Place,
  isKeyStateKnown,
} from './cache-types.ts';
import type { Clock } from './clock.ts';
import { type SharedCounters, counter } from './counters.ts';
import type { Entries } from './entries.ts';
import { type Etag, NO_ETAG, isSameEtag } from './etag.ts';
import type { KeyIndex } from './index/key-index.ts';
import type { Leases } from './leases.ts';
import { NONE, State } from './memory/layout.ts';
import type { SharedLock } from './memory/shared-lock.ts';
import { CHUNK_BYTES } from './reading/chunked-read.ts';
import type { Slots } from './slots.ts';

const UNCACHEABLE = counter('uncacheable');
const VOIDED_FILLS = counter('voidedFills');

export const NO_VARIANTS: readonly EntryId[] = [];

/** Where a fill puts its entry in the order of use, and the entries, made of the value before, that end with it. */
interface FillOptions {
  readonly place: Place;
  readonly variants: readonly EntryId[];
}

/** Parts of the cache that fills change, under the lock. */
interface FillParts {
  readonly slots: Slots;
  readonly index: KeyIndex;
  readonly entries: Entries;
  readonly leases: Leases;
  readonly counters: SharedCounters;
}

/**
 * Ends leases with what was loaded: turns their items into entries, or passes the result to the waiting threads if nothing is
 * stored. Takes the lock itself; a value of more than CHUNK_BYTES is stored in steps, each under the lock for itself.
 */
export class Fills {
  readonly #maxValueBytes: number;
  readonly #clock: Clock;
  readonly #lock: SharedLock;
  readonly #slots: Slots;
  readonly #index: KeyIndex;
  readonly #entries: Entries;
  readonly #leases: Leases;
  readonly #counters: SharedCounters;

  constructor(maxValueBytes: number, clock: Clock, lock: SharedLock, parts: FillParts) {
    this.#maxValueBytes = maxValueBytes;
    this.#clock = clock;
    this.#lock = lock;
    this.#slots = parts.slots;
    this.#index = parts.index;
    this.#entries = parts.entries;
    this.#leases = parts.leases;
    this.#counters = parts.counters;
  }

  /** Stores a value, and ends the lease. @param setLifetime sets age and TTL of the entry in a slot. */
  store(
    lease: Lease,
    value: Uint8Array,
    etag: Etag,
    { place, variants }: FillOptions,
    setLifetime: (slot: number, now: number) => void,
  ): FillResult {
    const total = value.length;
    if (total > this.#maxValueBytes) return this.#rejectTooLarge(lease, variants);
    let written = 0;
    let tail = NONE;
    for (;;) {
      const step = Math.min(total, written + CHUNK_BYTES);
      const now = this.#clock();
      this.#lock.acquire();
      try {
        if (!this.#leases.isFillable(lease, written)) return this.#voided();
        if (written === 0) this.#replace(lease.slot, variants, now);
        const actual = this.#placeOf(lease.slot, place);
        const failure = this.#makeRoom(lease.slot, step - written, total, now, actual);
        if (failure !== undefined) return failure;
        // A view costs more than it takes to copy a small value.
        const part = step - written === total ? value : value.subarray(written, step);
        tail = this.#slots.append(lease.slot, tail, part);
        written = step;
        if (written === total) {
          this.#add(lease.slot, etag, (slot) => setLifetime(slot, now), actual);
          return 'stored';
        }
      } finally {
        this.#lock.release();
      }
    }
  }

  /** Stores a negative entry for `lifetimeMs` milliseconds, and ends the lease. */
  storeNegative(lease: Lease, lifetimeMs: number, { place, variants }: FillOptions): FillResult {
    const now = this.#clock();
    return this.#lock.hold(() => {
      if (!this.#leases.isFillable(lease, 0)) return this.#voided();
      this.#replace(lease.slot, variants, now);
      const actual = this.#placeOf(lease.slot, place);
      const failure = this.#makeRoom(lease.slot, 0, 0, now, actual);
      if (failure !== undefined) return failure;
      this.#slots.setMissing(lease.slot);
      this.#add(lease.slot, NO_ETAG, (slot) => this.#slots.setLifetime(slot, now, lifetimeMs, lifetimeMs), actual);
      return 'stored';
    });
  }

  /**
   * Ends a lease without storing anything; drops the entry that it replaces, and its variants, if Redis has replied.
   *
   * @returns false, with nothing changed, if the lease had ended.
   */
  abandon(lease: Lease, result: LoadResult, variants: readonly EntryId[]): boolean {
    const now = this.#clock();
    return this.#lock.hold(() => {
      if (!this.#leases.isValid(lease)) return false;
      if (isKeyStateKnown(result)) this.#replace(lease.slot, variants, now);
      this.#leases.endWith(lease.slot, result);
      return true;
    });
  }

  /** Drops what a load without a valid lease has shown to be outdated, as SharedLru.dropOutdated does. */
  dropOutdated(id: EntryId, etag: Etag | undefined, requestedAt: number, variants: readonly EntryId[]): void {
    const hash = this.#index.hashOf(id);
    const now = this.#clock();
    this.#lock.hold(() => {
      const slot = this.#index.find(id, hash);
      if (slot !== NONE && this.#slots.state(slot) === State.ENTRY) {
        if (!this.#slots.isStoredBy(slot, requestedAt)) return;
        if (etag !== undefined && isSameEtag(this.#slots.etag(slot), etag)) return;
        this.#entries.dropOutdated(slot, now);
      }
      this.#endVariants(variants, now, requestedAt);
    });
  }

  /** Makes room for `more` of the `total` bytes of a leased item. Without room, ends its lease and returns the result of the fill. */
  #makeRoom(slot: number, more: number, total: number, now: number, place: Place): FillResult | undefined {
    if (place === 'last') return this.#entries.takeFreeRoom(slot, more, total) ? undefined : this.#refuse(slot);
    return this.#entries.makeRoom(slot, more, total, now) ? undefined : this.#markUncacheable(slot);
  }

  #rejectTooLarge(lease: Lease, variants: readonly EntryId[]): FillResult {
    const now = this.#clock();
    return this.#lock.hold(() => {
      if (!this.#leases.isValid(lease)) return this.#voided();
      this.#replace(lease.slot, variants, now);
      return this.#markUncacheable(lease.slot);
    });
  }

  #markUncacheable(slot: number): FillResult {
    this.#counters.increment(UNCACHEABLE);
    this.#leases.endWith(slot, 'unshared');
    return 'uncacheable';
  }

  /** Ends the lease of a fill for which other entries would have to be evicted. */
  #refuse(slot: number): FillResult {
    this.#leases.endWith(slot, 'void');
    return 'full';
  }

  #voided(): FillResult {
    this.#counters.increment(VOIDED_FILLS);
    return 'void';
  }

  /** Drops the entry that a lease replaces, if any, and ends the entries and the leases of its variants. */
  #replace(lease: number, variants: readonly EntryId[], now: number): void {
    this.#entries.replace(lease, now);
    this.#endVariants(variants, now, Infinity);
  }

  /** Ends variants that were stored at this time or before, and the leases of all. */
  #endVariants(variants: readonly EntryId[], now: number, storedBy: number): void {
    for (const variant of variants) {
      const slot = this.#index.find(variant, this.#index.hashOf(variant));
      if (slot === NONE || !this.#leases.endOf(slot)) continue;
      if (this.#slots.isStoredBy(slot, storedBy)) this.#entries.dropOutdated(slot, now);
    }
  }

  /** Turns a complete leased item into an entry. */
  #add(slot: number, etag: Etag, setLifetime: (slot: number) => void, place: Place): void {
    // In this order: the etag of an entry lies where a lease counts its waiters.
    const hasWaiters = this.#leases.end(slot);
    this.#entries.add(slot, etag, setLifetime, place);
    if (hasWaiters) this.#leases.notify(slot);
  }

  #placeOf(lease: number, place: Place): Place {
    return place === 'last' && !this.#leases.hasWaiters(lease) ? 'last' : 'first';
  }
}
