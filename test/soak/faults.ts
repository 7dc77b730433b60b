import { setTimeout as delay } from 'node:timers/promises';
import type { ThreadFault, TestProxy } from '../support/proxy.ts';
import type { TestRedis } from '../support/redis.ts';
import type { Relay } from '../support/relay.ts';
import type { Random } from './random.ts';
import type { Checks } from './checks.ts';
import type { Writers } from './writers.ts';

const MAX_FAULT_MS = 3000;
const MAX_PAUSE_MS = 4000;
const SLEEP_SECONDS = 0.7;
const SILENCE_MS = 3000;
const FAULTS: readonly (readonly ThreadFault[])[] = [
  ['terminate'],
  ['throw'],
  ['stall in critical section', 'terminate'],
];

/** Processes and connections that the faults affect. */
export interface Targets {
  redis: TestRedis;
  readonly proxy: TestProxy;
  readonly threads: number;
  /** Forwards the proxy's connections to Redis. */
  readonly relay: Relay;
  readonly writers: Writers;
}

/** Injects random faults one after the other, with pauses in between. */
export class Faults {
  readonly #targets: Targets;
  readonly #random: Random;
  readonly #checks: Checks;
  /** When the latest fault ended; Infinity during a fault. */
  #endedAt = -Infinity;

  constructor(targets: Targets, random: Random, checks: Checks) {
    this.#targets = targets;
    this.#random = random;
    this.#checks = checks;
  }

  /** Whether a fault was active at some moment since `time`. */
  since(time: number): boolean {
    return this.#endedAt >= time;
  }

  async run(signal: AbortSignal): Promise<void> {
    const kinds = Object.entries(this.#kinds);
    while (!signal.aborted) {
      await delay(this.#random.integer(200, MAX_PAUSE_MS));
      if (signal.aborted) return;
      const [name, inject] = this.#random.pick(kinds);
      this.#endedAt = Infinity;
      await inject();
      this.#endedAt = performance.now();
      this.#checks.count(`fault: ${name}`);
    }
  }

  readonly #kinds: Readonly<Record<string, () => Promise<void>>> = {
    'Redis killed and restarted': async () => {
      await this.#targets.redis.server?.stop('SIGKILL');
      await this.#while();
      this.#targets.redis = await this.#targets.redis.restart();
    },
    'Redis suspended': async () => {
      this.#targets.redis.server?.signal('SIGSTOP');
      await this.#while();
      this.#targets.redis.server?.signal('SIGCONT');
    },
    'Redis blocked by DEBUG SLEEP': async () => {
      await this.#targets.redis.client.call('DEBUG', 'SLEEP', String(SLEEP_SECONDS));
    },
    'connections to Redis closed': async () => {
      const list = (await this.#targets.redis.client.call('CLIENT', 'LIST')) as string;
      for (const line of list.split('\n').filter((one) => one.includes('name=redis-http-cache-proxy'))) {
        const id = /id=(\d+)/.exec(line)?.[1];
        if (id !== undefined && this.#random.isTrueWith(0.5))
          await this.#targets.redis.client.call('CLIENT', 'KILL', 'ID', id);
      }
    },
    'connections to Redis silent': async () => {
      this.#targets.relay.silence();
      // The proxy closes a silent connection after two timeouts.
      await delay(SILENCE_MS);
    },
    'thread killed': async () => {
      const faults = this.#random.pick(FAULTS);
      const thread = this.#random.integer(0, this.#targets.threads);
      for (const fault of faults) await this.#targets.proxy.inject(thread, fault);
      await delay(500);
    },
    'all keys removed': () => this.#targets.writers.removeAll(),
    'cache flushed': async () => {
      await this.#targets.proxy.admin('DELETE', '/v1/cache').catch(() => undefined);
    },
  };

  #while(): Promise<void> {
    return delay(this.#random.integer(50, MAX_FAULT_MS));
  }
}
