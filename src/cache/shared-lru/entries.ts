import type { Place } from './cache-types.ts';
import { type SharedCounters, counter } from './counters.ts';
import type { Etag } from './etag.ts';
import type { HotKeys } from './hot-keys/hot-keys.ts';
import type { KeyIndex } from './index/key-index.ts';
import { Header, type LruLimits, type LruMemory, NONE, State } from './memory/layout.ts';
import { SlotList } from './memory/slot-list.ts';
import type { OrderOfUse, TouchRings } from './memory/touch-rings.ts';
import type { Slots } from './slots.ts';

const EVICTIONS_BY_CAPACITY = counter('evictionsByCapacity');
const EVICTIONS_BY_BYTES = counter('evictionsByBytes');
const EXPIRATIONS = counter('expirations');

/**
 * Entries in order of use. Keeps them within the capacity and the byte budget by evicting the least recently used first.
 * Reads are noted in rings of touches, which are drained before the order of use matters: when an entry is added or evicted.
 * All methods require the cache lock.
 */
export class Entries implements OrderOfUse {
  readonly #header: Int32Array;
  readonly #limits: LruLimits;
  readonly #slots: Slots;
  readonly #index: KeyIndex;
  readonly #counters: SharedCounters;
  /** Most recently used first. */
  readonly #recency: SlotList;
  readonly #touches: TouchRings;
  readonly #hotKeys: HotKeys | undefined;

  /** @param hotKeys counts the reads, if given. */
  constructor(
    memory: LruMemory,
    slots: Slots,
    index: KeyIndex,
    counters: SharedCounters,
    touches: TouchRings,
    hotKeys: HotKeys | undefined,
  ) {
    this.#header = memory.header;
    this.#limits = memory.limits;
    this.#slots = slots;
    this.#index = index;
    this.#counters = counters;
    this.#touches = touches;
    this.#hotKeys = hotKeys;
    this.#recency = new SlotList(memory.header, memory.nodes, Header.RECENCY_HEAD, Header.RECENCY_TAIL);
  }

  get count(): number {
    return this.#header[Header.COUNT];
  }

