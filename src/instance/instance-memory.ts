import { randomFillSync } from 'node:crypto';
import { INTERNAL_PARTS, type InternalPartName } from '../internals/internal-part.ts';
import type { CircuitState } from '../redis/connection/circuit-breaker.ts';

/**
 * Memory that the threads of one instance share beside the cache: loads, connections, and the counters of each thread. The
 * row of a crashed thread remains, so that its permits, connections and memory can be released.
 *
 * ```
 *   header  lock │ loads in flight, queued loads │ connections │ next row of the round robin │ restarts │ coherence
 *   row 0   permits, queued loads │ connections │ Redis, circuit │ self-check ║ counts of thread 0, 64-bit floats
 *   row 1   …
 *   keys of the session tickets of each TLS listener
 * ```
 */

/** Indices of 32-bit words in the header. The first two belong to {@link SharedLock}. */
export const InstanceWord = {
  LOADS: 16,
  WAITING_LOADS: 17,
  NEXT_ROW: 18,
  CONNECTIONS: 32,
  RESTARTS: 33,
  CONNECTION_IDS: 34,
  OPS_CONNECTIONS: 35,
  /** Index into {@link WARMUP_STATES}, the row of the thread that carries the warm-up out, entries of the file, and results. */
  WARMUP_STATE: 36,
  WARMUP_ROW: 37,
  WARMUP_TOTAL: 38,
  WARMUP_RESULTS: 39,
  LOGIN_FAILURES: 44,
  /** Index into {@link COHERENCE_STATES}; on a separate cache line, because all threads read it and it rarely changes. */
  COHERENCE: 48,
} as const;

/** Indices of 32-bit words in a row. */
export const RowWord = {
  /** Load permits held by this thread. */
  PERMITS_HELD: 0,
  /** Loads of this thread that wait for a permit. */
  QUEUED_LOADS: 1,
  /** Permits granted to this thread that it has not claimed yet. */
  PERMITS_GRANTED: 2,
  CONNECTIONS: 3,
  REDIS_READY: 4,
  /** Index into {@link CIRCUIT_STATES}. */
  CIRCUIT: 5,
  /** Pages of buffered bytes reserved by this thread, and the part of them for large values: see `BufferBudget`. */
  BUFFERED: 6,
  BUFFERED_LARGE: 7,
  /** Reads of this thread that wait for memory, and the time in milliseconds since when the first one waits. */
  WAITING_FOR_ROOM: 8,
  WAITING_SINCE: 9,
  /** Bit set of the {@link INTERNAL_PARTS} that this thread uses. */
  INTERNALS: 10,
  /** Bit set of the {@link SELF_CHECK_PARTS} whose last check in this thread failed. */
  SELF_CHECK: 11,
  /** Clients of this thread that track keys (CLIENT TRACKING). */
  TRACKING_CLIENTS: 12,
  /** Bytes of the invalidations from the main thread that this thread has processed; wraps around. */
  INVALIDATIONS_PROCESSED: 13,
  OPS_CONNECTIONS: 14,
} as const;

/** States of a thread's circuit breaker, in the order of their numbers in {@link RowWord.CIRCUIT}. */
export const CIRCUIT_STATES = ['closed', 'half-open', 'open'] as const satisfies readonly CircuitState[];

/** Parts of a thread that are self-checked by reading a key, in the order of their bits. */
export const SELF_CHECK_PARTS = ['fast-path', 'redis-protocol'] as const;
export type SelfCheckPart = (typeof SELF_CHECK_PARTS)[number];

/** Number of rows: one per worker thread, and the last one for the supervisor. */
export const ROWS = 256;

const HEADER_WORDS = 64;
const ROW_WORDS = 16;
/** Number of counters per thread. */
const ROW_COUNTS = 144;
/** Index of the first counter of each kind in the row of a thread, and in that of the supervisor. */
export const RowCount = {
  /** `ReadMetrics`. */
  READS: 0,
  /** `ClientTrackingCounts`, 2 counters. */
  CLIENT_TRACKING: 112,
  /** `CoherenceCounts`, 8 counters. */
  COHERENCE: 114,
  /** `BufferedBytes`, 1 counter. */
  HELD_BYTES: 122,
  /** `ReadSourceCounts`, 5 counters. */
  READ_SOURCES: 123,
  /** `HandshakeCounts`, 10 counters. */
  TLS_HANDSHAKES: 128,
  /** `WarmupState`, 1 counter. */
  WARMUP_AWAITED: 138,
  /** `ReadSourceCounts`, 2 counters. */
  READ_SOURCE_LOADS: 139,
} as const;

