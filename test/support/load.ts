import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { type TestResponse, sendRequest } from './http-client.ts';
import type { TestProxy } from './proxy.ts';

const RECONNECT_MS = 10;

/** Keep-alive clients, each of which requests one key after the other until the load is stopped. */
export class SteadyLoad {
  readonly outcomes = new Map<string, number>();
  /** Requests without a response, by the error's code. */
  readonly failures = new Map<string, number>();
  /** Clients that have received a response: their connections have been accepted. */
  readonly served = new Set<number>();
  readonly #clients: Promise<void>[];
  readonly #agents: Agent[] = [];
  #stopped = false;

  /**
   * @param classify classifies a response.
   * @param pauseMs milliseconds between a response and the next request of the same client.
   */
  constructor(
    proxy: TestProxy,
    keys: readonly string[],
    clients: number,
    classify: (response: TestResponse, key: string) => string = statusOf,
    pauseMs = 0,
  ) {
    this.#clients = Array.from({ length: clients }, (_, client) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      this.#agents.push(agent);
      return this.#run(proxy, keys, client, agent, classify, pauseMs);
    });
  }

  get total(): number {
    return [...this.outcomes.values()].reduce((sum, count) => sum + count, 0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
    for (const agent of this.#agents) agent.destroy();
  }

  async #run(
    proxy: TestProxy,
    keys: readonly string[],
    client: number,
    agent: Agent,
    classify: (response: TestResponse, key: string) => string,
    pauseMs: number,
  ): Promise<void> {
    for (let i = client; !this.#stopped; i++) {
      const key = keys[i % keys.length];
      try {
        const response = await sendRequest(proxy.url, `/v1/keys/${encodeURIComponent(key)}`, { agent });
        increment(this.outcomes, classify(response, key));
        this.served.add(client);
        if (pauseMs > 0) await delay(pauseMs);
      } catch (error) {
        increment(this.failures, (error as NodeJS.ErrnoException).code ?? String(error));
        // No thread listens: all have crashed and are about to be restarted, or the proxy has ended.
        if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') await delay(RECONNECT_MS);
      }
    }
  }
}

function statusOf({ status }: TestResponse): string {
  return String(status);
}

function increment(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
