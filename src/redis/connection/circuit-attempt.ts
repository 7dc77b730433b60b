import { type CircuitBreaker, isAnswer } from './circuit-breaker.ts';
import type { RedisReply } from '../redis-reply.ts';

/**
 * What is asked of a Redis in one turn of the event loop, which its circuit judges as one: by the first answer to any part
 * of it; or, when all parts have ended without one, by the last of them.
 */
export class CircuitAttempt {
  readonly #circuit: CircuitBreaker;
  readonly #turn: number;
  readonly #receivedBytes: () => number;
  readonly #receivedBefore: number;
  #underWay = 0;
  #answered = false;

  /**
   * @param turn the circuit's turn in which it is asked.
   * @param receivedBytes returns how many bytes the connection has received so far.
   */
  constructor(circuit: CircuitBreaker, turn: number, receivedBytes: () => number) {
    this.#circuit = circuit;
    this.#turn = turn;
    this.#receivedBytes = receivedBytes;
    this.#receivedBefore = receivedBytes();
  }

  /** Adds a part; answers how its end is told. What is told once more is an answer that came after its end. */
  add(): (reply: RedisReply) => void {
    let ended = false;
    this.#underWay++;
    return (reply) => {
      if (ended) return this.#circuit.endLate();
      ended = true;
      this.#end(reply);
    };
  }

  #end(reply: RedisReply): void {
    this.#underWay--;
    if (this.#answered || (this.#underWay > 0 && !isAnswer(reply))) return;
    this.#answered = isAnswer(reply);
    this.#circuit.end(this.#turn, reply, this.#receivedBytes() - this.#receivedBefore);
  }
}
