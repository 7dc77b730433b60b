import { expect, it } from '@jest/globals';
import { Agent } from 'node:http';
import { type HttpAnswer, ask } from './http-client.ts';
import { until } from './processes.ts';
import { type Settings, TestProxy } from './proxy.ts';
import { TestRedis } from './redis.ts';
import { Relay } from './relay.ts';
import { Stopwatch } from './stopwatch.ts';

export const COMMAND_TIMEOUT_MS = 300;
/** The command time-out, once for the turn and once for the reply, and what a machine takes beside. */
const IN_TIME_MS = 2 * COMMAND_TIMEOUT_MS + 700;
/** A second after Redis itself, and what a machine takes beside. */
const BACK_MS = 2_000;
/** Rounds of misses during a fault: the circuit opens within them, and probes. */
const ROUNDS = 8;
const MISSES_A_ROUND = 4;
const COLD_KEYS = ROUNDS * MISSES_A_ROUND;
/** One hit after the other, at this distance, as long as a test lasts. */
const HIT_EVERY_MS = 5;

export type MissAnswer = '200' | '502 value-too-large' | '503 redis-unavailable' | '504 redis-timeout';

/** Something that befalls a Redis, and how it ends. */
export interface Fault {
  /** Arguments of its redis-server. */
  readonly redis?: readonly string[];
  /** What is done before the proxy starts. */
  readonly prepare?: (redis: TestRedis) => unknown;
  readonly settings?: Settings;
  /** Where the proxy finds it, if not at the relay. */
  readonly url?: (scene: Scene) => string;
  readonly strike: (scene: Scene) => unknown;
  /** What misses are answered meanwhile, each within its time. */
  readonly misses: readonly MissAnswer[];
  readonly heal: (scene: Scene) => unknown;
  /** Said once in the log. */
  readonly log?: RegExp;
  /** How long it may take to be back, where that cannot be as soon as Redis is. */
  readonly backMs?: number;
  /** Whether the values are there again after it. Default: true. */
  readonly dataReturns?: boolean;
}

/** A proxy, a relay and a Redis. One key is held, and asked for all the time; others are not. */
export class Scene {
  redis: TestRedis;
  readonly relay: Relay;
  readonly proxy: TestProxy;
  readonly #hits: Promise<void>;
  readonly #badHits: string[] = [];
  #hitCount = 0;
  #over = false;

  private constructor(redis: TestRedis, relay: Relay, proxy: TestProxy) {
    this.redis = redis;
    this.relay = relay;
    this.proxy = proxy;
    this.#hits = this.#askForHeld();
  }

  static async set({ redis: args = [], prepare, settings = {}, url, misses }: Fault): Promise<Scene> {
    const redis = await TestRedis.start(...args);
    const relay = await Relay.to(redis.port);
    for (const key of ['held', ...coldKeys()]) await redis.client.set(key, valueOf(key));
    await prepare?.(redis);
    const proxy = await TestProxy.start({
      REDIS_URL: url?.({ redis, relay } as Scene) ?? `redis://127.0.0.1:${relay.port}`,
      PROXY_THREADS: 2,
      // Who is refused at once is so whatever the time-out, which a busy machine is not to be taken for.
      REDIS_COMMAND_TIMEOUT_MS: misses.includes('504 redis-timeout') ? COMMAND_TIMEOUT_MS : 10_000,
      // What is taken for missing would be so for long.
      CACHE_NEGATIVE_TTL_MS: 60_000,
      ...settings,
    });
    // The machine may be too busy for the first one to be in time.
    await until('it is held', async () => (await proxy.key('held')).status === 200 || undefined);
    return new Scene(redis, relay, proxy);
  }

  /** Asks for keys that are not held, round after round. */
  async misses(): Promise<Set<string>> {
    const answers = new Set<string>();
    const hitsBefore = this.#hitCount;
    for (let round = 0; round < ROUNDS; round++) {
      const watch = new Stopwatch();
      const keys = coldKeys().slice(round * MISSES_A_ROUND, (round + 1) * MISSES_A_ROUND);
      for (const answer of await Promise.all(keys.map((key) => this.proxy.key(key)))) answers.add(nameOf(answer));
      expect(watch.stop()).toBeLessThan(IN_TIME_MS);
    }
    await until('there are hits meanwhile', () => this.#hitCount > hitsBefore || undefined);
    return answers;
  }

  /** Waits until all that was asked for is answered with what is true, and sees to it that this takes no longer than it may. */
  async recovers(dataReturns: boolean, backMs: number): Promise<void> {
    const watch = new Stopwatch();
    const expected = (key: string): string => (dataReturns ? `200 ${valueOf(key)}` : '404');
    for (const key of coldKeys()) {
      await until(`the truth about ${key}`, async () => {
        const answer = await this.proxy.key(key);
        const found = answer.status === 200 ? `200 ${answer.text}` : String(answer.status);
        // A refusal is no lie, but a wrong answer is one at any time.
        if (answer.status < 500) expect(found).toBe(expected(key));
        return found === expected(key) || undefined;
      });
    }
    expect(watch.stop()).toBeLessThan(backMs);
  }

  async end(): Promise<void> {
    this.#over = true;
    await this.#hits;
    await this.proxy.stop();
    await this.relay.stop();
    await this.redis.stop();
    expect(this.#badHits).toEqual([]);
  }

  async #askForHeld(): Promise<void> {
    const agent = new Agent({ keepAlive: true });
    while (!this.#over) {
      const { status, text } = await ask(this.proxy.url, '/v1/keys/held', { agent });
      this.#hitCount++;
      if (status !== 200 || text !== valueOf('held')) this.#badHits.push(`${status} ${text}`);
      await new Promise((resolve) => setTimeout(resolve, HIT_EVERY_MS));
    }
    agent.destroy();
  }
}

/** The promise about any fault: hits are as ever, misses fail as they should, nothing false stays, and it is soon over. */
export function itSurvives(what: string, fault: Fault): void {
  it(what, async () => {
    const scene = await Scene.set(fault);
    try {
      await fault.strike(scene);
      const answers = await scene.misses();
      expect([...answers].filter((answer) => !fault.misses.includes(answer as MissAnswer))).toEqual([]);
      expect(answers).toContain(fault.misses[0]);
      const { log } = fault;
      // While it lasts: what takes an attempt to connect is not known before there was one.
      if (log !== undefined) {
        await until(
          `the log says ${log}`,
          () => scene.proxy.log().some(({ message }) => log.test(String(message))) || undefined,
        );
      }
      await fault.heal(scene);
      await scene.recovers(fault.dataReturns ?? true, fault.backMs ?? BACK_MS);
    } finally {
      await scene.end();
    }
  });
}

function nameOf(answer: HttpAnswer): string {
  if (answer.status === 200) return '200';
  if (answer.status === 503) expect(answer.headers['retry-after']).toBe('1');
  return `${answer.status} ${String(answer.json.code)}`;
}

function coldKeys(): string[] {
  return Array.from({ length: COLD_KEYS }, (_, i) => `cold-${i}`);
}

function valueOf(key: string): string {
  return `value of ${key}, ${'x'.repeat(100)}`;
}
