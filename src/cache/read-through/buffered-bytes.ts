import { Buffer } from 'node:buffer';
import type { ValueMemory } from '../../redis/connection/value-memory.ts';
import { BufferBudget, PAGE_BYTES, pagesFor } from '../../instance/buffer-budget.ts';
import type { Clock } from '../shared-lru/clock.ts';
import { type InstanceMemory, ROW_COUNTS } from '../../instance/instance-memory.ts';

/** Memory of at most so many bytes is small: a thread counts it by itself, and takes it from the budget in such steps. */
const STEP_BYTES = 64 * 1024;
/** Milliseconds between two looks at what other threads have given back, while a read waits for room. */
const LOOK_MS = 10;
/** The count of a thread's row that says how many bytes it holds. */
const BYTES_AT = ROW_COUNTS - 1;

/** What is held of one piece of memory. */
interface Held {
  readonly bytes: number;
  /** Pages taken for it alone; 0: it is small. */
  readonly pages: number;
  /** How many hold it. */
  holders: number;
}

/** Who wants what is read. */
export interface Reader {
  /** Whether nobody will take it any more. */
  readonly gone: boolean;
}

/** Where what is read is counted: among all that is buffered, or in room that was waited for. */
export interface Room extends ValueMemory {
  /** Holds memory that one more needs; false, with nothing held, when there is no room for it. */
  tryHold(memory: ArrayBufferLike): boolean;
  /** The same, until the end of this turn of the event loop. */
  admit(memory: ArrayBufferLike): boolean;
}

interface Waiter {
  readonly pages: number;
  readonly reader: Reader | undefined;
  readonly since: number;
  readonly end: (reservation: Reservation | undefined) => void;
}

export interface BufferLimits {
  /** Bytes that all threads may hold together. */
  readonly maxBufferedBytes: number;
  readonly threads: number;
  /** Reads that may wait for room, in all threads. */
  readonly maxQueuedLoads: number;
}

/**
 * Counts the memory of values and response bodies that no client has taken yet, for this thread and against the budget
 * of the instance. Memory is counted by its backing store, as a view keeps all of it: once, however many hold it.
 *
 * Who finds no room waits for it without holding anything, so that no two ever wait for one another.
 */
export class BufferedBytes implements Room {
  readonly #budget: BufferBudget;
  readonly #counts: Float64Array;
  readonly #memory: InstanceMemory;
  readonly #limits: BufferLimits;
  readonly #clock: Clock;
  readonly #held = new Map<ArrayBufferLike, Held>();
  /** Bytes of small memory that is held, and those taken from the budget for it. */
  #small = 0;
  #granted = 0;
  #waiters: Waiter[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** What is held until the end of this turn of the event loop. */
  #passing: ArrayBufferLike[] = [];

  constructor(memory: InstanceMemory, row: number, limits: BufferLimits, clock: Clock) {
    this.#memory = memory;
    this.#limits = limits;
    this.#clock = clock;
    this.#counts = memory.countsOf(row);
    const idlePages = (2 * STEP_BYTES) / PAGE_BYTES;
    this.#budget = new BufferBudget(memory, row, limits.threads, limits.maxBufferedBytes, idlePages);
  }

  /** Gives back what a thread held that has crashed. */
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

  /** Reads that wait for room, in all threads. */
  get waiting(): number {
    return this.#budget.waiting;
  }

  /** Bytes by which a piece of memory may be counted as more than it is. */
  get roundingBytes(): number {
    return PAGE_BYTES;
  }

  /** Whether there is room for something small. */
  get hasRoom(): boolean {
    return this.#granted > this.#small || this.#budget.hasRoom;
  }

  /** Memory for a value, held until it is {@link pass}ed on; undefined when there is no room for it. */
  allocate(bytes: number, reservation?: Reservation): Buffer | undefined {
    const held = this.#take(bytes, reservation);
    if (held === undefined) return undefined;
    let memory: Buffer;
    try {
      memory = Buffer.allocUnsafeSlow(bytes);
    } catch (error) {
      this.#give(held);
      throw error;
    }
    this.#held.set(memory.buffer, held);
    return memory;
  }

  /** The same whether there is room or not. */
  force(bytes: number): Buffer {
    const memory = Buffer.allocUnsafeSlow(bytes);
    this.hold(memory.buffer);
    return memory;
  }

  /** Holds memory that one more needs; false, with nothing held, when there is no room for it. */
  tryHold(memory: ArrayBufferLike, reservation?: Reservation): boolean {
    const known = this.#held.get(memory);
    if (known !== undefined) {
      known.holders++;
      return true;
    }
    const held = this.#take(memory.byteLength, reservation);
    if (held === undefined) return false;
    this.#held.set(memory, held);
    return true;
  }

