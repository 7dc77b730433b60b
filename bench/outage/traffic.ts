import { HttpConnection, requestFor } from '../peers/http-connection.ts';
import { mulberry32 } from '../../test/support/random.ts';

const CONNECTIONS = 64;
export const CACHED_KEYS = 1000;
/** Percentage of requests for keys that are not cached. */
const MISSES_PERCENT = 5;

/** Results of the requests that were due in one period. */
export interface Tally {
  /** Milliseconds from the due time of each hit to its response. */
  readonly hitMs: number[];
  readonly missMs: number[];
  /** Milliseconds by which this process was late in sending requests. */
  readonly lateMs: number[];
  /** Number of each kind of response to hits and misses. */
  readonly hits: Map<string, number>;
  readonly misses: Map<string, number>;
  /** Requests that were sent and have no response yet. */
  inFlight: number;
}

/**
 * Sends requests at a fixed rate, independent of the responses (Poisson arrivals): 95 % for cached keys, the others for
 * `cold-0`, `cold-1`, … A request waits while all connections are busy, and its latency counts from its due time. Delays of
 * this process itself are reported separately.
 */
export class Traffic {
  readonly #idle: HttpConnection[];
  readonly #all: readonly HttpConnection[];
  readonly #rate: number;
  readonly #random = mulberry32(5);
  readonly #due: number[] = [];
  readonly #cachedRequests: readonly Buffer[];
  #tally = newTally();
  #nextMs = performance.now();
  #nextCold = 0;
  #stopped = false;
  readonly #ended: Promise<void>;

  constructor(port: number, rate: number) {
    this.#all = Array.from({ length: CONNECTIONS }, () => new HttpConnection(port));
    this.#idle = [...this.#all];
    this.#rate = rate;
    this.#cachedRequests = Array.from({ length: CACHED_KEYS }, (_, i) => requestFor(`/v1/keys/held-${i}`));
    this.#ended = this.#run();
  }

  /** Starts a new period; returns the tally of the previous one, which is completed as responses arrive. */
  next(): Tally {
    const tally = this.#tally;
    this.#tally = newTally();
    return tally;
  }

  /** Ends the period like {@link next} and waits until all its requests have responses. */
  async nextComplete(): Promise<Tally> {
    const tally = this.next();
    while (tally.inFlight > 0) await new Promise(setImmediate);
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
      while (sent < this.#due.length && this.#idle.length > 0) this.#request(this.#due[sent++]);
      if (sent > 0) this.#due.splice(0, sent);
      await new Promise(setImmediate);
    }
  }

  #request(dueMs: number): void {
    // In turn: the proxy closes a connection that sends no first request for ten seconds.
    const connection = this.#idle.shift();
    if (connection === undefined) return;
    const isMiss = this.#random() * 100 < MISSES_PERCENT;
    const request = isMiss
      ? requestFor(`/v1/keys/cold-${this.#nextCold++}`)
      : this.#cachedRequests[Math.floor(this.#random() * CACHED_KEYS)];
    const tally = this.#tally;
    tally.inFlight++;
    connection.request(request, (response) => {
      tally.inFlight--;
      this.#idle.push(connection);
      const waited = response !== undefined && /\r\nretry-after:/i.test(response.head) ? ' Retry-After' : '';
      const name = response === undefined ? 'connection lost' : `${response.status}${waited}`;
      const counts = isMiss ? tally.misses : tally.hits;
      counts.set(name, (counts.get(name) ?? 0) + 1);
      (isMiss ? tally.missMs : tally.hitMs).push(performance.now() - dueMs);
    });
  }
}

function newTally(): Tally {
  return { hitMs: [], missMs: [], lateMs: [], hits: new Map(), misses: new Map(), inFlight: 0 };
}
