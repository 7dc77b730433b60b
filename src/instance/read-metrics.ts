import { type InstanceMemory, RowCount } from './instance-memory.ts';

/** Protocols over which clients read keys. */
export const TRANSPORTS = ['http', 'resp', 'upstash'] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** Listeners; `http` covers node:http and the fast path. */
export const LISTENERS = ['http', 'resp'] as const;
export type Listener = (typeof LISTENERS)[number];

/** How a read of a key ended. */
export const READ_OUTCOMES = [
  'hit',
  'stale',
  'stale-while-revalidate',
  'miss',
  'collapsed',
  'not-found',
  'wrong-type',
  'error-reply',
  'value-too-large',
  'invalid-encoding',
  'timeout',
  'unavailable',
  'overloaded',
  'not-cached',
  'bad-key',
  'unauthorized',
  'not-allowed',
] as const;
export type ReadOutcomeName = (typeof READ_OUTCOMES)[number];

/** What became of a load in the background that was due; `dropped`: loads that requests wait for came first. */
export const REFRESH_RESULTS = ['started', 'dropped'] as const;
export type RefreshResult = (typeof REFRESH_RESULTS)[number];

/** Upper bounds of the buckets of durations, in seconds. */
export const DURATION_BUCKETS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
] as const;

export interface Histogram {
  /** Observations per bucket of {@link DURATION_BUCKETS} (not cumulative), and in the overflow bucket. */
  readonly buckets: readonly number[];
  /** Seconds. */
  readonly sum: number;
}

/** Number of counters of a histogram: its buckets, the overflow bucket, and the sum. */
const HISTOGRAM_COUNTS = DURATION_BUCKETS.length + 2;
const REQUESTS_AT = RowCount.READS;
const LOADS_AT = REQUESTS_AT + TRANSPORTS.length * READ_OUTCOMES.length;
const QUEUE_AT = LOADS_AT + HISTOGRAM_COUNTS;
const LOAD_COUNT_AT = QUEUE_AT + HISTOGRAM_COUNTS;
const LOAD_ERRORS_AT = LOAD_COUNT_AT + 1;
const REFRESHES_AT = LOAD_ERRORS_AT + 1;
const FAILURES_AT = REFRESHES_AT + REFRESH_RESULTS.length;
const COMMANDS_AT = FAILURES_AT + LISTENERS.length;
if (COMMANDS_AT >= RowCount.CLIENT_TRACKING) throw new Error('the counters exceed their part of a row');

/** Counts key reads by transport and outcome. */
export interface ReadCounter {
  countRead(transport: Transport, outcome: ReadOutcomeName, times?: number): void;
}

/** Counters of the requests of one thread; any thread can read the totals of all threads. */
export class ReadMetrics implements ReadCounter {
  readonly #memory: InstanceMemory;
  readonly #own: Float64Array;

  constructor(memory: InstanceMemory, thread: number) {
    this.#memory = memory;
    this.#own = memory.countsOf(thread);
  }

  countRead(transport: Transport, outcome: ReadOutcomeName, times = 1): void {
    this.#own[requestCount(transport, outcome)] += times;
  }

  /** Counts responses that could not be rendered or written because of an error in the proxy. */
  countFailure(listener: Listener, times = 1): void {
    this.#own[FAILURES_AT + LISTENERS.indexOf(listener)] += times;
  }

  /** Counts executed commands of the Redis protocol. */
  countCommands(times: number): void {
    this.#own[COMMANDS_AT] += times;
  }

  /** Counts a started Redis read. */
  countLoad(): void {
    this.#own[LOAD_COUNT_AT]++;
  }

  /** Counts an entry that was due for a load in the background. */
  countRefresh(result: RefreshResult): void {
    this.#own[REFRESHES_AT + REFRESH_RESULTS.indexOf(result)]++;
  }

  /** Counts a failed Redis read. */
  countLoadError(): void {
    this.#own[LOAD_ERRORS_AT]++;
  }

  /** @param ms milliseconds until the reply or the timeout. */
  observeLoad(ms: number): void {
    this.#observe(LOADS_AT, ms / 1000);
  }

  /** @param ms milliseconds that a load was queued. */
  observeQueue(ms: number): void {
    this.#observe(QUEUE_AT, ms / 1000);
  }

  /** Returns the number of key reads of all threads. */
  reads(transport: Transport, outcome: ReadOutcomeName): number {
    return this.#memory.total(requestCount(transport, outcome));
  }

  /** Responses of all threads that could not be rendered or written because of an error in the proxy. */
  failures(listener: Listener): number {
    return this.#memory.total(FAILURES_AT + LISTENERS.indexOf(listener));
  }

  /** Commands of the Redis protocol executed by all threads. */
  get commands(): number {
    return this.#memory.total(COMMANDS_AT);
  }

  /** Redis reads started by all threads. */
  get loads(): number {
    return this.#memory.total(LOAD_COUNT_AT);
  }

  /** Returns the number of entries, of all threads, that were due for a load in the background. */
  refreshes(result: RefreshResult): number {
    return this.#memory.total(REFRESHES_AT + REFRESH_RESULTS.indexOf(result));
  }

  /** Failed Redis reads of all threads. */
  get loadErrors(): number {
    return this.#memory.total(LOAD_ERRORS_AT);
  }

  /** Returns the durations of Redis reads of all threads. */
  loadDurations(): Histogram {
    return this.#histogram(LOADS_AT);
  }

  /** Returns the queueing times of loads of all threads. */
  queueDurations(): Histogram {
    return this.#histogram(QUEUE_AT);
  }

  #observe(at: number, seconds: number): void {
    let bucket = 0;
    while (bucket < DURATION_BUCKETS.length && seconds > DURATION_BUCKETS[bucket]) bucket++;
    this.#own[at + bucket]++;
    this.#own[at + HISTOGRAM_COUNTS - 1] += seconds;
  }

  #histogram(at: number): Histogram {
    const buckets = Array.from({ length: HISTOGRAM_COUNTS - 1 }, (_, bucket) => this.#memory.total(at + bucket));
    return { buckets, sum: this.#memory.total(at + HISTOGRAM_COUNTS - 1) };
  }
}

function requestCount(transport: Transport, outcome: ReadOutcomeName): number {
  return REQUESTS_AT + TRANSPORTS.indexOf(transport) * READ_OUTCOMES.length + READ_OUTCOMES.indexOf(outcome);
}
