import type { RequestDescription } from '../read-tracer.ts';
import { Buffer } from 'node:buffer';
import type { ValueMemory } from '../../redis/connection/value-memory.ts';
import { BufferBudget, PAGE_BYTES, pagesFor } from '../../instance/buffer-budget.ts';
import type { Clock } from '../shared-lru/clock.ts';
import { type InstanceMemory, RowCount } from '../../instance/instance-memory.ts';

/**
 * Maximum size of a small allocation. A thread accounts for small allocations locally and reserves memory for them from the
 * shared budget in steps of this size.
 */
const STEP_BYTES = 64 * 1024;
/**
 * Bytes of values of known length that a thread loads at once, because they share its connection to Redis with the small values
 * of other clients; a longer one is loaded on its own.
 */
const MAX_LOADING_PAGES = pagesFor(8 * 2 ** 20);
/**
 * Milliseconds after which the read that has waited longest no longer waits for small allocations: replies that cannot be read
 * again, such as those to COMMAND, are in memory until the read before them has ended.
 */
const MAX_WAIT_FOR_SMALL_MS = 1000;
/** Milliseconds between checks for memory released by other threads, while a read waits. */
const POLL_MS = 10;

/** Accounting of one backing store. */
interface Allocation {
  readonly bytes: number;
  /** Pages reserved for it alone; 0 if it is small. */
  readonly pages: number;
  /** Reference count. */
  references: number;
}

/** The client that a read is for. */
export interface ReadClient {
  /** Whether the client has disconnected. */
  readonly disconnected: boolean;
  /**
   * Whether the client has disconnected, or may have, because it has closed its sending side: its reads wait neither for memory
   * nor for the loads of other large values. Absent if {@link disconnected} is all that is known.
   */
  readonly mayBeClosed?: boolean;
  /**
   * Called while a read waits for memory: drops the replies that are buffered behind replies which are being read. Absent if
   * none are ever buffered.
   */
  readonly dropWaitingReplies?: () => void;
  /** Called when an expired value is served to the client because Redis is unavailable. Absent if the client need not know. */
  readonly noteStale?: () => void;
  /** Describes the request that reads, for its span. Absent if its reads have no spans, or are described one by one. */
  readonly describeRequest?: () => RequestDescription;
}

/** Memory account that values are charged to: the buffered-bytes limit, or a {@link Reservation} of it. */
export interface MemoryAccount extends ValueMemory {
  /** Adds a reference to memory and charges it if it is new; returns false, with nothing charged, if it does not fit. */
  tryHold(memory: ArrayBufferLike): boolean;
  /** Holds memory as {@link tryHold} does, until the end of this tick. */
  tryHoldForTick(memory: ArrayBufferLike): boolean;
}

interface Waiter {
  readonly pages: number;
  readonly client: ReadClient | undefined;
  /** Pages that count as being loaded; 0 unless the memory is for a load. */
  readonly loadingPages: number;
  since: number;
  readonly resolve: (reservation: Reservation | undefined) => void;
}

export interface BufferLimits {
  /** Maximum bytes held by all threads together. */
  readonly maxBufferedBytes: number;
  readonly threads: number;
  /** Maximum number of reads that wait for memory, over all threads. */
  readonly maxQueuedLoads: number;
}

/**
 * Accounts for the memory of values and response bodies that are not yet delivered, for this thread and against the budget of
 * the instance. The unit is the backing store, because a view keeps all of it alive; each is charged once, however many
 * references it has.
 *
 * A read that does not fit waits without holding any memory, and its client drops the replies behind it, except small ones that
 * cannot be read again. For these, one large value at a time may exceed the limit, so reads cannot deadlock.
 */
export class BufferedBytes implements MemoryAccount {
  readonly #budget: BufferBudget;
  readonly #counts: Float64Array;
  readonly #memory: InstanceMemory;
  readonly #limits: BufferLimits;
  readonly #clock: Clock;
  readonly #allocations = new Map<ArrayBufferLike, Allocation>();
  /** Bytes of small allocations in use, and bytes reserved from the budget for them. */
  #smallBytes = 0;
  #smallReservedBytes = 0;
  #waiters: Waiter[] = [];
  /** Reads that wait until the thread loads less, before they wait for memory. */
  #loadWaiters: Waiter[] = [];
  /** Pages of the values that are loaded, or wait for memory to be loaded. */
  #loadingPages = 0;
  /** Reservations that are in use. */
  readonly #reservations = new Set<Reservation>();
  #timer: NodeJS.Timeout | undefined;
  /** Memory to release at the end of this tick. */
  #toRelease: ArrayBufferLike[] = [];

