import { Buffer } from 'node:buffer';
import type { ValueMemory } from '../../redis/connection/value-memory.ts';
import { BufferBudget, PAGE_BYTES, pagesFor } from '../../instance/buffer-budget.ts';
import type { Clock } from '../shared-lru/clock.ts';
import { type InstanceMemory, ROW_COUNTS } from '../../instance/instance-memory.ts';

/**
 * Maximum size of a small allocation. A thread accounts for small allocations locally and reserves memory for them from the
 * shared budget in steps of this size.
 */
const STEP_BYTES = 64 * 1024;
/** Milliseconds between checks for memory released by other threads, while a read waits. */
const POLL_MS = 10;
/** Index of the count of bytes held, in a thread's row. */
const BYTES_AT = ROW_COUNTS - 1;

/** Accounting of one backing store. */
interface Held {
  readonly bytes: number;
  /** Pages reserved for it alone; 0 if it is small. */
  readonly pages: number;
  /** Reference count. */
  holders: number;
}

/** The client that a read is for. */
export interface Reader {
  /** Whether the client has disconnected. */
  readonly gone: boolean;
}

/** Memory account that values are charged to: the buffered-bytes limit, or a {@link Reservation} of it. */
export interface Room extends ValueMemory {
  /** Adds a reference to memory and charges it if it is new; returns false, with nothing charged, if it does not fit. */
  tryHold(memory: ArrayBufferLike): boolean;
  /** Holds memory as {@link tryHold} does, until the end of this tick. */
  admit(memory: ArrayBufferLike): boolean;
}

interface Waiter {
  readonly pages: number;
  readonly reader: Reader | undefined;
  readonly since: number;
  readonly end: (reservation: Reservation | undefined) => void;
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
 * A read that does not fit waits without holding any memory, so reads cannot deadlock.
 */
export class BufferedBytes implements Room {
  readonly #budget: BufferBudget;
  readonly #counts: Float64Array;
  readonly #memory: InstanceMemory;
  readonly #limits: BufferLimits;
  readonly #clock: Clock;
  readonly #held = new Map<ArrayBufferLike, Held>();
  /** Bytes of small allocations in use, and bytes reserved from the budget for them. */
  #small = 0;
  #granted = 0;
  #waiters: Waiter[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** Memory to release at the end of this tick. */
  #passing: ArrayBufferLike[] = [];

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
    memory.countsOf(crashedRow)[BYTES_AT] = 0;
  }

  /** Bytes held by all threads. */
  get total(): number {
    return this.#memory.total(BYTES_AT);
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
    return this.#granted > this.#small || this.#budget.hasRoom;
  }

  /** Allocates memory for a value and holds it until {@link pass}; returns undefined if it does not fit. */
  allocate(bytes: number, reservation?: Reservation): Buffer | undefined {
    const held = this.#reserve(bytes, reservation);
    if (held === undefined) return undefined;
    let memory: Buffer;
    try {
      memory = Buffer.allocUnsafeSlow(bytes);
    } catch (error) {
      this.#giveBack(held);
      throw error;
    }
    this.#held.set(memory.buffer, held);
    return memory;
  }

  /** Allocates as {@link allocate} does, even beyond the limit. */
  force(bytes: number): Buffer {
    const memory = Buffer.allocUnsafeSlow(bytes);
    this.hold(memory.buffer);
    return memory;
  }

  /** Implements {@link Room.tryHold}. */
  tryHold(memory: ArrayBufferLike, reservation?: Reservation): boolean {
    const known = this.#held.get(memory);
    if (known !== undefined) {
      known.holders++;
      return true;
    }
    const held = this.#reserve(memory.byteLength, reservation);
    if (held === undefined) return false;
    this.#held.set(memory, held);
    return true;
  }

  /** Holds memory that is indispensable, even beyond the limit. */
  hold(memory: ArrayBufferLike): void {
    if (this.tryHold(memory)) return;
    const bytes = memory.byteLength;
    const pages = bytes <= STEP_BYTES ? 0 : pagesFor(bytes);
    if (pages === 0) this.#reserveSmall(bytes, true);
    else this.#budget.reserveLarge(pages);
    this.#counts[BYTES_AT] += bytes;
    this.#held.set(memory, { bytes, pages, holders: 1 });
  }

