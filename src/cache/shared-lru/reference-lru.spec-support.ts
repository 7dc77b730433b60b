import { COUNTER_NAMES, type Counters } from './counters.ts';
import { type Etag, isSameEtag } from './etag.ts';
import { EXPIRE_ALL_HISTORY_LENGTH, type LruLimits } from './memory/layout.ts';
import { keyOf, nameOf } from './shared-memory.spec-support.ts';
import type { CachedEntry, EntryId, FillResult, Forward, LoadResult, Place, Served, Stale } from './cache-types.ts';

/** A lease, identified by object identity; `ended` once it has been filled, abandoned, voided or has expired. */
export interface ReferenceLease {
  readonly id: EntryId;
  readonly until: number;
  /** Bytes of the value written so far, by a fill of several chunks. */
  written: number;
  ended: boolean;
}

export interface ReferenceEntry {
  readonly id: EntryId;
  /** `undefined`: the key is known not to exist. */
  readonly value: Buffer | undefined;
  readonly etag: Etag;
  readonly stored: number;
  readonly until: number;
  /** Index of the expire-all that expired it. */
  ending: number | undefined;
  /** Milliseconds for which it is kept after it has expired. */
  readonly retainMs: number;
  /** Time at which its key expires. */
  readonly gone: number;
  /** Whether it was stored as the least recently read one and has not been read since. */
  isUnread: boolean;
}

export type ReferenceLookup =
  | Served
  | { readonly kind: 'refresh'; readonly found: Served; readonly lease: ReferenceLease }
  /** `released`: a lease was granted and ended again. */
  | { readonly kind: 'buffer-full'; readonly bytes: number; readonly released: boolean }
  | { readonly kind: 'miss' | 'loading'; readonly lease: ReferenceLease; readonly forward: Forward }
  | { readonly kind: 'unleased'; readonly forward: Forward };

/** `more`: a chunk of a fill that is not the last one. */
export type ReferenceStep = FillResult | 'more';

const NO_VARIANTS: readonly EntryId[] = [];
const MAX_ID_BYTES = 64 * 1024;
const MAX_SELECTOR_BYTES = 16_383;
/** Results of loads to which Redis replied. */
const ANSWERS: readonly LoadResult[] = ['missing', 'wrong-type', 'value-too-large', 'unshared'];
/** An entry stored in the tick of an expire-all is stored one tick later. */
const TICK_MS = 2 ** -16;
/** Bytes of an id beyond its slot count in units; there are four units per lease. */
const ID_BYTES_IN_SLOT = 128;
const ID_UNIT = 64;
const ID_UNITS_PER_LEASE = 4;

/**
 * Simple, slow model of the cache: a Map keeps the order of insertion, so its first member is the
 * least recently read one. Entries and leases are kept by {@link nameOf}.
 */
export class ReferenceLru {
  readonly #limits: LruLimits;
  /** Least recently read first. */
  readonly #entries = new Map<string, ReferenceEntry>();
  /** Oldest first. */
  readonly #leases = new Map<string, ReferenceLease>();
  readonly #counters = Object.fromEntries(COUNTER_NAMES.map((name) => [name, 0])) as Record<keyof Counters, number>;

  /** Until when fresh entries may be served. */
  trustedUntil = Infinity;

  readonly #endings: number[] = [];
  #latest = -Infinity;

  constructor(limits: LruLimits) {
    this.#limits = limits;
  }

