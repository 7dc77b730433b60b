import { TICK_MS } from './clock.ts';
import type { Etag } from './etag.ts';
import type { Hit } from './hit.ts';
import { ItemBytes } from './item-bytes.ts';
import {
  ENDINGS,
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
} from './layout.ts';
import type { Freshness, Handle } from './lookup.ts';

const LINK_MASK = 2 ** STALE_SHIFT - 1 - STATE_MASK;

/**
 * The slots, each with one item: which of them are free, what an entry and a lease alike keep in theirs, and by which
 * handle an item is known to be still the same after the lock was let go. Slots are handed out from a free list, and
 * while that is empty, from the mark up to which they have ever been used.
 */
export class Slots {
  readonly #header: Int32Array;
  readonly #headerFloats: Float64Array;
  readonly #nodes: Int32Array;
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  readonly #endings: Float64Array;
  readonly #items: ItemBytes;

  constructor(memory: LruMemory, items: ItemBytes) {
    this.#header = memory.header;
    this.#headerFloats = memory.headerFloats;
    this.#nodes = memory.nodes;
    this.#words = memory.slots;
    this.#floats = memory.slotFloats;
    this.#endings = memory.headerFloats.subarray(HeaderFloat.ENDINGS, HeaderFloat.ENDINGS + ENDINGS);
    this.#items = items;
  }

  /** Takes a slot for an item that is nothing but its key so far, with a version that no handle names yet. */
  take(key: Uint8Array, hash: number): number {
    const slot = this.#takeFree();
    const at = slot * SLOT_WORDS;
    this.#items.append(slot, 0, NONE, key);
    this.#nodes[slot * NODE_WORDS + Node.HASH] = hash;
    this.#words[at + Slot.KEY_BYTES] = key.length;
    this.#words[at + Slot.VALUE_BYTES] = 0;
    this.#words[at + Slot.VERSION] = this.#header[Header.LEASE_SEQUENCE]++;
    return slot;
  }

  free(slot: number): void {
    this.#items.free(slot, this.valuePosition(slot) + Math.max(0, this.valueBytes(slot)));
    this.#words[slot * SLOT_WORDS + Slot.STATE] = State.FREE;
    this.#nodes[slot * NODE_WORDS + Node.NEXT] = this.#header[Header.FREE_SLOT];
    this.#header[Header.FREE_SLOT] = slot;
  }

  /** Whether there is such a slot, and it was ever taken. */
  has(slot: number): boolean {
    return slot > NONE && slot <= this.#header[Header.SLOT_MARK];
  }

  /** Frees all slots without visiting them. */
  clear(): void {
    this.#header[Header.FREE_SLOT] = NONE;
    this.#header[Header.SLOT_MARK] = 0;
    this.#headerFloats[HeaderFloat.BYTES] = 0;
  }

  state(slot: number): number {
    return this.#words[slot * SLOT_WORDS + Slot.STATE] & STATE_MASK;
  }

  /** Sets the state of a slot, which is linked with no other then. */
  setState(slot: number, state: number): void {
    this.#words[slot * SLOT_WORDS + Slot.STATE] = state;
  }

