import { mulberry32 } from '../../test/support/random.ts';
import { HttpConnection } from './http-connection.ts';
import type { Latency, Load } from './load.ts';

const CONNECTIONS = 64;
/** Warm-up that is not measured, in seconds. */
const SETTLE_S = 0.5;
const MAX_WAIT_MS = 10_000;

export interface FixedRate {
  /** Requests per second. */
  readonly rate: number;
  readonly seconds: number;
  readonly request: Buffer;
  readonly bodyBytes: number;
}

/**
 * Sends requests at times that do not depend on the responses: Poisson arrivals at a fixed rate on 64 keep-alive
 * connections. A request waits while all connections are busy, and its latency counts from its due time, so that a stall
 * affects all requests that arrive meanwhile (no coordinated omission). The generator never sleeps, as timers are too
 * coarse.
 */
export async function openLoop(port: number, plan: FixedRate): Promise<Load> {
  const connections = Array.from({ length: CONNECTIONS }, () => new HttpConnection(port));
  try {
    return await new Arrivals(connections, plan).run();
  } finally {
    for (const connection of connections) connection.close();
  }
}

class Arrivals {
  readonly #plan: FixedRate;
  readonly #idle: HttpConnection[];
  readonly #random = mulberry32(3);
  readonly #startMs = performance.now();
  /** Due times of the requests that wait for a connection, in milliseconds. */
  readonly #due: number[] = [];
  readonly #latenciesMs: number[] = [];
  readonly #lateMs: number[] = [];
  #nextMs = this.#startMs;
  #inFlight = 0;
  #responses = 0;
  #problem: string | undefined;

  constructor(connections: readonly HttpConnection[], plan: FixedRate) {
    this.#idle = [...connections];
    this.#plan = plan;
  }

  async run(): Promise<Load> {
    const cpu = process.cpuUsage();
    const endMs = this.#startMs + (SETTLE_S + this.#plan.seconds) * 1000;
    for (;;) {
      const nowMs = performance.now();
      while (this.#nextMs <= nowMs && this.#nextMs < endMs) this.#arrive(nowMs);
      this.#send();
      if (this.#problem !== undefined) throw new Error(this.#problem);
      if (this.#nextMs >= endMs && this.#due.length === 0 && this.#inFlight === 0) break;
      if (nowMs > endMs + MAX_WAIT_MS) throw new Error('the server cannot sustain the rate');
      await new Promise(setImmediate);
    }
    const { user, system } = process.cpuUsage(cpu);
    const seconds = (performance.now() - this.#startMs) / 1000;
    return { requests: this.#responses, seconds, generatorSeconds: (user + system) / 1e6, latency: this.#latency() };
  }

  #arrive(nowMs: number): void {
    if (this.#measured(this.#nextMs)) this.#lateMs.push(nowMs - this.#nextMs);
    this.#due.push(this.#nextMs);
    this.#nextMs += (-Math.log(1 - this.#random()) * 1000) / this.#plan.rate;
  }

  #send(): void {
    let sent = 0;
    for (; sent < this.#due.length; sent++) {
      // In turn: servers close a connection that is idle for some seconds.
      const connection = this.#idle.shift();
      if (connection === undefined) break;
      this.#request(connection, this.#due[sent]);
    }
    if (sent > 0) this.#due.splice(0, sent);
  }

  #request(connection: HttpConnection, dueMs: number): void {
    this.#inFlight++;
    connection.request(this.#plan.request, (response) => {
      this.#inFlight--;
      this.#responses++;
      if (this.#measured(dueMs)) this.#latenciesMs.push(performance.now() - dueMs);
      if (response?.status !== 200 || response.body.length !== this.#plan.bodyBytes) {
        this.#problem ??= `a response was ${response === undefined ? 'missing' : `${response.status}, ${response.body.length} B`}`;
      }
      this.#idle.push(connection);
    });
  }

  #measured(dueMs: number): boolean {
    return dueMs >= this.#startMs + SETTLE_S * 1000;
  }

  #latency(): Latency {
    const quantile = (values: number[], part: number): number =>
      values.sort((a, b) => a - b)[Math.floor(values.length * part)] * 1000;
    return {
      p50Us: quantile(this.#latenciesMs, 0.5),
      p99Us: quantile(this.#latenciesMs, 0.99),
      // Sorted by now.
      maxUs: (this.#latenciesMs.at(-1) ?? NaN) * 1000,
      lateUs: quantile(this.#lateMs, 0.99),
    };
  }
}