  /** Holds memory that cannot be done without, whether there is room or not. */
  hold(memory: ArrayBufferLike): void {
    if (this.tryHold(memory)) return;
    const bytes = memory.byteLength;
    const pages = bytes <= STEP_BYTES ? 0 : pagesFor(bytes);
    if (pages === 0) this.#takeSmall(bytes, true);
    else this.#budget.takeLarge(pages);
    this.#counts[BYTES_AT] += bytes;
    this.#held.set(memory, { bytes, pages, holders: 1 });
  }

  /** Ends one hold of memory. */
  release(memory: ArrayBufferLike): void {
    const held = this.#held.get(memory);
    if (held === undefined || --held.holders > 0) return;
    this.#held.delete(memory);
    this.#give(held);
    if (this.#waiters.length > 0) this.#serve();
  }

  /** As {@link Room.admit}. */
  admit(memory: ArrayBufferLike, reservation?: Reservation): boolean {
    if (!this.tryHold(memory, reservation)) return false;
    this.pass(memory);
    return true;
  }

  /** Ends one hold of memory at the end of this turn of the event loop: until then, others may hold it in their turn. */
  pass(memory: ArrayBufferLike): void {
    if (this.#passing.push(memory) > 1) return;
    setImmediate(() => {
      const passed = this.#passing;
      this.#passing = [];
      for (const each of passed) this.release(each);
    });
  }

  /**
   * Waits for room for so many bytes, first come first served over all threads.
   *
   * @returns undefined when too many wait already, or the reader is gone.
   */
  wait(bytes: number, reader: Reader | undefined): Promise<Reservation | undefined> {
    if (this.waiting >= this.#limits.maxQueuedLoads) return Promise.resolve(undefined);
    const pages = Math.min(pagesFor(bytes), this.#budget.maxPages);
    return new Promise((end) => {
      this.#waiters.push({ pages, reader, since: Math.floor(this.#clock()) | 0, end });
      this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
      this.#serve();
    });
  }

  /** Gives back what is left of a reservation. */
  free(reservation: Reservation): void {
    const { pages } = reservation;
    if (pages === 0) return;
    reservation.pages = 0;
    this.#budget.giveLarge(pages);
    this.#serve();
  }

  #take(bytes: number, reservation: Reservation | undefined): Held | undefined {
    const pages = pagesFor(bytes);
    if (reservation !== undefined && reservation.pages >= pages) {
      reservation.pages -= pages;
    } else if (bytes <= STEP_BYTES) {
      if (!this.#takeSmall(bytes, false)) return undefined;
      this.#counts[BYTES_AT] += bytes;
      return { bytes, pages: 0, holders: 1 };
    } else if (this.#budget.waiting > 0 || !this.#budget.tryTakeLarge(pages)) {
      // Not past those who wait.
      return undefined;
    }
    this.#counts[BYTES_AT] += bytes;
    return { bytes, pages, holders: 1 };
  }

  #takeSmall(bytes: number, always: boolean): boolean {
    const missing = this.#small + bytes - this.#granted;
    if (missing > 0) {
      const step = Math.ceil(missing / STEP_BYTES) * STEP_BYTES;
      if (always) this.#budget.take(step / PAGE_BYTES);
      else if (!this.#budget.tryTake(step / PAGE_BYTES)) return false;
      this.#granted += step;
    }
    this.#small += bytes;
    return true;
  }

  #give({ bytes, pages }: Held): void {
    this.#counts[BYTES_AT] -= bytes;
    if (pages > 0) return this.#budget.giveLarge(pages);
    this.#small -= bytes;
    // One step is kept, or each small value would take one and give it back.
    const spare = Math.floor((this.#granted - this.#small) / STEP_BYTES) * STEP_BYTES - STEP_BYTES;
    if (spare <= 0) return;
    this.#granted -= spare;
    this.#budget.give(spare / PAGE_BYTES);
  }

  #look(): void {
    const gone = this.#waiters.filter(({ reader }) => reader?.gone);
    if (gone.length > 0) {
      this.#waiters = this.#waiters.filter(({ reader }) => !reader?.gone);
      for (const { end } of gone) end(undefined);
    }
    this.#serve();
  }

  /** Gives room to those who wait, in their order, as long as there is enough for the first. */
  #serve(): void {
    for (let first; (first = this.#waiters.at(0)) !== undefined;) {
      this.#budget.noteWaiting(this.#waiters.length, first.since);
      if (!this.#budget.isOldest(first.since) || !this.#budget.tryTakeLarge(first.pages)) return;
      this.#waiters.shift();
      first.end(new Reservation(this, first.pages));
    }
    this.#budget.noteWaiting(0, 0);
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** Room that was waited for: what is read in it is counted there for as long as there is any left. */
export class Reservation implements Room {
  /** What is left of it. */
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