  constructor(memory: InstanceMemory, row: number, limits: BufferLimits, clock: Clock) {
    this.#memory = memory;
    this.#limits = limits;
    this.#clock = clock;
    this.#counts = memory.countsOf(row);
    const idlePages = (2 * STEP_BYTES) / PAGE_BYTES;
    this.#budget = new BufferBudget(memory, row, limits.threads, limits.maxBufferedBytes, idlePages);
  }

  /** Releases everything that a crashed thread held. */
  static recoverFrom(memory: InstanceMemory, crashedRow: number): void {
    BufferBudget.recoverFrom(memory, crashedRow);
    memory.countsOf(crashedRow)[RowCount.HELD_BYTES] = 0;
  }

  /** Bytes held by all threads. */
  get total(): number {
    return this.#memory.total(RowCount.HELD_BYTES);
  }

  get limit(): number {
    return this.#limits.maxBufferedBytes;
  }

  /** Number of reads that wait for memory, over all threads. */
  get waiting(): number {
    return this.#budget.waiting;
  }

  /** Maximum bytes by which the charge for an allocation exceeds its size. */
  get roundingBytes(): number {
    return PAGE_BYTES;
  }

  /** Whether a small allocation fits. */
  get hasRoom(): boolean {
    return this.#smallReservedBytes > this.#smallBytes || this.#budget.hasRoom;
  }

  /** Allocates memory for a value and holds it until {@link releaseAfterTick}; returns undefined if it does not fit. */
  allocate(bytes: number, reservation?: Reservation): Buffer | undefined {
    const allocation = this.#charge(bytes, reservation);
    if (allocation === undefined) return undefined;
    let memory: Buffer;
    try {
      memory = Buffer.allocUnsafeSlow(bytes);
    } catch (error) {
      this.#refund(allocation);
      throw error;
    }
    this.#allocations.set(memory.buffer, allocation);
    return memory;
  }

  /** Allocates as {@link allocate} does, even beyond the limit. */
  allocateBeyondLimit(bytes: number): Buffer {
    const memory = Buffer.allocUnsafeSlow(bytes);
    this.hold(memory.buffer);
    return memory;
  }

  /** No memory is reserved for particular values. */
  readonly reservedBytes = 0;

  /** Implements {@link ValueMemory.join}. */
  join(parts: readonly Buffer[], bytes: number): Buffer {
    const joined = Buffer.allocUnsafeSlow(bytes);
    let at = 0;
    let pages = 0;
    for (const part of parts) {
      at += part.copy(joined, at);
      const charged = this.#allocations.get(part.buffer);
      if (charged === undefined) continue;
      this.#allocations.delete(part.buffer);
      // Frees its memory now, so that it exists twice for one part only.
      (part.buffer as ArrayBuffer).transfer(0);
      if (charged.pages === 0) this.#refund(charged);
      else this.#counts[RowCount.HELD_BYTES] -= charged.bytes;
      pages += charged.pages;
    }
    const needed = pagesFor(bytes);
    if (pages > needed) {
      this.#budget.releaseLarge(pages - needed);
      this.#grantReservations();
    } else if (pages < needed) this.#budget.reserveLarge(needed - pages);
    this.#counts[RowCount.HELD_BYTES] += bytes;
    this.#allocations.set(joined.buffer, { bytes, pages: needed, references: 1 });
    return joined;
  }

  /** Implements {@link MemoryAccount.tryHold}. */
  tryHold(memory: ArrayBufferLike, reservation?: Reservation): boolean {
    const existing = this.#allocations.get(memory);
    if (existing !== undefined) {
      existing.references++;
      return true;
    }
    const allocation = this.#charge(memory.byteLength, reservation);
    if (allocation === undefined) return false;
    this.#allocations.set(memory, allocation);
    return true;
  }

  /** Holds memory that is indispensable, even beyond the limit. */
  hold(memory: ArrayBufferLike): void {
    if (this.tryHold(memory)) return;
    const bytes = memory.byteLength;
    const pages = bytes <= STEP_BYTES ? 0 : pagesFor(bytes);
    if (pages === 0) this.#chargeSmall(bytes, true);
    else this.#budget.reserveLarge(pages);
    this.#counts[RowCount.HELD_BYTES] += bytes;
    this.#allocations.set(memory, { bytes, pages, references: 1 });
  }