  /** Notes that an entry was read at this time. */
  touch(slot: number, now: number): void {
    if (!this.#touches.isAvailable || this.#touches.isFull()) this.drainTouches(now);
    if (this.#touches.isAvailable) {
      this.#touches.push(slot, this.#slots.version(slot), now);
    } else {
      this.#moveToFront(slot);
      this.#hotKeys?.countEntry(slot, now);
    }
  }

  /** Makes an entry the most recently used one, without a further read to count. */
  moveToFront(slot: number, now: number): void {
    this.drainTouches(now);
    this.#moveToFront(slot);
  }

  /** Puts the entries that were read until `now`, a time read before, in the order of use. */
  drainTouches(now: number): void {
    this.#touches.drain(this, now);
  }

  applyTouch(slot: number, version: number, time: number): void {
    // Beyond the highest slot are entries from before a flush, with their old versions.
    if (!this.#slots.has(slot) || this.#slots.version(slot) !== version) return;
    this.#moveToFront(slot);
    this.#hotKeys?.countEntry(slot, time);
  }

  /** The most recently used entry, as of the last {@link drainTouches}; NONE if there are no entries. */
  get first(): number {
    return this.#recency.first;
  }

  /** The entry that was used before this one; NONE after the least recently used. */
  next(slot: number): number {
    return this.#recency.next(slot);
  }

  /** The entry that was used after this one; NONE before the most recently used. */
  previous(slot: number): number {
    return this.#recency.previous(slot);
  }

  /**
   * Drains the touches, and evicts until the leased item, extended by `more` bytes, fits the byte budget and, if these are its
   * last bytes, the capacity.
   *
   * @returns false if the item can never fit.
   */
  makeRoom(slot: number, more: number, total: number, now: number): boolean {
    const idBytes = this.#slots.idBytes(slot);
    const written = this.#slots.valueBytes(slot);
    const { maxBytes, capacity } = this.#limits;
    if (capacity === 0 || idBytes + total > maxBytes) return false;
    this.drainTouches(now);
    const added = written === 0 ? idBytes + more : more;
    while (this.#slots.bytes + added > maxBytes) {
      if (!this.#evict(EVICTIONS_BY_BYTES)) return false;
    }
    if (written + more === total) {
      while (this.count >= capacity) this.#evict(EVICTIONS_BY_CAPACITY);
    }
    this.#slots.bytes += added;
    return true;
  }

  /** Accounts for `more` bytes of a leased item as {@link makeRoom} does; returns false if that needs evictions. */
  takeFreeRoom(slot: number, more: number, total: number): boolean {
    const written = this.#slots.valueBytes(slot);
    const added = written === 0 ? this.#slots.idBytes(slot) + more : more;
    if (!this.hasRoomFor(1, added + total - written - more)) return false;
    this.#slots.bytes += added;
    return true;
  }

  /** Whether so many entries more, of `bytes` bytes together, need no evictions. */
  hasRoomFor(entries: number, bytes: number): boolean {
    return this.count + entries <= this.#limits.capacity && this.#slots.bytes + bytes <= this.#limits.maxBytes;
  }

  /**
   * Turns a complete leased item, for which {@link makeRoom} or {@link takeFreeRoom} has made room, into an entry.
   *
   * @param setLifetime sets the TTL of the slot.
   */
  add(slot: number, etag: Etag, setLifetime: (slot: number) => void, place: Place): void {
    this.#slots.setState(slot, State.ENTRY);
    this.#slots.setEtag(slot, etag);
    setLifetime(slot);
    this.#slots.publish(slot);
    this.#header[Header.COUNT]++;
    if (place === 'first') this.#recency.prepend(slot);
    else this.#appendUnread(slot);
  }

  /**
   * Puts entries that were stored as the last ones, and not read since, in this order: most recently used first. They must be
   * the most recently stored ones of that kind.
   */
  reorderLast(slots: readonly number[]): void {
    const unordered = new Set(slots);
    const found = new Set<number>();
    for (let slot = this.#recency.last; this.#header[Header.UNREAD_HEAD] !== NONE && unordered.has(slot);) {
      found.add(slot);
      const previous = this.#recency.previous(slot);
      this.#unlist(slot);
      slot = previous;
    }
    for (const slot of slots) {
      if (found.has(slot)) this.#appendUnread(slot);
    }
  }

  /** Drops an entry. The lease that would have replaced it stays valid and takes its place in the index. */
  drop(slot: number, now: number): void {
    // Once the slot is free, its touches belong to no key.
    if (this.#hotKeys !== undefined) this.drainTouches(now);
    this.#remove(slot);
  }

  #remove(slot: number): void {
    const lease = this.#slots.leaseOf(slot);
    if (lease !== NONE) this.#slots.unlink(slot, lease);
    this.#slots.bytes -= this.#slots.idBytes(slot) + Math.max(0, this.#slots.valueBytes(slot));
    this.#header[Header.COUNT]--;
    this.#unlist(slot);
    if (lease === NONE) this.#index.remove(slot);
    else this.#index.replace(slot, lease);
    this.#slots.free(slot);
  }

  /** Drops an expired entry. */
  expire(slot: number, now: number): void {
    this.#counters.increment(EXPIRATIONS);
    this.drop(slot, now);
  }

  /** Drops the entry that a lease replaces, if any: Redis has replied, so the entry is outdated. */
  replace(lease: number, now: number): void {
    const slot = this.#slots.entryOf(lease);
    if (slot !== NONE) this.dropOutdated(slot, now);
  }

  /** Drops an entry, expired or not, whose key has been loaded anew. */
  dropOutdated(slot: number, now: number): void {
    if (this.#slots.isExpired(slot, now)) this.expire(slot, now);
    else this.drop(slot, now);
  }

  /** Removes all entries without visiting them. */
  clear(): void {
    this.#header[Header.COUNT] = 0;
    this.#header[Header.UNREAD_HEAD] = NONE;
    this.#recency.clear();
  }

  #moveToFront(slot: number): void {
    this.#leaveUnread(slot);
    this.#recency.moveToFront(slot);
  }

  #unlist(slot: number): void {
    this.#leaveUnread(slot);
    this.#recency.remove(slot);
  }

  #appendUnread(slot: number): void {
    this.#recency.append(slot);
    if (this.#header[Header.UNREAD_HEAD] === NONE) this.#header[Header.UNREAD_HEAD] = slot;
  }

  #leaveUnread(slot: number): void {
    if (this.#header[Header.UNREAD_HEAD] === slot) this.#header[Header.UNREAD_HEAD] = this.#recency.next(slot);
  }

  #evict(cause: number): boolean {
    const slot = this.#recency.last;
    if (slot === NONE) return false;
    this.#counters.increment(cause);
    this.#remove(slot);
    return true;
  }
}
