import { type SharedCounters, counter } from './counters.ts';
import { ItemBytes } from './memory/item-bytes.ts';
import type { KeyIndex } from './index/key-index.ts';
import { Header, type LruLimits, type LruMemory, NONE, SLOT_WORDS, Slot, State, idLengths } from './memory/layout.ts';
import { type EntryId, LOAD_RESULTS, type Lease, type LoadResult } from './cache-types.ts';
import { SlotList } from './memory/slot-list.ts';
import type { Slots } from './slots.ts';

const EXPIRED_LEASES = counter('expiredLeases');

/**
 * Lease table: which thread is loading which entry, until when, and how waiters in other threads receive the result.
 *
 * All leases have the same duration, so the list, newest first, is ordered by expiry. Waiters block on the version word of
 * the slot, which changes when the lease ends. A lease that ends with a result while threads wait for it becomes *settled*:
 * it leaves the index, so that the entry can be leased again, but stays listed until every waiter has read the result or it
 * expires.
 *
 * While there is an entry to reload, its lease is not in the index: entry and lease are *linked*. When the entry is dropped,
 * the lease takes its place in the index, so that a purge finds and voids it. A fill drops the entry before it writes, so a
 * linked lease consists of its id only.
 *
 * All methods but {@link waitForEnd} require the cache lock.
 */
export class Leases {
  readonly #header: Int32Array;
  readonly #words: Int32Array;
  readonly #limits: LruLimits;
  readonly #blockBudget: number;
  readonly #thread: number;
  readonly #slots: Slots;
  readonly #index: KeyIndex;
  readonly #counters: SharedCounters;
  readonly #list: SlotList;

  constructor(memory: LruMemory, thread: number, slots: Slots, index: KeyIndex, counters: SharedCounters) {
    this.#header = memory.header;
    this.#words = memory.slots;
    this.#limits = memory.limits;
    this.#blockBudget = memory.leaseBlockBudget;
    this.#thread = thread;
    this.#slots = slots;
    this.#index = index;
    this.#counters = counters;
    this.#list = new SlotList(memory.header, memory.nodes, Header.LEASE_HEAD, Header.LEASE_TAIL);
  }

  get count(): number {
    return this.#header[Header.LEASE_COUNT];
  }