  /** Drops one reference to memory, and its charge with the last one. */
  release(memory: ArrayBufferLike): void {
    const allocation = this.#allocations.get(memory);
    if (allocation === undefined || --allocation.references > 0) return;
    this.#allocations.delete(memory);
    this.#refund(allocation);
    if (this.#waiters.length > 0) this.#grantReservations();
  }

  /** Implements {@link MemoryAccount.tryHoldForTick}. */
  tryHoldForTick(memory: ArrayBufferLike, reservation?: Reservation): boolean {
    if (!this.tryHold(memory, reservation)) return false;
    this.releaseAfterTick(memory);
    return true;
  }

  /** Releases memory at the end of this tick; until then the receiver can hold it in turn. */
  releaseAfterTick(memory: ArrayBufferLike): void {
    if (this.#toRelease.push(memory) > 1) return;
    setImmediate(() => {
      const released = this.#toRelease;
      this.#toRelease = [];
      for (const each of released) this.release(each);
    });
  }

  /**
   * Waits until `bytes` bytes fit; first come, first served, over all threads.
   *
   * @returns undefined if too many reads are waiting, or the client has disconnected or closed its sending side; a reservation
   *   must be released with {@link releaseUnused}.
   */
  reserve(bytes: number, client: ReadClient | undefined): Promise<Reservation | undefined> {
    if (this.#rejects(client)) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#wait({ pages: this.#pagesOf(bytes), client, loadingPages: 0, since: 0, resolve });
      client?.dropWaitingReplies?.();
      this.#grantReservations();
    });
  }

  /** Reserves memory to load a value of `bytes` bytes, as {@link reserve} does, once this thread loads few other ones. */
  reserveForLoad(bytes: number, client: ReadClient | undefined): Promise<Reservation | undefined> {
    if (this.#rejects(client)) return Promise.resolve(undefined);
    const pages = this.#pagesOf(bytes);
    return new Promise((resolve) => {
      this.#loadWaiters.push({ pages, client, loadingPages: pages, since: 0, resolve });
      this.#startPolling();
      client?.dropWaitingReplies?.();
      this.#admitLoads();
    });
  }

  /** Reserves as {@link reserveForLoad} does; returns undefined if the read would have to wait. */
  tryReserveForLoad(bytes: number, client: ReadClient | undefined): Reservation | undefined {
    const pages = this.#pagesOf(bytes);
    if (this.#loadWaiters.length > 0 || !this.#mayLoad(pages)) return undefined;
    if (this.#budget.waiting > 0 || !this.#budget.tryReserveLarge(pages)) return undefined;
    this.#loadingPages += pages;
    return this.#newReservation({ pages, client, loadingPages: pages });
  }

  /** Ends a reservation, and releases what is unused of it. */
  releaseUnused(reservation: Reservation): void {
    if (this.#reservations.delete(reservation)) this.#loadingPages -= reservation.loadingPages;
    this.#releasePages(reservation);
    this.#admitLoads();
  }

  #releasePages(reservation: Reservation): void {
    const { pages } = reservation;
    reservation.pages = 0;
    if (pages > 0) this.#budget.releaseLarge(pages);
  }

  #newReservation({ pages, client, loadingPages }: Pick<Waiter, 'pages' | 'client' | 'loadingPages'>): Reservation {
    const reservation = new Reservation(this, pages, client, loadingPages);
    this.#reservations.add(reservation);
    this.#startPolling();
    return reservation;
  }

  #pagesOf(bytes: number): number {
    return Math.min(pagesFor(bytes), this.#budget.maxPages);
  }

  /** Whether a read may not wait for memory: too many reads do, or its client may have disconnected. */
  #rejects(client: ReadClient | undefined): boolean {
    return this.waiting + this.#loadWaiters.length >= this.#limits.maxQueuedLoads || isGone(client);
  }

  #mayLoad(pages: number): boolean {
    return this.#loadingPages === 0 || this.#loadingPages + pages <= MAX_LOADING_PAGES;
  }

  /** Lets reads wait for memory in order while the thread may load their values. */
  #admitLoads(): void {
    for (let first; (first = this.#loadWaiters.at(0)) !== undefined && this.#mayLoad(first.pages);) {
      this.#loadWaiters.shift();
      this.#loadingPages += first.pages;
      this.#wait(first);
    }
    this.#grantReservations();
  }

  #wait(waiter: Waiter): void {
    waiter.since = this.#now();
    this.#waiters.push(waiter);
    this.#startPolling();
  }

  /** Returns whole milliseconds, which wrap around. */
  #now(): number {
    return Math.floor(this.#clock()) | 0;
  }

  #charge(bytes: number, reservation: Reservation | undefined): Allocation | undefined {
    const pages = pagesFor(bytes);
    if (reservation !== undefined && reservation.pages >= pages) {
      reservation.pages -= pages;
    } else if (bytes <= STEP_BYTES) {
      if (!this.#chargeSmall(bytes, false)) return undefined;
      this.#counts[RowCount.HELD_BYTES] += bytes;
      return { bytes, pages: 0, references: 1 };
    } else if (this.#budget.waiting > 0 || !this.#budget.tryReserveLarge(pages)) {
      // Do not overtake waiting reads.
      return undefined;
    }
    this.#counts[RowCount.HELD_BYTES] += bytes;
    return { bytes, pages, references: 1 };
  }