  /** The lease that is to replace an entry, or NONE. */
  leaseOf(entry: number): number {
    return (this.#words[entry * SLOT_WORDS + Slot.STATE] & LINK_MASK) >> LINK_SHIFT;
  }

  /** The entry that a lease is to replace, or NONE. */
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

  /** Whether a slot is still used as it was when the handle was made, and is in this state. */
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

  /** Makes the handles of a slot stale. The word is one that threads wait on, hence the atomic store. */
  renew(slot: number): void {
    Atomics.store(this.#words, slot * SLOT_WORDS + Slot.VERSION, this.#header[Header.LEASE_SEQUENCE]++);
  }

  get epoch(): number {
    return this.#header[Header.EPOCH];
  }

  /** Makes all handles stale. */
  startEpoch(): void {
    this.#header[Header.EPOCH]++;
  }

  keyBytes(slot: number): number {
    return this.#words[slot * SLOT_WORDS + Slot.KEY_BYTES];
  }

  /** Bytes of the value, as far as it is written; MISSING for a key known not to exist. */
  valueBytes(slot: number): number {
    return this.#words[slot * SLOT_WORDS + Slot.VALUE_BYTES];
  }

  /** Where in the item the value starts. */
  valuePosition(slot: number): number {
    return ItemBytes.valuePosition(this.keyBytes(slot));
  }

  /** Writes more of an item's value; takes the item's last block and answers the new one, as ItemBytes does. */
  append(slot: number, tail: number, bytes: Uint8Array): number {
    const position = this.valuePosition(slot) + this.valueBytes(slot);
    this.#words[slot * SLOT_WORDS + Slot.VALUE_BYTES] += bytes.length;
    return this.#items.append(slot, position, tail, bytes);
  }

  setMissing(slot: number): void {
    this.#words[slot * SLOT_WORDS + Slot.VALUE_BYTES] = MISSING;
  }

  /** Bytes of all keys and values, against the budget: those of a lease as they are written, its key with the first. */
  get bytes(): number {
    return this.#headerFloats[HeaderFloat.BYTES];
  }

  set bytes(bytes: number) {
    this.#headerFloats[HeaderFloat.BYTES] = bytes;
  }

  /** Whether the time of an entry or a lease has run out. */
  isPast(slot: number, now: number): boolean {
    return this.#floats[(slot * SLOT_WORDS + Slot.EXPIRES) >>> 1] <= now;
  }

  /** Whether an entry must not be answered any more: its time has run out, or it is one of those that {@link overAll} ended. */
  isOver(slot: number, now: number): boolean {
    const at = (slot * SLOT_WORDS) >>> 1;
    return (
      this.#floats[at + (Slot.EXPIRES >> 1)] <= now ||
      this.#floats[at + (Slot.STORED >> 1)] <= this.#headerFloats[HeaderFloat.OVER]
    );
  }

  /** Whether an entry that is over may be answered as a stale one: never one that says that its key is missing. */
  isStale(slot: number, now: number): boolean {
    const share = this.#words[slot * SLOT_WORDS + Slot.STATE] >>> STALE_SHIFT;
    if (share === 0 || this.valueBytes(slot) < 0) return false;
    return now < this.#end(slot) + (this.#headerFloats[HeaderFloat.STALE_MS] * share) / STALE_SHARES;
  }

  /** Whether an entry that is not over must not be answered all the same: the news of writes is late. */
  isDoubtful(now: number): boolean {
    return now > this.#headerFloats[HeaderFloat.FOLLOWED_UNTIL];
  }

  /** Needs no lock: nothing else has to change with it. */
  set followedUntil(time: number) {
    this.#headerFloats[HeaderFloat.FOLLOWED_UNTIL] = time;
  }

  /** Whether an entry may be answered, and is not older than somebody wants it: at 0, nothing is young enough. */
  isFresh(slot: number, now: number, maxAgeMs: number): boolean {
    if (this.isOver(slot, now) || this.isDoubtful(now)) return false;
    if (maxAgeMs === Infinity) return true;
    return maxAgeMs > 0 && now - this.#floats[(slot * SLOT_WORDS + Slot.STORED) >>> 1] <= maxAgeMs;
  }

  /** Ends the time of all entries that there are. */
  overAll(now: number): void {
    // The clocks of threads may be apart by a little, and each was read before the lock was had.
    const over = Math.max(now, this.#headerFloats[HeaderFloat.LATEST]);
    this.#headerFloats[HeaderFloat.OVER] = over;
    this.#endings.copyWithin(0, 1);
    this.#endings[ENDINGS - 1] = over;
  }

  setExpiry(slot: number, expires: number): void {
    this.#floats[(slot * SLOT_WORDS + Slot.EXPIRES) >>> 1] = expires;
  }

  /**
   * Starts the time of an entry: now, or where the clock has not moved on since {@link overAll}, right after that.
   *
   * @param keptMs the longest for which it may be answered at all, be it as a stale one.
   */
  setLifetime(slot: number, now: number, lifetimeMs: number, keptMs: number): void {
    const staleMs = this.#headerFloats[HeaderFloat.STALE_MS];
    const share = staleMs > 0 ? Math.floor((STALE_SHARES * Math.min(keptMs - lifetimeMs, staleMs)) / staleMs) : 0;
    this.#words[slot * SLOT_WORDS + Slot.STATE] |= Math.max(0, share) << STALE_SHIFT;
    const at = (slot * SLOT_WORDS) >>> 1;
    const stored = Math.max(now, this.#headerFloats[HeaderFloat.OVER] + TICK_MS);
    if (stored > this.#headerFloats[HeaderFloat.LATEST]) this.#headerFloats[HeaderFloat.LATEST] = stored;
    this.#floats[at + (Slot.STORED >> 1)] = stored;
    this.#floats[at + (Slot.EXPIRES >> 1)] = stored + lifetimeMs;
  }

  freshness(slot: number, now: number): Freshness {
    const at = (slot * SLOT_WORDS) >>> 1;
    const stored = this.#floats[at + (Slot.STORED >> 1)];
    // Another thread may have stored it after this one had read the time.
    return { ageMs: Math.max(0, now - stored), lifetimeMs: this.#end(slot) - stored };
  }

  etag(slot: number): Etag {
    const at = slot * SLOT_WORDS + Slot.ETAG;
    return [this.#words[at], this.#words[at + 1], this.#words[at + 2]];
  }

  /** Notes etag and freshness of an entry, as {@link etag} and {@link freshness} give them, without making objects. */
  describe(slot: number, now: number, hit: Hit): void {
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

  /** When an entry is, or was, over; -Infinity: nobody knows any more, since all entries were ended too often after it. */
  #end(slot: number): number {
    const at = (slot * SLOT_WORDS) >>> 1;
    const expires = this.#floats[at + (Slot.EXPIRES >> 1)];
    const stored = this.#floats[at + (Slot.STORED >> 1)];
    if (stored > this.#headerFloats[HeaderFloat.OVER]) return expires;
    // What was stored before the first known ending may have been ended by one before that.
    const ending = this.#endings.findIndex((time) => stored <= time);
    return ending === 0 ? -Infinity : Math.min(expires, this.#endings[ending]);
  }

  #takeFree(): number {
    const free = this.#header[Header.FREE_SLOT];
    if (free === NONE) return ++this.#header[Header.SLOT_MARK];
    this.#header[Header.FREE_SLOT] = this.#nodes[free * NODE_WORDS + Node.NEXT];
    return free;
  }
}
