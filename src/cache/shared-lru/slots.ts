import { TICK_MS } from './clock.ts';
import type { Etag } from './etag.ts';
import type { HitBuffer } from './hit-buffer.ts';
import { ItemBytes } from './memory/item-bytes.ts';
import {
  EXPIRE_ALL_HISTORY_LENGTH,
  Header,
  HeaderFloat,
  LINK_SHIFT,
  type LruMemory,
  MISSING,
  NODE_WORDS,
  NONE,
  Node,
  SLOT_WORDS,
  STALE_SHARES,
  STALE_SHIFT,
  STATE_MASK,
  Slot,
  State,
  idBytesOf,
  idLengths,
  selectorBytesOf,
} from './memory/layout.ts';
import type { EntryId, Freshness, Handle, Lifetime } from './cache-types.ts';

/** Returns the version of an entry, given that of the lease that it was stored under. */
export function publishedVersion(version: number): number {
  return version | 1;
}

const LINK_MASK = 2 ** STALE_SHIFT - 1 - STATE_MASK;

/**
 * Slot allocation, and the fields that entries and leases have in common. A {@link Handle} identifies one use of a slot, so
 * that a caller that released the lock can tell whether the item is still the same. Slots are allocated from a free list
 * and, while it is empty, from beyond the highest slot used so far.
 *
 * An entry is also read without the lock. Its version is odd from {@link publish} to {@link free}, and meanwhile nothing of it
 * changes but its link: a reader that finds the same odd version before and after it has read the entry, and no flush in
 * between, has read what belongs together.
 */
export class Slots {
  readonly #header: Int32Array;
  readonly #headerFloats: Float64Array;
  readonly #nodes: Int32Array;
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  readonly #expireAllHistory: Float64Array;
  readonly #items: ItemBytes;
  readonly #staleMs: number;
  readonly #revalidateMs: number;
  /** Milliseconds for which an expired value is kept. */
  readonly #retainMs: number;
  readonly #refreshAhead: number;