  #chargeSmall(bytes: number, beyondLimit: boolean): boolean {
    const missing = this.#smallBytes + bytes - this.#smallReservedBytes;
    if (missing > 0) {
      const step = Math.ceil(missing / STEP_BYTES) * STEP_BYTES;
      if (beyondLimit) this.#budget.reserve(step / PAGE_BYTES);
      else if (!this.#budget.tryReserve(step / PAGE_BYTES)) return false;
      this.#smallReservedBytes += step;
    }
    this.#smallBytes += bytes;
    return true;
  }

  #refund({ bytes, pages }: Allocation): void {
    this.#counts[RowCount.HELD_BYTES] -= bytes;
    if (pages > 0) return this.#budget.releaseLarge(pages);
    this.#smallBytes -= bytes;
    // Keep one step; otherwise every small value would reserve and release one.
    const unusedBytes =
      Math.floor((this.#smallReservedBytes - this.#smallBytes) / STEP_BYTES) * STEP_BYTES - STEP_BYTES;
    if (unusedBytes <= 0) return;
    this.#smallReservedBytes -= unusedBytes;
    this.#budget.release(unusedBytes / PAGE_BYTES);
  }

  #startPolling(): void {
    this.#timer ??= setInterval(() => this.#poll(), POLL_MS).unref();
  }

  #poll(): void {
    // A load in flight for a client that has disconnected needs no memory: others can use it before Redis replies.
    for (const each of this.#reservations) if (each.client?.disconnected === true) this.#releasePages(each);
    const waiting = [...this.#waiters, ...this.#loadWaiters];
    const gone = new Set(waiting.filter(({ client }) => isGone(client)));
    if (gone.size > 0) {
      for (const { loadingPages } of this.#waiters.filter((each) => gone.has(each))) this.#loadingPages -= loadingPages;
      this.#waiters = this.#waiters.filter((each) => !gone.has(each));
      this.#loadWaiters = this.#loadWaiters.filter((each) => !gone.has(each));
      for (const { resolve } of gone) resolve(undefined);
    }
    // What has been buffered since the reads began to wait.
    for (const client of new Set(waiting.map((waiter) => waiter.client))) client?.dropWaitingReplies?.();
    this.#admitLoads();
  }

  /** Resolves waiting reads in order while the first one fits. */
  #grantReservations(): void {
    for (let first; (first = this.#waiters.at(0)) !== undefined;) {
      this.#budget.noteWaiting(this.#waiters.length, first.since);
      if (!this.#budget.isOldest(first.since)) return;
      const isOverdue = ((this.#now() - first.since) | 0) >= MAX_WAIT_FOR_SMALL_MS;
      if (!this.#budget.tryReserveLarge(first.pages, isOverdue)) return;
      this.#waiters.shift();
      first.resolve(this.#newReservation(first));
    }
    this.#budget.noteWaiting(0, 0);
    if (this.#reservations.size > 0 || this.#loadWaiters.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** Whether a client has disconnected, or may have. */
function isGone(client: ReadClient | undefined): boolean {
  return client !== undefined && (client.mayBeClosed ?? client.disconnected);
}

/** Memory that a waiting read was granted; values are charged to it first and to the shared budget once it is used up. */
export class Reservation implements MemoryAccount {
  /** Pages left. */
  pages: number;
  /** The client of the read. */
  readonly client: ReadClient | undefined;
  /** Pages that count as being loaded. */
  readonly loadingPages: number;
  readonly #buffered: BufferedBytes;

  constructor(buffered: BufferedBytes, pages: number, client: ReadClient | undefined, loadingPages: number) {
    this.#buffered = buffered;
    this.pages = pages;
    this.client = client;
    this.loadingPages = loadingPages;
  }

  get reservedBytes(): number {
    return this.pages * PAGE_BYTES;
  }

  allocate(bytes: number): Buffer | undefined {
    return this.#buffered.allocate(bytes, this);
  }

  join(parts: readonly Buffer[], bytes: number): Buffer {
    return this.#buffered.join(parts, bytes);
  }

  tryHold(memory: ArrayBufferLike): boolean {
    return this.#buffered.tryHold(memory, this);
  }

  tryHoldForTick(memory: ArrayBufferLike): boolean {
    return this.#buffered.tryHoldForTick(memory, this);
  }

  releaseAfterTick(memory: ArrayBufferLike): void {
    this.#buffered.releaseAfterTick(memory);
  }
}