  /**
   * Grants a lease.
   *
   * @param entry the entry with this id, which stays in the index until it is replaced; NONE if absent.
   * @returns undefined if the maximum number of leases is reached or the id is too long.
   */
  grant(of: EntryId, hash: number, now: number, entry: number): Lease | undefined {
    // The expired leases are the oldest. The bytes they have written count against the budget, and they may never be
    // requested again.
    while (this.#list.last !== NONE && this.#slots.hasElapsed(this.#list.last, now)) this.expire(this.#list.last);
    const blocks = ItemBytes.blocksFor(of.id.length);
    if (idLengths(of.id.length, of.selectorLength) < 0 || !this.#fits(blocks)) return undefined;
    const slot = this.#slots.allocate(of, hash);
    const at = slot * SLOT_WORDS;
    this.#slots.setState(slot, State.LEASE);
    this.#slots.setExpiry(slot, now + this.#limits.leaseMs);
    this.#words[at + Slot.LEASE_OWNER] = this.#thread;
    this.#words[at + Slot.LEASE_WAITERS] = 0;
    this.#header[Header.LEASE_COUNT]++;
    this.#header[Header.LEASE_BLOCKS] += blocks;
    this.#list.prepend(slot);
    this.#words[at + Slot.LEASE_ENTRY] = NONE;
    if (entry === NONE) this.#index.insert(slot, of);
    else this.#slots.link(entry, slot);
    return this.#slots.handle(slot);
  }

  /** Whether a lease is unexpired; ends it otherwise. */
  isUnexpired(slot: number, now: number): boolean {
    if (!this.#slots.hasElapsed(slot, now)) return true;
    this.expire(slot);
    return false;
  }

  isValid(lease: Lease): boolean {
    return this.#slots.isSame(lease, State.LEASE);
  }

  /** Whether a fill that has written `written` bytes may continue: the lease is valid and no other fill is writing. */
  isFillable(lease: Lease, written: number): boolean {
    return this.isValid(lease) && this.#slots.valueBytes(lease.slot) === written;
  }

  /** Whether threads wait for a lease. */
  hasWaiters(slot: number): boolean {
    return this.#words[slot * SLOT_WORDS + Slot.LEASE_WAITERS] > 0;
  }

  /** Whether the lease in a slot belongs to this thread. */
  isOwn(slot: number): boolean {
    return this.#words[slot * SLOT_WORDS + Slot.LEASE_OWNER] === this.#thread;
  }

  /**
   * Ends a lease whose item becomes an entry, and returns whether threads wait for it. Once the entry has its version, which
   * is another one, {@link notify} wakes them, and they look up the key again.
   */
  end(slot: number): boolean {
    this.#unlist(slot);
    return this.hasWaiters(slot);
  }

  /** Wakes the threads that wait for a lease; the version of its slot must have changed. */
  notify(slot: number): void {
    Atomics.notify(this.#words, slot * SLOT_WORDS + Slot.VERSION);
  }

  /** Ends a lease without storing anything. */
  endWith(slot: number, result: LoadResult): void {
    const written = this.#slots.valueBytes(slot);
    if (written > 0) this.#slots.bytes -= this.#slots.idBytes(slot) + written;
    const entry = this.#slots.entryOf(slot);
    if (entry === NONE) this.#index.remove(slot);
    else this.#slots.unlink(entry, slot);
    // The bytes of an abandoned fill leave the budget now, so its blocks must not be kept either.
    const keeps = result !== 'void' && written === 0;
    if (keeps && this.#words[slot * SLOT_WORDS + Slot.LEASE_WAITERS] > 0) {
      this.#settle(slot, result);
    } else {
      this.#wake(slot);
      this.#remove(slot);
    }
  }

  /** Ends the lease in a slot, or that of the entry in it, without storing anything; returns whether it is an entry. */
  endOf(slot: number): boolean {
    const isEntry = this.#slots.state(slot) === State.ENTRY;
    const lease = isEntry ? this.#slots.leaseOf(slot) : slot;
    if (lease !== NONE) this.endWith(lease, 'void');
    return isEntry;
  }

  /** Ends an expired lease, or frees a settled one. */
  expire(slot: number): void {
    if (this.#slots.state(slot) === State.SETTLED) {
      this.#remove(slot);
      return;
    }
    this.#counters.increment(EXPIRED_LEASES);
    this.endWith(slot, 'void');
  }

  /** Registers one more waiter for the end of a lease; false if it has ended already. */
  join(lease: Lease): boolean {
    if (!this.isValid(lease)) return false;
    this.#words[lease.slot * SLOT_WORDS + Slot.LEASE_WAITERS]++;
    return true;
  }

  /** Resolves, without polling, when a lease ends or expires. Must be called without the lock. */
  async waitForEnd(lease: Lease): Promise<void> {
    const word = lease.slot * SLOT_WORDS + Slot.VERSION;
    const wait = Atomics.waitAsync(this.#words, word, lease.version, this.#limits.leaseMs);
    if (wait.async) await wait.value;
  }

  /** Returns the result of a lease that the caller has joined; the last waiter frees it. */
  takeResult(lease: Lease): LoadResult {
    const at = lease.slot * SLOT_WORDS;
    if (this.isValid(lease)) {
      this.#words[at + Slot.LEASE_WAITERS]--;
      return 'void';
    }
    const settled =
      this.#slots.state(lease.slot) === State.SETTLED &&
      this.#words[at + Slot.LEASE_OWNER] === lease.version &&
      this.#slots.epoch === lease.epoch;
    if (!settled) return 'void';
    const result = LOAD_RESULTS[this.#words[at + Slot.LEASE_RESULT]];
    if (--this.#words[at + Slot.LEASE_WAITERS] === 0) this.#remove(lease.slot);
    return result;
  }

  /** Ends the leases of a crashed thread: waiters look up their entries again and may load in its place. */
  endAllOf(thread: number): void {
    this.#dropEach((slot) => this.#words[slot * SLOT_WORDS + Slot.LEASE_OWNER] === thread);
  }

  /** Ends all leases: loads in flight will not be stored, and waiters look up their entries again. */
  endAll(): void {
    this.#dropEach(() => true);
  }

  /** Wakes all waiters and removes all leases. The walk is bounded, because a crashed thread may have left the list broken. */
  clear(): void {
    let slot = this.#list.first;
    for (let left = this.count; left > 0 && this.#slots.has(slot); left--) {
      this.#wake(slot);
      slot = this.#list.next(slot);
    }
    this.#header[Header.LEASE_COUNT] = 0;
    this.#header[Header.LEASE_BLOCKS] = 0;
    this.#list.clear();
  }

  #dropEach(isMeant: (slot: number) => boolean): void {
    for (let slot = this.#list.first; slot !== NONE;) {
      const next = this.#list.next(slot);
      if (this.#slots.state(slot) === State.LEASE && isMeant(slot)) this.endWith(slot, 'void');
      slot = next;
    }
  }

  #fits(blocks: number): boolean {
    return (
      this.#header[Header.LEASE_COUNT] < this.#limits.maxLeases &&
      this.#header[Header.LEASE_BLOCKS] + blocks <= this.#blockBudget
    );
  }

  /** Keeps an ended lease, outside the index, until its waiters have read the result. */
  #settle(slot: number, result: LoadResult): void {
    const at = slot * SLOT_WORDS;
    this.#slots.setState(slot, State.SETTLED);
    this.#words[at + Slot.LEASE_RESULT] = LOAD_RESULTS.indexOf(result);
    // Waiters know the lease by its old version; the new version wakes them.
    this.#words[at + Slot.LEASE_OWNER] = this.#slots.version(slot);
    this.#wake(slot);
  }

  /** Assigns the next version to a slot whose lease ends, and wakes the threads that wait on the old one. */
  #wake(slot: number): void {
    const at = slot * SLOT_WORDS;
    this.#slots.renew(slot);
    if (this.#words[at + Slot.LEASE_WAITERS] > 0) this.notify(slot);
  }

  #remove(slot: number): void {
    this.#unlist(slot);
    this.#slots.free(slot);
  }

  #unlist(slot: number): void {
    this.#list.remove(slot);
    this.#header[Header.LEASE_COUNT]--;
    this.#header[Header.LEASE_BLOCKS] -= ItemBytes.blocksFor(this.#slots.idBytes(slot));
  }
}
