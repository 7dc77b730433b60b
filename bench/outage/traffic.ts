import { HttpConnection, requestFor } from '../peers/http-connection.ts';
import { mulberry32 } from '../random.ts';

const CONNECTIONS = 64;
export const HELD_KEYS = 1000;
/** Of a hundred requests, those for keys that are not held. */
const MISSES_PERCENT = 5;

/** What came of the requests that were due in one period. */
export interface Tally {
  /** Milliseconds from when each hit was to be sent to its answer. */
  readonly hitMs: number[];
  readonly missMs: number[];
  /** Milliseconds by which requests were to be sent after they were due, as this process was kept from running. */
  readonly lateMs: number[];
  /** How often hits and misses were answered what. */
  readonly hits: Map<string, number>;
  readonly misses: Map<string, number>;
  /** Requests that were sent and have no response yet. */
  unanswered: number;
}

/**
 * Requests of a fixed rate, whatever becomes of them (Poisson arrivals): 95 % for keys that are held, the others for one
 * after the other of `cold-0`, `cold-1`, … One that finds all connections busy waits for one, and its time counts from
 * when it came. What this process itself was late is told apart, as it says nothing of the proxy.
 */
export class Traffic {
  readonly #idle: HttpConnection[];
  readonly #all: readonly HttpConnection[];
  readonly #rate: number;
  readonly #random = mulberry32(5);
  readonly #due: number[] = [];
  readonly #held: readonly Buffer[];
  #tally = newTally();
  #nextMs = performance.now();
  #nextCold = 0;
  #stopped = false;
  readonly #ended: Promise<void>;

  constructor(port: number, rate: number) {
    this.#all = Array.from({ length: CONNECTIONS }, () => new HttpConnection(port));
    this.#idle = [...this.#all];
    this.#rate = rate;
    this.#held = Array.from({ length: HELD_KEYS }, (_, i) => requestFor(`/v1/keys/held-${i}`));
    this.#ended = this.#run();
  }

  /** Begins a new period; answers the tally of the last one, which is filled as its requests are answered. */
  next(): Tally {
    const tally = this.#tally;
    this.#tally = newTally();
    return tally;
  }

  /** Ends the period like {@link next} and waits until all its requests have responses. */
  async nextComplete(): Promise<Tally> {
    const tally = this.next();
    while (tally.unanswered > 0) await new Promise(setImmediate);
    return tally;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#ended;
    for (const connection of this.#all) connection.close();
  }

  async #run(): Promise<void> {
    while (!this.#stopped || this.#idle.length < CONNECTIONS) {
      const now = performance.now();
      for (
        ;
        !this.#stopped && this.#nextMs <= now;
        this.#nextMs += (-Math.log(1 - this.#random()) * 1000) / this.#rate
      ) {
        this.#due.push(now);
        this.#tally.lateMs.push(now - this.#nextMs);
      }
      let sent = 0;
      while (sent < this.#due.length && this.#idle.length > 0) this.#ask(this.#due[sent++]);
      if (sent > 0) this.#due.splice(0, sent);
      await new Promise(setImmediate);
    }
  }

  #ask(dueMs: number): void {
    const connection = this.#idle.pop();
    if (connection === undefined) return;
    const isMiss = this.#random() * 100 < MISSES_PERCENT;
    const request = isMiss
      ? requestFor(`/v1/keys/cold-${this.#nextCold++}`)
      : this.#held[Math.floor(this.#random() * HELD_KEYS)];
    const tally = this.#tally;
    tally.unanswered++;
    connection.ask(request, (answer) => {
      tally.unanswered--;
      this.#idle.push(connection);
      const waited = answer !== undefined && /\r\nretry-after:/i.test(answer.head) ? ' Retry-After' : '';
      const name = answer === undefined ? 'connection lost' : `${answer.status}${waited}`;
      const counts = isMiss ? tally.misses : tally.hits;
      counts.set(name, (counts.get(name) ?? 0) + 1);
      (isMiss ? tally.missMs : tally.hitMs).push(performance.now() - dueMs);
    });
  }
}

function newTally(): Tally {
  return { hitMs: [], missMs: [], lateMs: [], hits: new Map(), misses: new Map(), unanswered: 0 };
}
