import { type SharedCounters, counter } from './counters.ts';
import { ItemBytes, STAGE_BYTES } from './item-bytes.ts';
import type { KeyIndex } from './key-index.ts';
import { Header, type LruLimits, type LruMemory, NONE, SLOT_WORDS, Slot, State } from './layout.ts';
import { LOAD_RESULTS, type Lease, type LoadResult } from './lookup.ts';
import { SlotList } from './slot-list.ts';
import type { Slots } from './slots.ts';

const EXPIRED_LEASES = counter('expiredLeases');

/**
 * The leases: who loads which key, until when, and how those in other threads who wait for a load learn that it has
 * ended and what came of it.
 *
 * All leases last equally long, so the list of them, the youngest first, is in the order in which they expire. Threads
 * wait on the version of the slot, which is another one as soon as the lease has ended. A lease that somebody waits for
 * and that ended with a result is *settled*: out of the index, so that the key can be leased anew, but kept in the list
 * until all have collected the result or its time is over.
 *
 * While the key is held, its lease is not in the index either: entry and lease are *linked*. When the entry goes, the
 * lease takes its place in the index, so that a purge finds and voids it. A fill drops the entry before it writes, so a
 * lease that is linked has nothing but its key.
 *
 * All but {@link ended} are called with the cache's lock held.
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
   * Leases a key; undefined when there are as many leases as there may be.
   *
   * @param entry of this key, which is in the index until it is replaced; NONE: there is none.
   */
  grant(key: Uint8Array, hash: number, now: number, entry: number): Lease | undefined {
    // Those whose time is over are the oldest. What they have written so far counts against the budget of bytes, and
    // nobody may ever ask for their keys again.
    while (this.#list.last !== NONE && this.#slots.isPast(this.#list.last, now)) this.expire(this.#list.last);
    const blocks = ItemBytes.blocksFor(key.length);
    if (key.length > STAGE_BYTES || !this.#fits(blocks)) return undefined;
    const slot = this.#slots.take(key, hash);
    const at = slot * SLOT_WORDS;
    this.#slots.setState(slot, State.LEASE);
    this.#slots.setExpiry(slot, now + this.#limits.leaseMs);
    this.#words[at + Slot.LEASE_OWNER] = this.#thread;
    this.#words[at + Slot.LEASE_WAITERS] = 0;
    this.#header[Header.LEASE_COUNT]++;
    this.#header[Header.LEASE_BLOCKS] += blocks;
    this.#list.prepend(slot);
    this.#words[at + Slot.LEASE_ENTRY] = NONE;
    if (entry === NONE) this.#index.insert(slot);
    else this.#slots.link(entry, slot);
    return this.#slots.handle(slot);
  }

  /** Whether a lease's time is not over; otherwise it is ended. */
  lives(slot: number, now: number): boolean {
    if (!this.#slots.isPast(slot, now)) return true;
    this.expire(slot);
    return false;
  }

  isAlive(lease: Lease): boolean {
    return this.#slots.isSame(lease, State.LEASE);
  }

  /** Whether a fill that has written so many bytes may go on: not when the lease has ended or another fill is at it. */
  isFillable(lease: Lease, written: number): boolean {
    return this.isAlive(lease) && this.#slots.valueBytes(lease.slot) === written;
  }

  /** Whether this thread holds the lease in a slot. */
  isOwn(slot: number): boolean {
    return this.#words[slot * SLOT_WORDS + Slot.LEASE_OWNER] === this.#thread;
  }

  /** Ends a lease whose item is to be an entry: those who wait find it when they look again. */
  end(slot: number): void {
    this.#unlist(slot);
    this.#wake(slot);
  }

  /** Ends a lease with nothing to store. */
  drop(slot: number, result: LoadResult): void {
    const written = this.#slots.valueBytes(slot);
    if (written > 0) this.#slots.bytes -= this.#slots.keyBytes(slot) + written;
    const entry = this.#slots.entryOf(slot);
    if (entry === NONE) this.#index.remove(slot);
    else this.#slots.unlink(entry, slot);
    // What a fill has written before it gave up leaves the budget now, so its blocks must not be kept either.
    const keeps = result !== 'void' && written === 0;
    if (keeps && this.#words[slot * SLOT_WORDS + Slot.LEASE_WAITERS] > 0) {
      this.#settle(slot, result);
    } else {
      this.#wake(slot);
      this.#forget(slot);
    }
  }

  /** Ends a lease whose time is over, or lets go of a settled one. */
  expire(slot: number): void {
    if (this.#slots.state(slot) === State.SETTLED) {
      this.#forget(slot);
      return;
    }
    this.#counters.increment(EXPIRED_LEASES);
    this.drop(slot, 'void');
  }

  /** Announces one more who waits for the end of a lease; false when it has ended already. */
  join(lease: Lease): boolean {
    if (!this.isAlive(lease)) return false;
    this.#words[lease.slot * SLOT_WORDS + Slot.LEASE_WAITERS]++;
    return true;
  }

  /** Resolves, without polling, when a lease ends, or its time does. To be called without the lock. */
  async ended(lease: Lease): Promise<void> {
    const word = lease.slot * SLOT_WORDS + Slot.VERSION;
    const wait = Atomics.waitAsync(this.#words, word, lease.version, this.#limits.leaseMs);
    if (wait.async) await wait.value;
  }

  /** What came of a lease that the caller had joined; the last who asks lets go of it. */
  collect(lease: Lease): LoadResult {
    const at = lease.slot * SLOT_WORDS;
    if (this.isAlive(lease)) {
      this.#words[at + Slot.LEASE_WAITERS]--;
      return 'void';
    }
    const settled =
      this.#slots.state(lease.slot) === State.SETTLED &&
      this.#words[at + Slot.LEASE_OWNER] === lease.version &&
      this.#slots.epoch === lease.epoch;
    if (!settled) return 'void';
    const result = LOAD_RESULTS[this.#words[at + Slot.LEASE_RESULT]];
    if (--this.#words[at + Slot.LEASE_WAITERS] === 0) this.#forget(lease.slot);
    return result;
  }

  /** Ends the leases of a thread that has died: who waits is to look again, and may load in its place. */
  dropAllOf(thread: number): void {
    this.#dropEach((slot) => this.#words[slot * SLOT_WORDS + Slot.LEASE_OWNER] === thread);
  }

  /** Ends all leases: what is being loaded will not be stored, and who waits is to look again. */
  dropAll(): void {
    this.#dropEach(() => true);
  }

  /** Wakes all who wait and forgets all leases. The walk is bounded, as a dead thread may have left the list broken. */
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
      if (this.#slots.state(slot) === State.LEASE && isMeant(slot)) this.drop(slot, 'void');
      slot = next;
    }
  }

  #fits(blocks: number): boolean {
    return (
      this.#header[Header.LEASE_COUNT] < this.#limits.maxLeases &&
      this.#header[Header.LEASE_BLOCKS] + blocks <= this.#blockBudget
    );
  }

  /** Keeps an ended lease, out of the index, for those who wait for its result. */
  #settle(slot: number, result: LoadResult): void {
    const at = slot * SLOT_WORDS;
    this.#slots.setState(slot, State.SETTLED);
    this.#words[at + Slot.LEASE_RESULT] = LOAD_RESULTS.indexOf(result);
    // Those who wait know the lease by its version, which wakes them by being another.
    this.#words[at + Slot.LEASE_OWNER] = this.#slots.version(slot);
    this.#wake(slot);
  }

  /** Gives a slot whose lease ends its next version, and wakes the threads that wait for the one it had. */
  #wake(slot: number): void {
    const at = slot * SLOT_WORDS;
    this.#slots.renew(slot);
    if (this.#words[at + Slot.LEASE_WAITERS] > 0) Atomics.notify(this.#words, at + Slot.VERSION);
  }

  #forget(slot: number): void {
    this.#unlist(slot);
    this.#slots.free(slot);
  }

  #unlist(slot: number): void {
    this.#list.remove(slot);
    this.#header[Header.LEASE_COUNT]--;
    this.#header[Header.LEASE_BLOCKS] -= ItemBytes.blocksFor(this.#slots.keyBytes(slot));
  }
}