  constructor(memory: LruMemory, items: ItemBytes) {
    this.#header = memory.header;
    this.#headerFloats = memory.headerFloats;
    this.#nodes = memory.nodes;
    this.#words = memory.slots;
    this.#floats = memory.slotFloats;
    this.#expireAllHistory = memory.headerFloats.subarray(
      HeaderFloat.EXPIRE_ALL_HISTORY,
      HeaderFloat.EXPIRE_ALL_HISTORY + EXPIRE_ALL_HISTORY_LENGTH,
    );
    this.#items = items;
    const { staleMs, revalidateMs, refreshAhead } = memory.limits;
    this.#staleMs = staleMs;
    this.#revalidateMs = revalidateMs;
    this.#retainMs = Math.max(staleMs, revalidateMs);
    this.#refreshAhead = refreshAhead;
  }

  /** Allocates a slot for an item that consists of its id only, with a version that no handle has yet. */
  allocate({ id, selectorLength }: EntryId, hash: number): number {
    const slot = this.#allocateFree();
    const at = slot * SLOT_WORDS;
    this.#items.append(slot, 0, NONE, id);
    this.#nodes[slot * NODE_WORDS + Node.HASH] = hash;
    this.#words[at + Slot.ID_LENGTHS] = idLengths(id.length, selectorLength);
    this.#words[at + Slot.VALUE_BYTES] = 0;
    return slot;
  }

  /** Makes a complete entry readable without the lock. */
  publish(slot: number): void {
    Atomics.store(this.#words, slot * SLOT_WORDS + Slot.VERSION, publishedVersion(this.version(slot)));
  }

  free(slot: number): void {
    this.#retire(slot);
    this.#items.free(slot, this.valuePosition(slot) + Math.max(0, this.valueBytes(slot)));
    this.#words[slot * SLOT_WORDS + Slot.STATE] = State.FREE;
    this.#nodes[slot * NODE_WORDS + Node.NEXT] = this.#header[Header.FREE_SLOT];
    this.#header[Header.FREE_SLOT] = slot;
  }

  /** Whether the slot exists and was ever allocated. */
  has(slot: number): boolean {
    return slot > NONE && slot <= this.#header[Header.SLOT_HIGH_WATER];
  }

  /** The highest slot that was allocated since the last flush. */
  get highest(): number {
    return this.#header[Header.SLOT_HIGH_WATER];
  }

  /** Frees all slots without visiting them. */
  clear(): void {
    this.#header[Header.FREE_SLOT] = NONE;
    this.#header[Header.SLOT_HIGH_WATER] = 0;
    this.#headerFloats[HeaderFloat.BYTES] = 0;
  }

  state(slot: number): number {
    return this.#words[slot * SLOT_WORDS + Slot.STATE] & STATE_MASK;
  }

  /** Sets the state of a slot and removes its link to another slot. */
  setState(slot: number, state: number): void {
    this.#words[slot * SLOT_WORDS + Slot.STATE] = state;
  }

  /** The lease that will replace an entry, or NONE. */
  leaseOf(entry: number): number {
    return (this.#words[entry * SLOT_WORDS + Slot.STATE] & LINK_MASK) >> LINK_SHIFT;
  }

  /** The entry that a lease will replace, or NONE. */
  entryOf(lease: number): number {
    return this.#words[lease * SLOT_WORDS + Slot.LEASE_ENTRY];
  }

  link(entry: number, lease: number): void {
    this.#words[entry * SLOT_WORDS + Slot.STATE] |= lease << LINK_SHIFT;
    this.#words[lease * SLOT_WORDS + Slot.LEASE_ENTRY] = entry;
  }

  unlink(entry: number, lease: number): void {
    this.#words[entry * SLOT_WORDS + Slot.STATE] &= ~LINK_MASK;
    this.#words[lease * SLOT_WORDS + Slot.LEASE_ENTRY] = NONE;
  }

  handle(slot: number): Handle {
    return { slot, version: this.version(slot), epoch: this.epoch };
  }

  /** Whether a slot is in this state and still in the use that the handle was made for. */
  isSame(handle: Handle, state: number): boolean {
    const at = handle.slot * SLOT_WORDS;
    return (
      (this.#words[at + Slot.STATE] & STATE_MASK) === state &&
      this.#words[at + Slot.VERSION] === handle.version &&
      this.#header[Header.EPOCH] === handle.epoch
    );
  }

  version(slot: number): number {
    return this.#words[slot * SLOT_WORDS + Slot.VERSION];
  }

  /** Invalidates the handles of a slot. Threads wait on this word, hence the atomic store. */
  renew(slot: number): void {
    Atomics.store(this.#words, slot * SLOT_WORDS + Slot.VERSION, (this.version(slot) | 1) + 1);
  }

  get epoch(): number {
    return this.#header[Header.EPOCH];
  }

  /** Invalidates all handles; until {@link endFlush} nothing is read without the lock. */
  startFlush(): void {
    Atomics.store(this.#header, Header.EPOCH, this.epoch | 1);
    // As in #retire.
    Atomics.load(this.#header, Header.EPOCH);
  }

  /** Ends a flush, after which no chain leads to an earlier entry. */
  endFlush(): void {
    Atomics.store(this.#header, Header.EPOCH, (this.epoch | 1) + 1);
  }

  idBytes(slot: number): number {
    return idBytesOf(this.#words[slot * SLOT_WORDS + Slot.ID_LENGTHS]);
  }

  /** Bytes of the key, with which the id starts. */
  keyBytes(slot: number): number {
    const lengths = this.#words[slot * SLOT_WORDS + Slot.ID_LENGTHS];
    return idBytesOf(lengths) - selectorBytesOf(lengths);
  }

  /** Bytes of the value written so far; MISSING in a negative entry. */
  valueBytes(slot: number): number {
    return this.#words[slot * SLOT_WORDS + Slot.VALUE_BYTES];
  }

  /** Offset of the value in the item, in bytes. */
  valuePosition(slot: number): number {
    return ItemBytes.valuePosition(this.idBytes(slot));
  }

  /** Appends to an item's value; accepts the item's last block and returns the new one, as {@link ItemBytes.append}. */
  append(slot: number, tail: number, bytes: Uint8Array): number {
    const position = this.valuePosition(slot) + this.valueBytes(slot);
    this.#words[slot * SLOT_WORDS + Slot.VALUE_BYTES] += bytes.length;
    return this.#items.append(slot, position, tail, bytes);
  }

  setMissing(slot: number): void {
    this.#words[slot * SLOT_WORDS + Slot.VALUE_BYTES] = MISSING;
  }

  /** Bytes of all ids and values that count against the budget: those of a lease as they are written, its id with the first. */
  get bytes(): number {
    return this.#headerFloats[HeaderFloat.BYTES];
  }

  set bytes(bytes: number) {
    this.#headerFloats[HeaderFloat.BYTES] = bytes;
  }

  /** Whether the TTL of an entry, or the duration of a lease, has elapsed. */
  hasElapsed(slot: number, now: number): boolean {
    return this.#floats[(slot * SLOT_WORDS + Slot.EXPIRES) >>> 1] <= now;
  }

  /** Whether an entry is expired: its TTL has elapsed, or {@link expireAll} expired it. */
  isExpired(slot: number, now: number): boolean {
    const at = (slot * SLOT_WORDS) >>> 1;
    return (
      this.#floats[at + (Slot.EXPIRES >> 1)] <= now ||
      this.#floats[at + (Slot.STORED >> 1)] <= this.#headerFloats[HeaderFloat.EXPIRE_ALL_AT]
    );
  }

  /** Whether an expired entry may still be served stale, for either reason; never true for negative entries. */
  isRetained(slot: number, now: number): boolean {
    return this.#isWithin(slot, now, this.#retainMs);
  }

  /** Whether an expired entry may be served if its load fails (stale-if-error); never true for negative entries. */
  isStale(slot: number, now: number): boolean {
    return this.#isWithin(slot, now, this.#staleMs);
  }

  /**
   * Whether an expired entry may be served while it is reloaded (stale-while-revalidate); never true for negative entries, nor
   * if something else than its TTL expired it: then a write may be the reason.
   */
  mayRevalidate(slot: number, now: number): boolean {
    if (this.#revalidateMs === 0 || this.isUnconfirmed(now)) return false;
    const stored = this.#floats[(slot * SLOT_WORDS + Slot.STORED) >>> 1];
    return stored > this.#headerFloats[HeaderFloat.EXPIRE_ALL_AT] && this.#isWithin(slot, now, this.#revalidateMs);
  }

  /**
   * Whether the TTL of an entry and the time for which it is served while it is reloaded have not elapsed. It may be expired for
   * another reason.
   */
  isWithinLifetime(slot: number, now: number): boolean {
    return !this.hasElapsed(slot, now) || (this.#revalidateMs > 0 && this.#isWithin(slot, now, this.#revalidateMs));
  }

  /** Whether a fresh value is in the last share of its TTL, in which it is reloaded before it expires. */
  isRefreshDue(slot: number, now: number): boolean {
    if (this.#refreshAhead === 0) return false;
    const at = (slot * SLOT_WORDS) >>> 1;
    const expires = this.#floats[at + (Slot.EXPIRES >> 1)];
    const stored = this.#floats[at + (Slot.STORED >> 1)];
    return now >= expires - this.#refreshAhead * (expires - stored) && this.valueBytes(slot) >= 0;
  }

  /** Whether an expired value has been expired for less than `ms`, and may be served stale for so long. */
  #isWithin(slot: number, now: number, ms: number): boolean {
    const share = this.#words[slot * SLOT_WORDS + Slot.STATE] >>> STALE_SHIFT;
    if (share === 0 || this.valueBytes(slot) < 0) return false;
    return now < this.#expiredAt(slot) + Math.min(ms, (this.#retainMs * share) / STALE_SHARES);
  }

  /** Whether an unexpired entry must not be served because its freshness cannot be confirmed (tracking heartbeat overdue). */
  isUnconfirmed(now: number): boolean {
    return now > this.#headerFloats[HeaderFloat.TRUSTED_UNTIL];
  }

  get trustedUntil(): number {
    return this.#headerFloats[HeaderFloat.TRUSTED_UNTIL];
  }

  /** Sets until when entries may be served, see {@link isUnconfirmed}. Needs no lock: no other field depends on it. */
  set trustedUntil(time: number) {
    this.#headerFloats[HeaderFloat.TRUSTED_UNTIL] = time;
  }

  /** Whether an entry may be served to a client that accepts an age of up to `maxAgeMs`; with 0 no entry may. */
  isFresh(slot: number, now: number, maxAgeMs: number): boolean {
    if (this.isExpired(slot, now) || this.isUnconfirmed(now)) return false;
    if (maxAgeMs === Infinity) return true;
    return maxAgeMs > 0 && now - this.#floats[(slot * SLOT_WORDS + Slot.STORED) >>> 1] <= maxAgeMs;
  }

  /** Expires all current entries. */
  expireAll(now: number): void {
    // The clocks of threads may differ slightly, and each was read before the lock was acquired.
    const over = Math.max(now, this.#headerFloats[HeaderFloat.LATEST_STORED]);
    this.#headerFloats[HeaderFloat.EXPIRE_ALL_AT] = over;
    this.#expireAllHistory.copyWithin(0, 1);
    this.#expireAllHistory[EXPIRE_ALL_HISTORY_LENGTH - 1] = over;
  }

  setExpiry(slot: number, expires: number): void {
    this.#floats[(slot * SLOT_WORDS + Slot.EXPIRES) >>> 1] = expires;
  }

  /**
   * Starts the TTL of an entry: now, or one tick after {@link expireAll} if the clock has not advanced since.
   *
   * @param hardTtlMs milliseconds after which it must not be served at all, not even as stale.
   */
  setLifetime(slot: number, now: number, lifetimeMs: number, hardTtlMs: number): void {
    const retainMs = this.#retainMs;
    const share = retainMs > 0 ? Math.floor((STALE_SHARES * Math.min(hardTtlMs - lifetimeMs, retainMs)) / retainMs) : 0;
    this.#words[slot * SLOT_WORDS + Slot.STATE] |= Math.max(0, share) << STALE_SHIFT;
    const at = (slot * SLOT_WORDS) >>> 1;
    const stored = Math.max(now, this.#headerFloats[HeaderFloat.EXPIRE_ALL_AT] + TICK_MS);
    if (stored > this.#headerFloats[HeaderFloat.LATEST_STORED]) this.#headerFloats[HeaderFloat.LATEST_STORED] = stored;
    this.#floats[at + (Slot.STORED >> 1)] = stored;
    this.#floats[at + (Slot.EXPIRES >> 1)] = stored + lifetimeMs;
  }

  /** Returns the TTL of an entry, for {@link copyLifetime}. */
  lifetime(slot: number): Lifetime {
    const at = (slot * SLOT_WORDS) >>> 1;
    return {
      stored: this.#floats[at + (Slot.STORED >> 1)],
      expires: this.#floats[at + (Slot.EXPIRES >> 1)],
      staleShare: this.#words[slot * SLOT_WORDS + Slot.STATE] >>> STALE_SHIFT,
    };
  }

  /** Whether an entry was stored at this time or before. */
  isStoredBy(slot: number, time: number): boolean {
    return this.#floats[((slot * SLOT_WORDS) >>> 1) + (Slot.STORED >> 1)] <= time;
  }

  /** Gives an entry the TTL of another one, so that both have the same age and expire at the same time. */
  copyLifetime(slot: number, { stored, expires, staleShare }: Lifetime): void {
    this.#words[slot * SLOT_WORDS + Slot.STATE] |= staleShare << STALE_SHIFT;
    const at = (slot * SLOT_WORDS) >>> 1;
    this.#floats[at + (Slot.STORED >> 1)] = stored;
    this.#floats[at + (Slot.EXPIRES >> 1)] = expires;
  }

  freshness(slot: number, now: number): Freshness {
    const at = (slot * SLOT_WORDS) >>> 1;
    const stored = this.#floats[at + (Slot.STORED >> 1)];
    // Another thread may have stored it after this one had read the time.
    return { ageMs: Math.max(0, now - stored), lifetimeMs: this.#expiredAt(slot) - stored };
  }

  etag(slot: number): Etag {
    const at = slot * SLOT_WORDS + Slot.ETAG;
    return [this.#words[at], this.#words[at + 1], this.#words[at + 2]];
  }

  /** Copies etag and freshness of an entry into `hit`, as {@link etag} and {@link freshness} return them, without allocating. */
  copyMetadata(slot: number, now: number, hit: HitBuffer): void {
    const at = slot * SLOT_WORDS;
    hit.etag[0] = this.#words[at + Slot.ETAG];
    hit.etag[1] = this.#words[at + Slot.ETAG + 1];
    hit.etag[2] = this.#words[at + Slot.ETAG + 2];
    const stored = this.#floats[(at + Slot.STORED) >>> 1];
    hit.ageMs = Math.max(0, now - stored);
    hit.lifetimeMs = this.#floats[(at + Slot.EXPIRES) >>> 1] - stored;
  }

  setEtag(slot: number, etag: Etag): void {
    const at = slot * SLOT_WORDS + Slot.ETAG;
    this.#words[at] = etag[0];
    this.#words[at + 1] = etag[1];
    this.#words[at + 2] = etag[2];
  }

  /** Time at which an entry expires or expired; -Infinity if unknown, because all entries were expired too often since. */
  #expiredAt(slot: number): number {
    const at = (slot * SLOT_WORDS) >>> 1;
    const expires = this.#floats[at + (Slot.EXPIRES >> 1)];
    const stored = this.#floats[at + (Slot.STORED >> 1)];
    if (stored > this.#headerFloats[HeaderFloat.EXPIRE_ALL_AT]) return expires;
    // An entry stored before the oldest recorded time may have been expired by an earlier one.
    const ending = this.#expireAllHistory.findIndex((time) => stored <= time);
    return ending === 0 ? -Infinity : Math.min(expires, this.#expireAllHistory[ending]);
  }

  /**
   * Makes an entry unreadable without the lock. The atomic load keeps 64-bit Arm from writing to its memory before the new
   * version is visible; the atomic store alone does not.
   */
  #retire(slot: number): void {
    this.renew(slot);
    Atomics.load(this.#words, slot * SLOT_WORDS + Slot.VERSION);
  }

  #allocateFree(): number {
    const free = this.#header[Header.FREE_SLOT];
    if (free === NONE) return this.#allocateNext();
    this.#header[Header.FREE_SLOT] = this.#nodes[free * NODE_WORDS + Node.NEXT];
    return free;
  }

  /** Allocates the slot beyond the highest one, which may hold an entry from before a flush: that frees slots unvisited. */
  #allocateNext(): number {
    const slot = this.#header[Header.SLOT_HIGH_WATER] + 1;
    // In this order, so that this entry is never within the mark.
    this.#retire(slot);
    this.#header[Header.SLOT_HIGH_WATER] = slot;
    return slot;
  }
}