const COUNTS_AT = (HEADER_WORDS + ROWS * ROW_WORDS) * 4;
/** Number of counters shared by all threads, for rare events. */
export const SHARED_COUNTS = 1024;
const SHARED_COUNTS_AT = COUNTS_AT + ROWS * ROW_COUNTS * 8;
/** Length of the keys of a listener, as OpenSSL has them. */
const TICKET_KEY_BYTES = 48;
/** Listeners that may use TLS. */
export const TLS_LISTENERS = ['http', 'resp'] as const;
export type TlsListener = (typeof TLS_LISTENERS)[number];
const TICKET_KEYS_AT = SHARED_COUNTS_AT + SHARED_COUNTS * 8;
/** Words for the contexts of loads that are traced: 1,024 of them. */
const LOAD_CONTEXT_WORDS = 8192;
const LOAD_CONTEXTS_AT = TICKET_KEYS_AT + TLS_LISTENERS.length * TICKET_KEY_BYTES;
const TOTAL_BYTES = LOAD_CONTEXTS_AT + LOAD_CONTEXT_WORDS * 4;

export class InstanceMemory {
  readonly buffer: SharedArrayBuffer;
  readonly words: Int32Array;
  /** Counters that any thread updates, with `Atomics`. */
  readonly sharedCounts: BigUint64Array;
  /** Memory of the tracer, not resident unless traces are exported. */
  readonly loadContexts: Int32Array;
  readonly #counts: Float64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.words = new Int32Array(buffer, 0, COUNTS_AT / 4);
    this.#counts = new Float64Array(buffer, COUNTS_AT, ROWS * ROW_COUNTS);
    this.sharedCounts = new BigUint64Array(buffer, SHARED_COUNTS_AT, SHARED_COUNTS);
    this.loadContexts = new Int32Array(buffer, LOAD_CONTEXTS_AT, LOAD_CONTEXT_WORDS);
  }

  static create(): InstanceMemory {
    const memory = new InstanceMemory(new SharedArrayBuffer(TOTAL_BYTES));
    memory.renewTicketKeys();
    return memory;
  }

  /** Returns the index in {@link words} of a word of a thread's row. */
  static word(thread: number, word: number): number {
    return HEADER_WORDS + thread * ROW_WORDS + word;
  }

  /** Replaces the keys of session tickets: sessions that have begun before are not resumed. */
  renewTicketKeys(): void {
    for (const listener of TLS_LISTENERS) randomFillSync(this.ticketKeys(listener));
  }

  /** Returns the keys that encrypt the session tickets of a listener, 48 bytes. */
  ticketKeys(listener: TlsListener): Uint8Array {
    return new Uint8Array(
      this.buffer,
      TICKET_KEYS_AT + TLS_LISTENERS.indexOf(listener) * TICKET_KEY_BYTES,
      TICKET_KEY_BYTES,
    );
  }

  /** Publishes whether a thread is connected to Redis. */
  noteRedis(thread: number, reachable: boolean): void {
    Atomics.store(this.words, InstanceMemory.word(thread, RowWord.REDIS_READY), reachable ? 1 : 0);
  }

  /** Publishes the state of a thread's circuit breaker. */
  noteCircuit(thread: number, state: CircuitState): void {
    Atomics.store(this.words, InstanceMemory.word(thread, RowWord.CIRCUIT), CIRCUIT_STATES.indexOf(state));
  }

  /** Publishes which private parts of Node.js and ioredis a thread uses. */
  noteInternals(thread: number, inUse: readonly InternalPartName[]): void {
    const bits = inUse.reduce((set, name) => set | (1 << INTERNAL_PARTS.indexOf(name)), 0);
    Atomics.store(this.words, InstanceMemory.word(thread, RowWord.INTERNALS), bits);
  }

  /** Publishes whether a thread passed its last self-check of a part. */
  noteSelfCheck(thread: number, part: SelfCheckPart, passed: boolean): void {
    const word = InstanceMemory.word(thread, RowWord.SELF_CHECK);
    const bit = 1 << SELF_CHECK_PARTS.indexOf(part);
    if (passed) Atomics.and(this.words, word, ~bit);
    else Atomics.or(this.words, word, bit);
  }

  /** Counts the restart of a crashed thread. */
  countRestart(): void {
    Atomics.add(this.words, InstanceWord.RESTARTS, 1);
  }

  /** Counts credentials that Redis or a sentinel rejected. */
  countLoginFailure(): void {
    Atomics.add(this.words, InstanceWord.LOGIN_FAILURES, 1);
  }

  /** Returns the counters of one thread, which only that thread writes. */
  countsOf(thread: number): Float64Array {
    return this.#counts.subarray(thread * ROW_COUNTS, (thread + 1) * ROW_COUNTS);
  }

  /** Returns the sum of a word over the rows of all threads. */
  sum(word: number): number {
    let sum = 0;
    for (let thread = 0; thread < ROWS; thread++) sum += Atomics.load(this.words, InstanceMemory.word(thread, word));
    return sum;
  }

  /** Returns the sum of a counter over all threads. */
  total(count: number): number {
    let sum = 0;
    for (let thread = 0; thread < ROWS; thread++) sum += this.#counts[thread * ROW_COUNTS + count];
    return sum;
  }
}
