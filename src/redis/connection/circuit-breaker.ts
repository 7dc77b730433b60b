import { performance } from 'node:perf_hooks';
import type { RedisReply } from '../redis-reply.ts';

/** `open`: nothing is asked. `half-open`: one probe is under way, and nothing else is asked. */
export type CircuitState = 'closed' | 'open' | 'half-open';

/** Is told each state; `reason` says why it is open: `timeout`, or the word of Redis' error. */
export type WatchCircuit = (state: CircuitState, reason: string) => void;

/** Does something after so many milliseconds; answers how to have it left. */
export type Later = (run: () => void, ms: number) => () => void;

/** What a reply says of a Redis: that it is well, that it is not, or nothing, as the connection was lost. */
type Verdict = 'answered' | 'unanswered' | 'lost';

/** Whether Redis is well. It is when it refuses this one read. */
export function isAnswer(reply: RedisReply): boolean {
  return verdictOn(reply, 0) === 'answered';
}

function verdictOn(reply: RedisReply, receivedBytes: number): Verdict {
  switch (reply.kind) {
    case 'value':
    case 'missing':
    case 'wrong-type':
    case 'value-too-large':
    case 'no-room':
      return 'answered';
    case 'timeout':
      return receivedBytes < BUSY_BYTES ? 'unanswered' : 'answered';
    case 'unavailable':
      if (reply.refusal === undefined) return 'lost';
      return reply.refusal === 'this' ? 'answered' : 'unanswered';
  }
}

/** Told apart from any turn that {@link CircuitBreaker.enter} gives. */
export const REFUSED = 0;

/** One that fails may be due to what it asked for; three in a row, with no answer between them, are not. */
const FAILURES_TO_OPEN = 3;
/**
 * Bytes. A connection that has received as many during an attempt is busy with large values, and the reply to the attempt is
 * queued behind them. The few bytes of late replies do not suffice: a Redis that replies too late each time is unresponsive.
 */
const BUSY_BYTES = 2 ** 20;
/** Well under a second, within which the proxy is to be back once Redis is. */
const OPEN_MS = 250;

/** A timer that does not keep the process alive. */
const unheldTimer: Later = (run, ms) => {
  const timer = setTimeout(run, ms).unref();
  return () => clearTimeout(timer);
};

/**
 * Spares a Redis that does not answer, and those who ask for what only it knows: after some failures in a row nothing is
 * asked for a while, then one probe alone decides whether it goes on. The probe is what somebody asks for then, or, when
 * nobody does, a read that is sent for this alone: else a Redis that is well again would be taken for one that is not for as
 * long as there are only hits.
 *
 * Each change of state begins a new turn, and what ends in another turn than it began in says nothing bad of this one:
 * what was asked before the circuit opened may fail as late as after it has closed.
 */
export class CircuitBreaker {
  readonly #probe: () => void;
  readonly #now: () => number;
  readonly #later: Later;
  #state: CircuitState = 'closed';
  #turn = REFUSED + 1;
  #failures = 0;
  #openUntil = 0;
  #reason = '';
  #watch: WatchCircuit = () => undefined;
  #cancelProbe: () => void = () => undefined;

  /**
   * @param probe asks something, as everybody does: it enters, and tells the end.
   * @param now monotonic, in milliseconds.
   */
  constructor(probe: () => void, now: () => number = () => performance.now(), later: Later = unheldTimer) {
    this.#probe = probe;
    this.#now = now;
    this.#later = later;
  }

  get state(): CircuitState {
    return this.#state;
  }

  /** Tells `watch` of each change of the state from now on, and of the state it is in. */
  watch(watch: WatchCircuit): void {
    this.#watch = watch;
    watch(this.#state, this.#reason);
  }

  /** The turn in which something may be asked, whose end is to be told with it; or {@link REFUSED}. */
  enter(): number {
    if (this.#state === 'closed') return this.#turn;
    if (this.#state === 'half-open' || this.#now() < this.#openUntil) return REFUSED;
    this.#change('half-open');
    return this.#turn;
  }

  /**
   * Records the result of an attempt: success, failure, or ignored because the connection was lost. A time-out is a failure
   * unless the connection was busy with large values: then Redis is responsive, and the queue of replies is long.
   *
   * @param receivedBytes bytes that the connection has received since the attempt began.
   */
  end(turn: number, reply: RedisReply, receivedBytes: number): void {
    const verdict = verdictOn(reply, receivedBytes);
    if (verdict === 'answered') this.close();
    else if (turn === this.#turn) this.#fail(verdict, reply.kind === 'unavailable' ? reply.reason : reply.kind);
  }

  /**
   * Tells that what has timed out is answered after all. Redis is alive, but it may be too late each time: so that has the
   * probe sent at once, and makes up for no failure.
   */
  endLate(): void {
    if (this.#state === 'open') this.#sendProbe();
  }

  /** What is known of an earlier connection says nothing of the next one. */
  close(): void {
    this.#failures = 0;
    if (this.#state !== 'closed') this.#change('closed');
  }

  #fail(verdict: Verdict, reason: string): void {
    // A lost connection is known without asking, and is made anew at a pace of its own.
    if (this.#state === 'closed' && (verdict === 'lost' || ++this.#failures < FAILURES_TO_OPEN)) return;
    this.#openUntil = this.#now() + OPEN_MS;
    this.#reason = reason;
    this.#change('open');
  }

  #sendProbe(): void {
    // A timer may be early by this clock.
    this.#openUntil = 0;
    this.#probe();
  }

  #change(state: CircuitState): void {
    this.#cancelProbe();
    this.#cancelProbe = state === 'open' ? this.#later(() => this.#sendProbe(), OPEN_MS) : () => undefined;
    this.#state = state;
    this.#turn++;
    this.#watch(state, this.#reason);
  }
}
