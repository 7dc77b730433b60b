import { HttpConnection, requestFor } from '../peers/http-connection.ts';
import { Popularity } from '../fleet/popularity.ts';
import { mulberry32 } from '../../test/support/random.ts';

const CONNECTIONS = 24;
/** Milliseconds between two readiness probes of a backend. */
const PROBE_MS = 100;

/** Responses of a period. */
export interface Tally {
  /** Milliseconds from the due time of each request to its response. */
  readonly ms: number[];
  /** Requests without a response, and responses other than 200, by status. */
  readonly failures: Map<string, number>;
}

/** An instance, as a load balancer knows it. It gets no requests from the first `Connection: close` on, until it is ready again. */
class Backend {
  readonly port: number;
  readonly idle: HttpConnection[] = [];
  isReady = false;
  readonly #connections: HttpConnection[] = [];
  #isRemoved = false;

  constructor(port: number) {
    this.port = port;
    void this.#probe();
  }

  /** Ends all connections; requests in flight must have been answered. */
  remove(): void {
    this.#isRemoved = true;
    this.isReady = false;
    for (const connection of this.#connections) connection.close();
  }

  async #probe(): Promise<void> {
    while (!this.#isRemoved) {
      const response = await fetch(`http://127.0.0.1:${this.port}/health/ready`).catch(() => undefined);
      await response?.arrayBuffer();
      const isReady = response?.status === 200 && !this.#isRemoved;
      if (isReady && !this.isReady) this.#open();
      this.isReady = isReady;
      await new Promise((resolve) => setTimeout(resolve, PROBE_MS));
    }
  }

  #open(): void {
    while (this.idle.length < CONNECTIONS) {
      const connection = new HttpConnection(this.port);
      this.#connections.push(connection);
      this.idle.push(connection);
    }
  }
}

/**
 * A front end and its clients: sends requests for popular keys (Zipf) at a fixed rate, independent of the responses (Poisson
 * arrivals), to the backends that are ready, in turn.
 */
export class FrontEnd {
  readonly #backends: Backend[] = [];
  readonly #requests: readonly Buffer[];
  readonly #popularity: Popularity;
  readonly #random = mulberry32(11);
  readonly #rate: number;
  readonly #due: number[] = [];
  #tally = newTally();
  #nextMs = 0;
  #turn = 0;
  #inFlight = 0;
  #stopped = false;
  #ended: Promise<void> | undefined;

  /** @param exponent that of the Zipf distribution of keys. */
  constructor(keys: readonly string[], exponent: number, rate: number) {
    this.#requests = keys.map((key) => requestFor(`/v1/keys/${key}`));
    this.#popularity = new Popularity(keys.length, exponent);
    this.#rate = rate;
  }

  /** Adds an instance, which gets requests once it is ready; resolves then. */
  async add(url: string): Promise<void> {
    const backend = new Backend(Number(new URL(url).port));
    this.#backends.push(backend);
    while (!backend.isReady) await new Promise((resolve) => setTimeout(resolve, PROBE_MS / 10));
  }

  /** Removes an instance that has exited. */
  remove(url: string): void {
    const at = this.#backends.findIndex(({ port }) => port === Number(new URL(url).port));
    for (const backend of this.#backends.splice(at, 1)) backend.remove();
  }

  start(): void {
    this.#nextMs = performance.now();
    this.#ended = this.#run();
  }

  /** Starts a new period; returns the tally of the previous one. */
  next(): Tally {
    const tally = this.#tally;
    this.#tally = newTally();
    return tally;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#ended;
    for (const backend of this.#backends.splice(0)) backend.remove();
  }

  async #run(): Promise<void> {
    while (!this.#stopped || this.#inFlight > 0) {
      const now = performance.now();
      for (
        ;
        !this.#stopped && this.#nextMs <= now;
        this.#nextMs += (-Math.log(1 - this.#random()) * 1000) / this.#rate
      ) {
        this.#due.push(now);
      }
      let sent = 0;
      while (sent < this.#due.length && this.#send(this.#due[sent])) sent++;
      this.#due.splice(0, sent);
      await new Promise(setImmediate);
    }
  }

  /** Sends a request; returns false if no backend is ready, or all connections are busy. */
  #send(dueMs: number): boolean {
    for (let i = 0; i < this.#backends.length; i++) {
      const backend = this.#backends[++this.#turn % this.#backends.length];
      const connection = backend.isReady ? backend.idle.shift() : undefined;
      if (connection === undefined) continue;
      const tally = this.#tally;
      this.#inFlight++;
      connection.request(this.#requests[this.#popularity.draw(this.#random(), this.#random())], (response) => {
        this.#inFlight--;
        if (response !== undefined && !/\r\nconnection: close/i.test(response.head)) backend.idle.push(connection);
        else backend.isReady = false;
        if (response?.status === 200) tally.ms.push(performance.now() - dueMs);
        else {
          const name = response === undefined ? 'connection lost' : String(response.status);
          tally.failures.set(name, (tally.failures.get(name) ?? 0) + 1);
        }
      });
      return true;
    }
    return false;
  }
}

function newTally(): Tally {
  return { ms: [], failures: new Map() };
}
