import { type InstanceMemory, InstanceWord, RowCount } from './instance-memory.ts';
import { SUPERVISOR_ROW } from './thread-context.ts';

/**
 * `off`: there is no CACHE_WARMUP_FILE. `pending`: the warm-up has not started. `paused`: loads wait, because Redis is not
 * reachable or nothing may be stored. `complete`: every key of the file has been dealt with, or the cache is full. `stopped`: it
 * ended before that.
 */
export const WARMUP_STATES = ['off', 'pending', 'loading', 'paused', 'complete', 'stopped'] as const;
export type WarmupStateName = (typeof WARMUP_STATES)[number];

/**
 * What became of the entries in the file. `loaded`: stored. `cached`: they were cached already. `missing`: they do not exist in
 * Redis. `failed`: Redis did not reply, or with an error, or the value was not stored. `skipped`: clients may not read them, or
 * the query is not known.
 */
export const WARMUP_RESULTS = ['loaded', 'cached', 'missing', 'failed', 'skipped'] as const;
export type WarmupResult = (typeof WARMUP_RESULTS)[number];

const [PENDING, LOADING] = [WARMUP_STATES.indexOf('pending'), WARMUP_STATES.indexOf('loading')];
/** Stored as the number of entries until the file has been read. */
const UNKNOWN = -1;
const ACTIVE: ReadonlySet<WarmupStateName> = new Set(['pending', 'loading', 'paused']);

/** State and counters of the warm-up, which one thread of the instance carries out and every thread can read. */
export class WarmupState {
  readonly #words: Int32Array;
  readonly #counts: Float64Array;

  constructor(memory: InstanceMemory) {
    this.#words = memory.words;
    this.#counts = memory.countsOf(SUPERVISOR_ROW);
  }

  get current(): WarmupStateName {
    return WARMUP_STATES[Atomics.load(this.#words, InstanceWord.WARMUP_STATE)];
  }

  set current(state: WarmupStateName) {
    Atomics.store(this.#words, InstanceWord.WARMUP_STATE, WARMUP_STATES.indexOf(state));
  }

  /** Announces a warm-up before any thread has started. @param waitMs maximum milliseconds that readiness waits for it. */
  announce(waitMs: number): void {
    this.#counts[RowCount.WARMUP_AWAITED] = waitMs === 0 ? 0 : Infinity;
    this.total = UNKNOWN;
    this.current = 'pending';
  }

  /** Starts the announced warm-up in this thread; returns false if a thread has started it before. */
  claim(row: number): boolean {
    const found = Atomics.compareExchange(this.#words, InstanceWord.WARMUP_STATE, PENDING, LOADING);
    if (found !== PENDING) return false;
    Atomics.store(this.#words, InstanceWord.WARMUP_ROW, row);
    return true;
  }

  /** Sets until when readiness waits for the warm-up, by the clock of the instance. */
  set awaitedUntil(time: number) {
    this.#counts[RowCount.WARMUP_AWAITED] = time;
  }

  /** Whether readiness waits for the warm-up. */
  isAwaited(now: number): boolean {
    return ACTIVE.has(this.current) && now < this.#counts[RowCount.WARMUP_AWAITED];
  }

  /** Number of entries in the file; 0 until it is known, or if the file cannot be used. */
  get total(): number {
    return Math.max(0, this.#total);
  }

  set total(entries: number) {
    Atomics.store(this.#words, InstanceWord.WARMUP_TOTAL, entries);
  }

  count(result: WarmupResult, entries = 1): void {
    Atomics.add(this.#words, wordOf(result), entries);
  }

  entries(result: WarmupResult): number {
    return Atomics.load(this.#words, wordOf(result));
  }

  /** Entries of the file that have been dealt with. */
  get done(): number {
    return WARMUP_RESULTS.reduce((sum, result) => sum + this.entries(result), 0);
  }

  /** Entries of the file that will be dealt with; 0 once the warm-up has ended. */
  get remaining(): number {
    return ACTIVE.has(this.current) ? this.total - this.done : 0;
  }

  /** Whether the warm-up has not ended, or ended before it had dealt with the whole of a file that can be used. */
  get isIncomplete(): boolean {
    const { current } = this;
    const isUnfinished = this.#total === UNKNOWN || this.done < this.#total;
    return ACTIVE.has(current) || (current === 'stopped' && isUnfinished);
  }

  /** Ends the warm-up if a crashed thread was carrying it out; returns whether it was. */
  recoverFrom(row: number): boolean {
    const { current } = this;
    const isOwner = Atomics.load(this.#words, InstanceWord.WARMUP_ROW) === row;
    if (!isOwner || (current !== 'loading' && current !== 'paused')) return false;
    this.current = 'stopped';
    return true;
  }

  get #total(): number {
    return Atomics.load(this.#words, InstanceWord.WARMUP_TOTAL);
  }
}

function wordOf(result: WarmupResult): number {
  return InstanceWord.WARMUP_RESULTS + WARMUP_RESULTS.indexOf(result);
}