  get entriesByRecency(): string[] {
    return [...this.#entries.keys()].reverse();
  }

  /** The entries whose TTL, and the time for which they are served while they are reloaded, has not elapsed; as above. */
  namesByRecency(now: number): string[] {
    const { revalidateMs = 0 } = this.#limits;
    const isWanted = (entry: ReferenceEntry): boolean =>
      entry.until > now || (revalidateMs > 0 && this.#isWithin(entry, now, revalidateMs));
    return [...this.#entries].flatMap(([name, entry]) => (isWanted(entry) ? [name] : [])).reverse();
  }

  get stats() {
    return { entries: this.#entries.size, bytes: this.#bytes(), leases: this.#leases.size, ...this.#counters };
  }

  /** Whether there is a fresh value of at most `longest` bytes that is not due for a refresh. */
  holds(id: EntryId, now: number, longest: number): boolean {
    const entry = this.#entries.get(nameOf(id));
    if (entry?.value === undefined || entry.value.length > longest) return false;
    return this.#isFresh(entry, now) && !this.#isRefreshDue(entry, now);
  }

  leaseUncached(id: EntryId, now: number): ReferenceLease | 'cached' | 'full' | 'refused' {
    const lease = this.#leases.get(nameOf(id));
    if (this.#usableEntry(id, now) !== undefined) return 'cached';
    if (lease !== undefined && lease.until > now) return 'cached';
    if (lease !== undefined) this.#takeBack(lease);
    if (!this.#hasRoomFor(id.id.length)) return 'full';
    return this.#grantLease(id, now) ?? 'refused';
  }

  /** Reorders those of the entries that nobody has read since they were stored as the last ones, and that are still the last. */
  reorderLast(ids: readonly EntryId[]): void {
    const wanted = ids.map(nameOf);
    const last = new Map<string, ReferenceEntry>();
    for (const [name, entry] of this.#entries) {
      if (!entry.isUnread || !wanted.includes(name)) break;
      last.set(name, entry);
    }
    this.#putLast([...last].sort(([a], [b]) => wanted.indexOf(b) - wanted.indexOf(a)));
  }

  peek(id: EntryId, now: number, maxAgeMs: number): CachedEntry | undefined {
    const entry = this.#entries.get(nameOf(id));
    const isHeld = entry !== undefined && this.#isFresh(entry, now, maxAgeMs);
    this.#counters[isHeld ? 'hits' : 'misses']++;
    return isHeld ? this.#read(id, entry, now) : undefined;
  }

  stale(id: EntryId, now: number): Stale | undefined {
    const entry = this.#entries.get(nameOf(id));
    if (entry === undefined || !this.#isExpired(entry, now)) return undefined;
    if (!this.#isWithin(entry, now, this.#limits.staleMs)) return undefined;
    if (now >= entry.gone) throw new Error('served a value of an expired key');
    const found = this.#read(id, entry, now);
    return found.kind === 'hit' ? { ...found, kind: 'stale' } : undefined;
  }

  /**
   * @param longest bytes of the longest value for whose copy there is memory.
   * @param counted whether the read has been counted.
   */
  lookup(id: EntryId, now: number, maxAgeMs: number, longest = Infinity, counted = false): ReferenceLookup {
    const entry = this.#usableEntry(id, now);
    if (entry !== undefined) {
      const isFresh = this.#isFresh(entry, now, maxAgeMs);
      if (isFresh || (maxAgeMs === Infinity && this.#mayRevalidate(entry, now))) {
        return this.#serve(id, entry, now, isFresh, longest);
      }
      this.#touch(id, entry);
    }
    const forward = entry === undefined ? 'uri-miss' : this.#isFresh(entry, now) ? 'request' : 'stale';
    const lease = this.#leases.get(nameOf(id));
    if (lease !== undefined && lease.until > now) {
      if (!counted) this.#counters.collapsed++;
      return { kind: 'loading', lease, forward };
    }
    if (lease !== undefined) this.#takeBack(lease);
    if (!counted) this.#counters.misses++;
    const granted = this.#grantLease(id, now);
    return granted === undefined ? { kind: 'unleased', forward } : { kind: 'miss', lease: granted, forward };
  }

  /** Writes one chunk of a fill, bytes `start` to `end` of the value, and stores it with the last one. */
  fill(
    lease: ReferenceLease,
    value: Buffer,
    start: number,
    end: number,
    etag: Etag,
    now: number,
    lifetimeMs: number,
    hardTtlMs: number,
    place: Place,
    variants = NO_VARIANTS,
    source?: ReferenceEntry,
  ): ReferenceStep {
    if (lease.ended) return this.#voided();
    if (value.length > this.#limits.maxValueBytes) {
      this.#outdate(lease.id, now, variants);
      return this.#giveUp(lease);
    }
    // Another fill is writing.
    if (lease.written !== start) return this.#voided();
    if (start === 0) this.#outdate(lease.id, now, variants);
    if (place === 'last') {
      const left = (start === 0 ? lease.id.id.length : 0) + value.length - start;
      if (!this.#hasRoomFor(left)) return this.#refuse(lease);
    } else if (lease.id.id.length + value.length > this.#limits.maxBytes) return this.#giveUp(lease);
    if (!this.#makeRoomFor(start === 0 ? lease.id.id.length + end : end - start)) return this.#giveUp(lease);
    if (end === value.length) return this.#store(lease, value, etag, now, lifetimeMs, hardTtlMs, place, source);
    lease.written = end;
    return 'more';
  }

  fillMissing(
    lease: ReferenceLease,
    now: number,
    lifetimeMs: number,
    place: Place,
    variants = NO_VARIANTS,
  ): ReferenceStep {
    if (lease.ended || lease.written > 0) return this.#voided();
    this.#outdate(lease.id, now, variants);
    if (place === 'last' && !this.#hasRoomFor(lease.id.id.length)) return this.#refuse(lease);
    if (lease.id.id.length > this.#limits.maxBytes || !this.#makeRoomFor(lease.id.id.length))
      return this.#giveUp(lease);
    return this.#store(lease, undefined, [0, 0, 0], now, lifetimeMs, lifetimeMs, place);
  }

  release(lease: ReferenceLease, result: LoadResult, now: number, variants = NO_VARIANTS): boolean {
    if (lease.ended) return false;
    if (ANSWERS.includes(result)) this.#outdate(lease.id, now, variants);
    this.#endLease(lease);
    return true;
  }

  /** Returns an entry, expired or not. */
  describe(id: EntryId, now: number): ReferenceEntry | undefined {
    const entry = this.#entries.get(nameOf(id));
    return entry !== undefined && this.#isUsable(entry, now) ? entry : undefined;
  }

  /** Ends what a load without a lease, requested at `requestedAt`, has shown to be outdated. Returns whether anything was. */
  dropOutdated(
    id: EntryId,
    etag: Etag | undefined,
    requestedAt: number,
    now: number,
    variants: readonly EntryId[],
  ): boolean {
    const before = this.#entries.size + this.#leases.size;
    const entry = this.#entries.get(nameOf(id));
    if (entry !== undefined) {
      if (entry.stored > requestedAt) return false;
      if (etag !== undefined && isSameEtag(entry.etag, etag)) return false;
      this.#outdate(id, now);
    }
    for (const variant of variants) this.#endVariant(variant, now, requestedAt);
    return this.#entries.size + this.#leases.size < before;
  }

  /** Returns the number of entries of the key that could be used. */
  purge(key: Buffer, now: number): number {
    const isMeant = ({ id }: { readonly id: EntryId }): boolean => keyOf(id).equals(key);
    for (const lease of [...this.#leases.values()].filter(isMeant)) this.#endLease(lease);
    let purged = 0;
    for (const entry of [...this.#entries.values()].filter(isMeant)) {
      this.#entries.delete(nameOf(entry.id));
      const usable = this.#isUsable(entry, now);
      if (usable) purged++;
      this.#counters[usable ? 'invalidations' : 'expirations']++;
    }
    return purged;
  }

  flush(): number {
    const count = this.#entries.size;
    this.#entries.clear();
    for (const lease of this.#leases.values()) this.#endLease(lease);
    return count;
  }

  expireAll(now: number): void {
    this.#endings.push(Math.max(now, this.#latest));
    for (const entry of this.#entries.values()) entry.ending ??= this.#endings.length - 1;
    for (const lease of this.#leases.values()) this.#endLease(lease);
  }

  /** Serves an entry, with a lease if it is due for a refresh that nobody has started. */
  #serve(id: EntryId, entry: ReferenceEntry, now: number, isFresh: boolean, longest: number): ReferenceLookup {
    let lease: ReferenceLease | undefined;
    if (!isFresh || this.#isRefreshDue(entry, now)) {
      const held = this.#leases.get(nameOf(id));
      if (held === undefined || held.until <= now) {
        if (held !== undefined) this.#takeBack(held);
        lease = this.#grantLease(id, now);
      }
    }
    const read = this.#read(id, entry, now);
    if (read.kind === 'hit' && read.value.length > longest) {
      if (lease !== undefined) this.#endLease(lease);
      return { kind: 'buffer-full', bytes: read.value.length, released: lease !== undefined };
    }
    this.#counters.hits++;
    const found: Served = isFresh || read.kind === 'missing' ? read : { ...read, kind: 'revalidating' };
    if (found.kind === 'revalidating' && now >= entry.gone) throw new Error('revalidated a value of an expired key');
    return lease === undefined ? found : { kind: 'refresh', found, lease };
  }

  /** Returns the entry; drops it if it can no longer be used. */
  #usableEntry(id: EntryId, now: number): ReferenceEntry | undefined {
    const entry = this.#entries.get(nameOf(id));
    if (entry === undefined || this.#isUsable(entry, now)) return entry;
    this.#entries.delete(nameOf(id));
    this.#counters.expirations++;
    return undefined;
  }

  #read(id: EntryId, entry: ReferenceEntry, now: number): CachedEntry {
    this.#touch(id, entry);
    const { value, etag, stored } = entry;
    const freshness = { ageMs: Math.max(0, now - stored), lifetimeMs: this.#endOf(entry) - stored };
    return value === undefined ? { kind: 'missing', freshness } : { kind: 'hit', value, etag, freshness };
  }

  #touch(id: EntryId, entry: ReferenceEntry): void {
    entry.isUnread = false;
    this.#entries.delete(nameOf(id));
    this.#entries.set(nameOf(id), entry);
  }

  /** Puts entries, least recently read first, before all others. */
  #putLast(entries: readonly (readonly [string, ReferenceEntry])[]): void {
    for (const [name] of entries) this.#entries.delete(name);
    const others = [...this.#entries];
    this.#entries.clear();
    for (const [name, entry] of [...entries, ...others]) this.#entries.set(name, entry);
  }

  #hasRoomFor(bytes: number): boolean {
    return this.#entries.size < this.#limits.capacity && this.#bytes() + bytes <= this.#limits.maxBytes;
  }

  #isExpired({ until, ending }: ReferenceEntry, now: number): boolean {
    return until <= now || ending !== undefined;
  }

  #isFresh(entry: ReferenceEntry, now: number, maxAgeMs = Infinity): boolean {
    if (this.#isExpired(entry, now) || now > this.trustedUntil) return false;
    return maxAgeMs > 0 && now - entry.stored <= maxAgeMs;
  }

  /** Whether a value is in the last share of its TTL. */
  #isRefreshDue({ value, stored, until }: ReferenceEntry, now: number): boolean {
    const share = this.#limits.refreshAhead ?? 0;
    return value !== undefined && share > 0 && now >= until - share * (until - stored);
  }

  /** Whether an expired value may be served while it is reloaded: not if anything but its TTL has expired it. */
  #mayRevalidate(entry: ReferenceEntry, now: number): boolean {
    if (entry.ending !== undefined || now > this.trustedUntil) return false;
    return this.#isWithin(entry, now, this.#limits.revalidateMs ?? 0);
  }

  /** Whether a value has been expired for less than `ms`, and is kept for so long. */
  #isWithin(entry: ReferenceEntry, now: number, ms: number): boolean {
    return entry.value !== undefined && now < this.#endOf(entry) + Math.min(ms, entry.retainMs);
  }

  /** Whether an entry may be served, now or later: unless it has expired, and a value also while it is kept after that. */
  #isUsable(entry: ReferenceEntry, now: number): boolean {
    return !this.#isExpired(entry, now) || this.#isWithin(entry, now, Infinity);
  }

  /** In fifteenths of the maximum, the resolution of the cache. */
  #retainFor(ms: number): number {
    const { staleMs, revalidateMs = 0 } = this.#limits;
    const longest = Math.max(staleMs, revalidateMs);
    if (ms >= longest) return longest;
    let shares = 0;
    while (((shares + 1) * longest) / 15 <= ms) shares++;
    return (shares * longest) / 15;
  }

  #endOf({ until, ending }: ReferenceEntry): number {
    if (ending === undefined) return until;
    // The history is limited, and its oldest time is not sufficient.
    return this.#endings.length - ending < EXPIRE_ALL_HISTORY_LENGTH
      ? Math.min(until, this.#endings[ending])
      : -Infinity;
  }

  /** Drops the entry, because Redis has replied, and ends its variants. */
  #outdate(id: EntryId, now: number, variants = NO_VARIANTS): void {
    this.#dropEntry(id, now);
    for (const variant of variants) this.#endVariant(variant, now, Infinity);
  }

  /** Ends the lease of a variant, and drops it if it was stored at this time or before. */
  #endVariant(id: EntryId, now: number, storedBy: number): void {
    const lease = this.#leases.get(nameOf(id));
    if (lease !== undefined) this.#endLease(lease);
    const entry = this.#entries.get(nameOf(id));
    if (entry !== undefined && entry.stored <= storedBy) this.#dropEntry(id, now);
  }

  #dropEntry(id: EntryId, now: number): void {
    const entry = this.#entries.get(nameOf(id));
    if (entry === undefined) return;
    this.#entries.delete(nameOf(id));
    if (this.#isExpired(entry, now)) this.#counters.expirations++;
  }

  /** Returns undefined if the leases are used up or the id is too long. */
  #grantLease(id: EntryId, now: number): ReferenceLease | undefined {
    for (const lease of this.#leases.values()) if (lease.until <= now) this.#takeBack(lease);
    const { maxLeases, leaseMs } = this.#limits;
    let units = idUnits(id);
    for (const other of this.#leases.values()) units += idUnits(other.id);
    const fits = this.#leases.size < maxLeases && units <= maxLeases * ID_UNITS_PER_LEASE;
    if (!fits || id.id.length > MAX_ID_BYTES || id.selectorLength > MAX_SELECTOR_BYTES) return undefined;
    const lease = { id, until: now + leaseMs, written: 0, ended: false };
    this.#leases.set(nameOf(id), lease);
    return lease;
  }

  /** Evicts until the bytes fit; returns false if evicting everything does not suffice. */
  #makeRoomFor(bytes: number): boolean {
    while (this.#bytes() + bytes > this.#limits.maxBytes) {
      const oldest = this.#entries.keys().next();
      if (oldest.done === true) return false;
      this.#entries.delete(oldest.value);
      this.#counters.evictionsByBytes++;
    }
    return true;
  }

  #store(
    lease: ReferenceLease,
    value: Buffer | undefined,
    etag: Etag,
    now: number,
    lifetimeMs: number,
    hardTtlMs: number,
    place: Place,
    source?: ReferenceEntry,
  ): ReferenceStep {
    while (this.#entries.size >= this.#limits.capacity) {
      this.#entries.delete(this.#entries.keys().next().value ?? '');
      this.#counters.evictionsByCapacity++;
    }
    this.#endLease(lease);
    const isUnread = place === 'last';
    let entry: ReferenceEntry;
    if (source !== undefined) {
      const { stored, until, gone, retainMs, ending } = source;
      entry = { id: lease.id, value, etag, stored, until, gone, retainMs, ending, isUnread };
    } else {
      const stored = Math.max(now, (this.#endings.at(-1) ?? -Infinity) + TICK_MS);
      this.#latest = Math.max(stored, this.#latest);
      const times = { stored, until: stored + lifetimeMs, gone: stored + hardTtlMs };
      const retainMs = this.#retainFor(hardTtlMs - lifetimeMs);
      entry = { id: lease.id, value, etag, ...times, retainMs, ending: undefined, isUnread };
    }
    if (place === 'last') this.#putLast([[nameOf(lease.id), entry]]);
    else this.#entries.set(nameOf(lease.id), entry);
    return 'stored';
  }

  #takeBack(lease: ReferenceLease): void {
    this.#counters.expiredLeases++;
    this.#endLease(lease);
  }

  #endLease(lease: ReferenceLease): void {
    lease.ended = true;
    this.#leases.delete(nameOf(lease.id));
  }

  #giveUp(lease: ReferenceLease): ReferenceStep {
    this.#counters.uncacheable++;
    this.#endLease(lease);
    return 'uncacheable';
  }

  #refuse(lease: ReferenceLease): ReferenceStep {
    this.#endLease(lease);
    return 'full';
  }

  #voided(): ReferenceStep {
    this.#counters.voidedFills++;
    return 'void';
  }

  #bytes(): number {
    let bytes = 0;
    for (const { id, value } of this.#entries.values()) bytes += id.id.length + (value?.length ?? 0);
    for (const { id, written } of this.#leases.values()) if (written > 0) bytes += id.id.length + written;
    return bytes;
  }
}

function idUnits({ id }: EntryId): number {
  return Math.max(0, Math.ceil((id.length - ID_BYTES_IN_SLOT) / ID_UNIT));
}
