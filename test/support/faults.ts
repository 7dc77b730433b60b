import { expect, it } from '@jest/globals';
import { Agent } from 'node:http';
import { type TestResponse, sendRequest } from './http-client.ts';
import { until } from './processes.ts';
import { type Settings, TestProxy } from './proxy.ts';
import { TestRedis } from './redis.ts';
import { Relay } from './relay.ts';
import { BUSY_MS, Stopwatch } from './stopwatch.ts';

export const COMMAND_TIMEOUT_MS = 300;
/** The command time-out, once for the queue and once for the reply. */
const MAX_MISS_MS = 2 * COMMAND_TIMEOUT_MS;
/** A second after Redis itself. */
const RECOVERY_MS = 1_000;
/** Rounds of misses during a fault: the circuit opens within them, and probes. */
const ROUNDS = 8;
/**
 * Rounds that do not wait for the responses of the ones before: their reads time out together, so that the circuit opens before
 * a silent connection is closed, also if the proxy is suspended meanwhile.
 */
const ROUNDS_AT_ONCE = 3;
const MISSES_PER_ROUND = 4;
const COLD_KEYS = ROUNDS * MISSES_PER_ROUND;
/** One hit after the other, at this distance, as long as a test lasts. */
const HIT_INTERVAL_MS = 5;

export type MissOutcome = '200' | '502 value-too-large' | '503 redis-unavailable' | '504 redis-timeout';

/** A fault of Redis or of the connection to it, and its end. */
export interface Fault {
  /** Arguments of its redis-server. */
  readonly redis?: readonly string[];
  /** Called before the proxy starts. */
  readonly prepare?: (redis: TestRedis) => unknown;
  readonly settings?: Settings;
  /** REDIS_URL of the proxy; default: the relay. */
  readonly url?: (scenario: FaultScenario) => string;
  readonly inject: (scenario: FaultScenario) => unknown;
  /** Expected responses to misses during the fault, each in time; the first must occur. */
  readonly misses: readonly MissOutcome[];
  readonly remove: (scenario: FaultScenario) => unknown;
  /** Expected in the log during the fault. */
  readonly log?: RegExp;
  /** Milliseconds that recovery may take on an idle machine; default: a second. */
  readonly recoveryMs?: number;
  /** Threads of the proxy, each with a connection and a circuit of its own; default: one. */
  readonly threads?: number;
  /** Whether the cold keys are hashes of many fields, which are read as a whole; default: strings. */
  readonly hashes?: boolean;
  /** Whether Redis has its values again after the fault. Default: true. */
  readonly dataReturns?: boolean;
}

/** A proxy, a relay and a Redis. One key is cached and requested all the time; the others are cold. */
export class FaultScenario {
  redis: TestRedis;
  readonly relay: Relay;
  readonly proxy: TestProxy;
  readonly #hits: Promise<void>;
  readonly #badHits: string[] = [];
  #hitCount = 0;
  #ended = false;
  readonly #hashes: boolean;

  private constructor(redis: TestRedis, relay: Relay, proxy: TestProxy, hashes: boolean) {
    this.#hashes = hashes;
    this.redis = redis;
    this.relay = relay;
    this.proxy = proxy;
    this.#hits = this.#requestCachedKey();
  }

  static async start({
    redis: args = [],
    prepare,
    settings = {},
    url,
    misses,
    hashes = false,
    threads = 1,
  }: Fault): Promise<FaultScenario> {
    const redis = await TestRedis.start(...args);
    const relay = await Relay.to(redis.port);
    await redis.client.set('held', valueOf('held'));
    for (const key of coldKeys()) {
      if (hashes) await redis.client.hset(key, fieldsOf(key));
      else await redis.client.set(key, valueOf(key));
    }
    await prepare?.(redis);
    const proxy = await TestProxy.start({
      REDIS_URL: url?.({ redis, relay } as FaultScenario) ?? `redis://127.0.0.1:${relay.port}`,
      PROXY_THREADS: threads,
      // Misses that fail fast do so whatever the time-out, and a busy machine must not cause time-outs.
      REDIS_COMMAND_TIMEOUT_MS: misses.includes('504 redis-timeout') ? COMMAND_TIMEOUT_MS : 10_000,
      CACHE_TTL_MS: 3_600_000,
      // A key wrongly cached as missing would stay so for long.
      CACHE_NEGATIVE_TTL_MS: 3_600_000,
      ...settings,
    });
    // On a busy machine the first loads may time out.
    await until('the key is cached', async () => (await proxy.key('held')).status === 200 || undefined);
    return new FaultScenario(redis, relay, proxy, hashes);
  }

