import { INTERNAL_PARTS, type InternalPartName } from '../internals/internal-part.ts';
import type { CircuitState } from '../redis/connection/circuit-breaker.ts';

/**
 * What the threads of one instance share beside the cache: how many loads and connections there are, and what each
 * thread has counted. A thread that dies leaves its row behind, so that what it held can be given back.
 *
 * ```
 *   header  lock │ loads in flight, loads waiting │ connections │ next row to be served │ restarts │ coherence
 *   row 0   held, waiting, granted │ connections │ Redis, circuit │ self-check ║ counts of thread 0, 64-bit floats
 *   row 1   …
 * ```
 */

/** Indices of 32-bit words in the header. The first two are those of {@link SharedLock}. */
export const InstanceWord = {
  LOADS: 16,
  WAITING_LOADS: 17,
  NEXT_ROW: 18,
  CONNECTIONS: 32,
  RESTARTS: 33,
  CONNECTION_IDS: 34,
  /** Index of {@link COHERENCE_STATES}; has a cache line of its own, as all threads read it and one seldom writes it. */
  COHERENCE: 48,
} as const;

/** Indices of 32-bit words in a row. */
export const RowWord = {
  /** Loads of this thread in flight. */
  HELD: 0,
  /** Loads of this thread that wait for a place. */
  WAITING: 1,
  /** Places given to this thread that it has not taken yet. */
  GRANTED: 2,
  CONNECTIONS: 3,
  REDIS_READY: 4,
  /** Index of {@link CIRCUIT_STATES}. */
  CIRCUIT: 5,
  /** Pages of buffered bytes of this thread, and those of them that large values have: see `BufferBudget`. */
  BUFFERED: 6,
  BUFFERED_LARGE: 7,
  /** Reads of this thread that wait for room among the buffered bytes, and the millisecond since when the first does. */
  WAITING_FOR_ROOM: 8,
  WAITING_SINCE: 9,
  /** A bit for each of {@link INTERNAL_PARTS} that this thread uses. */
  INTERNALS: 10,
  /** A bit for each of {@link SELF_CHECK_PARTS} whose last check in this thread has failed. */
  SELF_CHECK: 11,
} as const;

/** States of a thread's circuit to Redis, by their numbers in {@link RowWord.CIRCUIT}. */
export const CIRCUIT_STATES = ['closed', 'half-open', 'open'] as const satisfies readonly CircuitState[];

/** The parts of a thread that check themselves by reading a key, in the order of their bits. */
export const SELF_CHECK_PARTS = ['fast-path', 'redis-protocol'] as const;
export type SelfCheckPart = (typeof SELF_CHECK_PARTS)[number];

/** Rows: one for each thread there can be, and the last one for the supervisor. */
export const ROWS = 256;

const HEADER_WORDS = 64;
const ROW_WORDS = 16;
/** Counts of one thread. */
export const ROW_COUNTS = 128;

const COUNTS_AT = (HEADER_WORDS + ROWS * ROW_WORDS) * 4;
/** Counters of all threads together, for events that are rare. */
export const SHARED_COUNTS = 1024;
const SHARED_COUNTS_AT = COUNTS_AT + ROWS * ROW_COUNTS * 8;

export class InstanceMemory {
  readonly buffer: SharedArrayBuffer;
  readonly words: Int32Array;
  /** Written by any thread, with Atomics. */
  readonly sharedCounts: BigUint64Array;
  readonly #counts: Float64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.words = new Int32Array(buffer, 0, COUNTS_AT / 4);
    this.#counts = new Float64Array(buffer, COUNTS_AT, ROWS * ROW_COUNTS);
    this.sharedCounts = new BigUint64Array(buffer, SHARED_COUNTS_AT);
  }

  static create(): InstanceMemory {
    return new InstanceMemory(new SharedArrayBuffer(SHARED_COUNTS_AT + SHARED_COUNTS * 8));
  }

  /** The index in {@link words} of a word of a thread's row. */
  static word(thread: number, word: number): number {
    return HEADER_WORDS + thread * ROW_WORDS + word;
  }

  /** Notes whether a thread has its connection to Redis. */
  noteRedis(thread: number, reachable: boolean): void {
    Atomics.store(this.words, InstanceMemory.word(thread, RowWord.REDIS_READY), reachable ? 1 : 0);
  }

  /** Notes the state of a thread's circuit to Redis. */
  noteCircuit(thread: number, state: CircuitState): void {
    Atomics.store(this.words, InstanceMemory.word(thread, RowWord.CIRCUIT), CIRCUIT_STATES.indexOf(state));
  }

  /** Notes which private parts of Node.js and ioredis a thread uses. */
  noteInternals(thread: number, inUse: readonly InternalPartName[]): void {
    const bits = inUse.reduce((set, name) => set | (1 << INTERNAL_PARTS.indexOf(name)), 0);
    Atomics.store(this.words, InstanceMemory.word(thread, RowWord.INTERNALS), bits);
  }

  /** Notes whether a thread has passed its last check of a part. */
  noteSelfCheck(thread: number, part: SelfCheckPart, passed: boolean): void {
    const word = InstanceMemory.word(thread, RowWord.SELF_CHECK);
    const bit = 1 << SELF_CHECK_PARTS.indexOf(part);
    if (passed) Atomics.and(this.words, word, ~bit);
    else Atomics.or(this.words, word, bit);
  }

  /** Notes that a thread is started in place of one that has died. */
  countRestart(): void {
    Atomics.add(this.words, InstanceWord.RESTARTS, 1);
  }

  /** What one thread has counted; written by that thread alone. */
  countsOf(thread: number): Float64Array {
    return this.#counts.subarray(thread * ROW_COUNTS, (thread + 1) * ROW_COUNTS);
  }

  /** A word of the rows of all threads, added up. */
  sum(word: number): number {
    let sum = 0;
    for (let thread = 0; thread < ROWS; thread++) sum += Atomics.load(this.words, InstanceMemory.word(thread, word));
    return sum;
  }

  /** A count of all threads, added up. */
  total(count: number): number {
    let sum = 0;
    for (let thread = 0; thread < ROWS; thread++) sum += this.#counts[thread * ROW_COUNTS + count];
    return sum;
  }
}
