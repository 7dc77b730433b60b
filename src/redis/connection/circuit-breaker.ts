import { performance } from 'node:perf_hooks';
import type { RedisReply } from '../redis-reply.ts';

/** `open`: all reads fail fast. `half-open`: one probe is in flight, and all other reads fail fast. */
export type CircuitState = 'closed' | 'open' | 'half-open';

/** Called with each new state; `reason` is why the circuit opened: `timeout`, or the error code of Redis. */
export type WatchCircuit = (state: CircuitState, reason: string) => void;

/** Schedules `run` after `ms` milliseconds; returns a function that cancels it. */
export type Schedule = (run: () => void, ms: number) => () => void;

/** How a reply counts: success, failure, or ignored because the connection was lost. */
type Outcome = 'success' | 'failure' | 'ignored';

/** Whether a reply shows that Redis is responsive; errors that concern one command do. */
export function isSuccess(reply: RedisReply): boolean {
  return classify(reply, 0) === 'success';
}

function classify(reply: RedisReply, receivedBytes: number): Outcome {
  switch (reply.kind) {
    case 'value':
    case 'missing':
    case 'wrong-type':
    case 'error-reply':
    case 'value-too-large':
    case 'buffer-full':
      return 'success';
    case 'timeout':
      return receivedBytes < BUSY_BYTES ? 'failure' : 'success';
    case 'unavailable':
      if (reply.scope === undefined) return 'ignored';
      return reply.scope === 'command' ? 'success' : 'failure';
  }
}

/** Returned by {@link CircuitBreaker.tryAcquire} in place of a generation while the circuit is open. */
export const REFUSED = 0;

/** Consecutive failures that open the circuit; a single one may be due to its command. */
const FAILURES_TO_OPEN = 3;
/**
 * Bytes. A connection that has received as many during an attempt is busy with large values, and the reply to the attempt is
 * queued behind them. The few bytes of late replies do not suffice: a Redis that replies too late each time is unresponsive.
 */
const BUSY_BYTES = 2 ** 20;
/** Milliseconds that the circuit stays open before a probe, so that the proxy recovers within a second of Redis. */
const OPEN_MS = 250;

/** A timer that does not keep the process alive. */
const unrefTimer: Schedule = (run, ms) => {
  const timer = setTimeout(run, ms).unref();
  return () => clearTimeout(timer);
};

/**
 * Fails fast while Redis is unresponsive. After FAILURES_TO_OPEN consecutive failures the circuit opens; after OPEN_MS one
 * probe decides whether it closes. The probe is the next attempt or, if there is none, a synthetic read: otherwise the
 * circuit would stay open while all requests are hits.
 *
 * Each change of state starts a new generation. Failures of attempts from an earlier generation are ignored: an attempt that
 * was sent before the circuit opened may fail after it has closed.
 */
export class CircuitBreaker {
  readonly #probe: () => void;
  readonly #now: () => number;
  readonly #schedule: Schedule;
  #state: CircuitState = 'closed';
  #generation = REFUSED + 1;
  #failures = 0;
  #openUntil = 0;
  #reason = '';
  #watch: WatchCircuit = () => undefined;
  #cancelProbe: () => void = () => undefined;

  /**
   * @param probe sends a synthetic read, which acquires and records like any other attempt.
   * @param now returns monotonic milliseconds.
   */
  constructor(probe: () => void, now: () => number = () => performance.now(), schedule: Schedule = unrefTimer) {
    this.#probe = probe;
    this.#now = now;
    this.#schedule = schedule;
  }

  get state(): CircuitState {
    return this.#state;
  }

  /** Calls `watch` with the current state and with each later one. */
  watch(watch: WatchCircuit): void {
    this.#watch = watch;
    watch(this.#state, this.#reason);
  }

  /** Returns the generation of a permitted attempt, which must be passed to {@link record}; {@link REFUSED} if open. */
  tryAcquire(): number {
    if (this.#state === 'closed') return this.#generation;
    if (this.#state === 'half-open' || this.#now() < this.#openUntil) return REFUSED;
    this.#change('half-open');
    return this.#generation;
  }

  /**
   * Records the result of an attempt: success, failure, or ignored because the connection was lost. A time-out is a failure
   * unless the connection was busy with large values: then Redis is responsive, and the queue of replies is long.
   *
   * @param receivedBytes bytes that the connection has received since the attempt began.
   */
  record(generation: number, reply: RedisReply, receivedBytes: number): void {
    const outcome = classify(reply, receivedBytes);
    if (outcome === 'success') this.close();
    else if (generation === this.#generation)
      this.#fail(outcome, reply.kind === 'unavailable' ? reply.reason : reply.kind);
  }

  /**
   * Records a reply that arrived after its time-out. Redis is alive, but may be too slow each time: the probe is sent at
   * once, and no failure is cleared.
   */
  recordLateReply(): void {
    if (this.#state === 'open') this.#sendProbe();
  }

  /** Closes the circuit, also when the connection is lost: its failures do not apply to the next connection. */
  close(): void {
    this.#failures = 0;
    if (this.#state !== 'closed') this.#change('closed');
  }

  #fail(outcome: Outcome, reason: string): void {
    // A lost connection is detected without a request and reconnects with its own back-off.
    if (this.#state === 'closed' && (outcome === 'ignored' || ++this.#failures < FAILURES_TO_OPEN)) return;
    this.#openUntil = this.#now() + OPEN_MS;
    this.#reason = reason;
    this.#change('open');
  }

  #sendProbe(): void {
    // The timer may fire early by this clock.
    this.#openUntil = 0;
    this.#probe();
  }

  #change(state: CircuitState): void {
    this.#cancelProbe();
    this.#cancelProbe = state === 'open' ? this.#schedule(() => this.#sendProbe(), OPEN_MS) : () => undefined;
    this.#state = state;
    this.#generation++;
    this.#watch(state, this.#reason);
  }
}