  /** Requests cold keys, round after round; returns the distinct outcomes. */
  async misses(): Promise<Set<string>> {
    const outcomes = new Set<string>();
    const hitsBefore = this.#hitCount;
    const request = async (round: number): Promise<void> => {
      const watch = new Stopwatch();
      const keys = coldKeys().slice(round * MISSES_PER_ROUND, (round + 1) * MISSES_PER_ROUND);
      for (const answer of await Promise.all(keys.map((key) => this.#read(key)))) outcomes.add(outcomeOf(answer));
      expect(watch.stop()).toBeLessThan(MAX_MISS_MS + BUSY_MS);
    };
    const first: Promise<void>[] = [];
    for (let round = 0; round < ROUNDS_AT_ONCE; round++) {
      first.push(request(round));
      // Reads that arrive together count as one attempt.
      await this.proxy.key('held');
    }
    await Promise.all(first);
    for (let round = ROUNDS_AT_ONCE; round < ROUNDS; round++) await request(round);
    await until('there are hits meanwhile', () => this.#hitCount > hitsBefore || undefined);
    return outcomes;
  }

  /** Waits until every cold key has its true response, within `recoveryMs`. */
  async expectRecovery(dataReturns: boolean, recoveryMs: number): Promise<void> {
    const watch = new Stopwatch();
    const valueText = (key: string): string => (this.#hashes ? JSON.stringify(fieldsOf(key)) : valueOf(key));
    const expected = (key: string): string => (dataReturns ? `200 ${valueText(key)}` : '404');
    for (const key of coldKeys()) {
      await until(`the truth about ${key}`, async () => {
        const answer = await this.#read(key);
        const found = answer.status === 200 ? `200 ${answer.text}` : String(answer.status);
        // An error is allowed for a while, a wrong value never.
        if (answer.status < 500) expect(found).toBe(expected(key));
        return found === expected(key) || undefined;
      });
    }
    expect(watch.stop()).toBeLessThan(recoveryMs + BUSY_MS);
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#hits;
    await this.proxy.stop();
    await this.relay.stop();
    await this.redis.stop();
    expect(this.#badHits).toEqual([]);
  }

  #read(key: string): Promise<TestResponse> {
    return this.#hashes ? this.proxy.get(`/v1/hashes/${key}`) : this.proxy.key(key);
  }

  async #requestCachedKey(): Promise<void> {
    const agent = new Agent({ keepAlive: true });
    while (!this.#ended) {
      const { status, text } = await sendRequest(this.proxy.url, '/v1/keys/held', { agent });
      this.#hitCount++;
      if (status !== 200 || text !== valueOf('held')) this.#badHits.push(`${status} ${text}`);
      await new Promise((resolve) => setTimeout(resolve, HIT_INTERVAL_MS));
    }
    agent.destroy();
  }
}

/** Defines a spec of a fault: hits go on, misses fail as documented, no wrong value stays, and recovery is quick. */
export function itRecoversFrom(title: string, fault: Fault): void {
  it(title, async () => {
    const scenario = await FaultScenario.start(fault);
    try {
      await fault.inject(scenario);
      const outcomes = await scenario.misses();
      expect([...outcomes].filter((answer) => !fault.misses.includes(answer as MissOutcome))).toEqual([]);
      expect(outcomes).toContain(fault.misses[0]);
      const { log } = fault;
      // During the fault: the cause may be known only after an attempt to connect.
      if (log !== undefined) {
        await until(
          `the log says ${log}`,
          () => scenario.proxy.log().some(({ message }) => log.test(String(message))) || undefined,
        );
      }
      await fault.remove(scenario);
      await scenario.expectRecovery(fault.dataReturns ?? true, fault.recoveryMs ?? RECOVERY_MS);
    } finally {
      await scenario.end();
    }
  });
}

function outcomeOf(answer: TestResponse): string {
  if (answer.status === 200) return '200';
  if (answer.status === 503) expect(answer.headers['retry-after']).toBe('1');
  return `${answer.status} ${String(answer.json.code)}`;
}

function coldKeys(): string[] {
  return Array.from({ length: COLD_KEYS }, (_, i) => `cold-${i}`);
}

/** Fields of a hash, few and short enough for Redis to keep their order. */
function fieldsOf(key: string): Record<string, string> {
  return Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`field ${i}`, `value ${i} of ${key}`]));
}

function valueOf(key: string): string {
  return `value of ${key}, ${'x'.repeat(100)}`;
}