  /** Drops one reference to memory, and its charge with the last one. */
  release(memory: ArrayBufferLike): void {
    const held = this.#held.get(memory);
    if (held === undefined || --held.holders > 0) return;
    this.#held.delete(memory);
    this.#giveBack(held);
    if (this.#waiters.length > 0) this.#serve();
  }

  /** Implements {@link Room.admit}. */
  admit(memory: ArrayBufferLike, reservation?: Reservation): boolean {
    if (!this.tryHold(memory, reservation)) return false;
    this.pass(memory);
    return true;
  }

  /** Releases memory at the end of this tick; until then the receiver can hold it in turn. */
  pass(memory: ArrayBufferLike): void {
    if (this.#passing.push(memory) > 1) return;
    setImmediate(() => {
      const passed = this.#passing;
      this.#passing = [];
      for (const each of passed) this.release(each);
    });
  }

  /**
   * Waits until `bytes` bytes fit; first come, first served, over all threads.
   *
   * @returns undefined if too many reads are waiting or the client has disconnected.
   */
  wait(bytes: number, reader: Reader | undefined): Promise<Reservation | undefined> {
    if (this.waiting >= this.#limits.maxQueuedLoads) return Promise.resolve(undefined);
    const pages = Math.min(pagesFor(bytes), this.#budget.maxPages);
    return new Promise((end) => {
      this.#waiters.push({ pages, reader, since: Math.floor(this.#clock()) | 0, end });
      this.#timer ??= setInterval(() => this.#poll(), POLL_MS).unref();
      this.#serve();
    });
  }

  /** Releases the unused part of a reservation. */
  free(reservation: Reservation): void {
    const { pages } = reservation;
    if (pages === 0) return;
    reservation.pages = 0;
    this.#budget.releaseLarge(pages);
    this.#serve();
  }

  #reserve(bytes: number, reservation: Reservation | undefined): Held | undefined {
    const pages = pagesFor(bytes);
    if (reservation !== undefined && reservation.pages >= pages) {
      reservation.pages -= pages;
    } else if (bytes <= STEP_BYTES) {
      if (!this.#reserveSmall(bytes, false)) return undefined;
      this.#counts[BYTES_AT] += bytes;
      return { bytes, pages: 0, holders: 1 };
    } else if (this.#budget.waiting > 0 || !this.#budget.tryReserveLarge(pages)) {
      // Do not overtake waiting reads.
      return undefined;
    }
    this.#counts[BYTES_AT] += bytes;
    return { bytes, pages, holders: 1 };
  }

  #reserveSmall(bytes: number, always: boolean): boolean {
    const missing = this.#small + bytes - this.#granted;
    if (missing > 0) {
      const step = Math.ceil(missing / STEP_BYTES) * STEP_BYTES;
      if (always) this.#budget.reserve(step / PAGE_BYTES);
      else if (!this.#budget.tryReserve(step / PAGE_BYTES)) return false;
      this.#granted += step;
    }
    this.#small += bytes;
    return true;
  }

  #giveBack({ bytes, pages }: Held): void {
    this.#counts[BYTES_AT] -= bytes;
    if (pages > 0) return this.#budget.releaseLarge(pages);
    this.#small -= bytes;
    // Keep one step; otherwise every small value would reserve and release one.
    const spare = Math.floor((this.#granted - this.#small) / STEP_BYTES) * STEP_BYTES - STEP_BYTES;
    if (spare <= 0) return;
    this.#granted -= spare;
    this.#budget.release(spare / PAGE_BYTES);
  }

  #poll(): void {
    const gone = this.#waiters.filter(({ reader }) => reader?.gone);
    if (gone.length > 0) {
      this.#waiters = this.#waiters.filter(({ reader }) => !reader?.gone);
      for (const { end } of gone) end(undefined);
    }
    this.#serve();
  }

  /** Resolves waiting reads in order while the first one fits. */
  #serve(): void {
    for (let first; (first = this.#waiters.at(0)) !== undefined;) {
      this.#budget.noteWaiting(this.#waiters.length, first.since);
      if (!this.#budget.isOldest(first.since) || !this.#budget.tryReserveLarge(first.pages)) return;
      this.#waiters.shift();
      first.end(new Reservation(this, first.pages));
    }
    this.#budget.noteWaiting(0, 0);
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** Memory that a waiting read was granted; values are charged to it first and to the shared budget once it is used up. */
export class Reservation implements Room {
  /** Pages left. */
  pages: number;
  readonly #buffered: BufferedBytes;

  constructor(buffered: BufferedBytes, pages: number) {
    this.#buffered = buffered;
    this.pages = pages;
  }

  allocate(bytes: number): Buffer | undefined {
    return this.#buffered.allocate(bytes, this);
  }

  tryHold(memory: ArrayBufferLike): boolean {
    return this.#buffered.tryHold(memory, this);
  }

  admit(memory: ArrayBufferLike): boolean {
    return this.#buffered.admit(memory, this);
  }

  pass(memory: ArrayBufferLike): void {
    this.#buffered.pass(memory);
  }
}
