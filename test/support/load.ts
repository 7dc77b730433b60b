import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { type HttpAnswer, ask } from './http-client.ts';
import type { TestProxy } from './proxy.ts';

const RECONNECT_MS = 10;

/** Keep-alive clients, each of which requests one key after the other until the load is stopped. */
export class SteadyLoad {
  readonly answers = new Map<string, number>();
  /** Requests without a response, by the error's code. */
  readonly failures = new Map<string, number>();
  readonly #clients: Promise<void>[];
  readonly #agents: Agent[] = [];
  #stopped = false;

  /** @param check classifies a response. */
  constructor(
    proxy: TestProxy,
    keys: readonly string[],
    clients: number,
    check: (answer: HttpAnswer, key: string) => string = statusOf,
  ) {
    this.#clients = Array.from({ length: clients }, (_, client) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      this.#agents.push(agent);
      return this.#run(proxy, keys, client, agent, check);
    });
  }

  get total(): number {
    return [...this.answers.values()].reduce((sum, count) => sum + count, 0);
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
    check: (answer: HttpAnswer, key: string) => string,
  ): Promise<void> {
    for (let i = client; !this.#stopped; i++) {
      const key = keys[i % keys.length];
      try {
        const answer = await ask(proxy.url, `/v1/keys/${encodeURIComponent(key)}`, { agent });
        increment(this.answers, check(answer, key));
      } catch (error) {
        increment(this.failures, (error as NodeJS.ErrnoException).code ?? String(error));
        // No thread listens: all have crashed and are about to be restarted, or the proxy has ended.
        if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') await delay(RECONNECT_MS);
      }
    }
  }
}

function statusOf({ status }: HttpAnswer): string {
  return String(status);
}

function increment(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
