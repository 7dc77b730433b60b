import { type CircuitBreaker, isSuccess } from './circuit-breaker.ts';
import type { RedisReply } from '../redis-reply.ts';

/**
 * All commands queued in one event-loop tick; the circuit breaker counts them as a single attempt. Its result is the first
 * success of any part or, if all parts fail, the last failure.
 */
export class CircuitAttempt {
  readonly #circuit: CircuitBreaker;
  readonly #generation: number;
  readonly #receivedBytes: () => number;
  readonly #receivedAtStart: number;
  #pending = 0;
  #succeeded = false;

  /**
   * @param generation generation of the circuit in which the attempt starts.
   * @param receivedBytes returns the number of bytes received on the connection so far.
   */
  constructor(circuit: CircuitBreaker, generation: number, receivedBytes: () => number) {
    this.#circuit = circuit;
    this.#generation = generation;
    this.#receivedBytes = receivedBytes;
    this.#receivedAtStart = receivedBytes();
  }

  /** Adds a part; returns a callback for its reply. A second call reports a reply that arrived after the time-out. */
  add(): (reply: RedisReply) => void {
    let ended = false;
    this.#pending++;
    return (reply) => {
      if (ended) return this.#circuit.recordLateReply();
      ended = true;
      this.#end(reply);
    };
  }

  #end(reply: RedisReply): void {
    this.#pending--;
    if (this.#succeeded || (this.#pending > 0 && !isSuccess(reply))) return;
    this.#succeeded = isSuccess(reply);
    this.#circuit.record(this.#generation, reply, this.#receivedBytes() - this.#receivedAtStart);
  }
}
