import { setTimeout as delay } from 'node:timers/promises';
import type { Fate, TestProxy } from '../support/proxy.ts';
import type { TestRedis } from '../support/redis.ts';
import type { Relay } from '../support/relay.ts';
import type { Random } from './random.ts';
import type { Verdicts } from './verdicts.ts';
import type { Writers } from './writers.ts';

const LONGEST_FAULT_MS = 3000;
const LONGEST_CALM_MS = 4000;
const SLEEP_S = 0.7;
const SILENCE_MS = 3000;
const FATES: readonly (readonly Fate[])[] = [['terminate'], ['throw'], ['stall in critical section', 'terminate']];

/** What the faults happen to. */
export interface Victims {
  redis: TestRedis;
  readonly proxy: TestProxy;
  readonly threads: number;
  /** Between the two. */
  readonly relay: Relay;
  readonly writers: Writers;
}

/** Lets one thing go wrong after the other, at random, with some calm in between. */
export class Faults {
  readonly #victims: Victims;
  readonly #random: Random;
  readonly #verdicts: Verdicts;
  /** When the latest one was over, so far as it is the faults' to say; Infinity during one. */
  #overAt = -Infinity;

  constructor(victims: Victims, random: Random, verdicts: Verdicts) {
    this.#victims = victims;
    this.#random = random;
    this.#verdicts = verdicts;
  }

  /** Whether something went wrong at some moment since `time`. */
  since(time: number): boolean {
    return this.#overAt >= time;
  }

  async run(ending: AbortSignal): Promise<void> {
    const kinds = Object.entries(this.#kinds);
    while (!ending.aborted) {
      await delay(this.#random.whole(200, LONGEST_CALM_MS));
      if (ending.aborted) return;
      const [name, inflict] = this.#random.pick(kinds);
      this.#overAt = Infinity;
      await inflict();
      this.#overAt = performance.now();
      this.#verdicts.count(`fault: ${name}`);
    }
  }

  readonly #kinds: Readonly<Record<string, () => Promise<void>>> = {
    'Redis killed and started again': async () => {
      await this.#victims.redis.server?.stop('SIGKILL');
      await this.#while();
      this.#victims.redis = await this.#victims.redis.restart();
    },
    'Redis stopped for a while': async () => {
      this.#victims.redis.server?.signal('SIGSTOP');
      await this.#while();
      this.#victims.redis.server?.signal('SIGCONT');
    },
    'Redis slow': async () => {
      await this.#victims.redis.client.call('DEBUG', 'SLEEP', String(SLEEP_S));
    },
    'connections to Redis cut': async () => {
      const list = (await this.#victims.redis.client.call('CLIENT', 'LIST')) as string;
      for (const line of list.split('\n').filter((one) => one.includes('name=redis-http-cache-proxy'))) {
        const id = /id=(\d+)/.exec(line)?.[1];
        if (id !== undefined && this.#random.chance(0.5))
          await this.#victims.redis.client.call('CLIENT', 'KILL', 'ID', id);
      }
    },
    'connections to Redis silent': async () => {
      this.#victims.relay.silence();
      // A connection on which nothing comes is given up after two time-outs.
      await delay(SILENCE_MS);
    },
    'thread killed': async () => {
      const fates = this.#random.pick(FATES);
      const thread = this.#random.whole(0, this.#victims.threads);
      for (const fate of fates) await this.#victims.proxy.suffer(thread, fate);
      await delay(500);
    },
    'all keys removed': () => this.#victims.writers.removeAll(),
    'cache flushed': async () => {
      await this.#victims.proxy.admin('DELETE', '/v1/cache').catch(() => undefined);
    },
  };

  #while(): Promise<void> {
    return delay(this.#random.whole(50, LONGEST_FAULT_MS));
  }
}
