import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { type HttpAnswer, ask } from '../support/http-client.ts';
import type { Random } from './random.ts';
import { type Key, versionOf } from './truth.ts';
import type { Verdicts } from './verdicts.ts';

const PAUSE_MS = 6;
const MOST_KEYS_AT_ONCE = 20;
/** Time that the proxy has, after the last fault, to be as it was: to find its Redis again, and to end what waited. */
const RECOVERY_MS = 4000;

/** Requests of one kind, one after the other. */
export type Reader = (ending: AbortSignal) => Promise<void>;

/** What readers have in common. */
export interface Reading {
  readonly httpUrl: string;
  readonly respPort: number;
  readonly keys: readonly Key[];
  readonly random: Random;
  readonly verdicts: Verdicts;
  /** Milliseconds by which an answer may be late, and by which a stale one may be. */
  readonly boundMs: number;
  readonly staleBoundMs: number;
  /** Whether something went wrong at some moment since `time`. */
  disturbedSince(time: number): boolean;
}

/** `GET /v1/keys/{key}`, now and then with a condition or a directive. */
export function httpReader(reading: Reading): Reader {
  const { keys, random, verdicts } = reading;
  /** What was answered last, as a client keeps it. */
  const kept = new Map<Key, { readonly etag: string; readonly version: number }>();
  return repeat(reading, async (agent) => {
    const key = keys[random.hot(keys.length)];
    const condition = random.chance(0.2) ? kept.get(key) : undefined;
    const directive = random.chance(0.06) ? random.pick(['no-cache', 'max-age=1', 'only-if-cached']) : undefined;
    const headers = {
      ...(condition === undefined ? {} : { 'if-none-match': condition.etag }),
      ...(directive === undefined ? {} : { 'cache-control': directive }),
    };
    const askedAt = performance.now();
    const answer = await ask(reading.httpUrl, `/v1/keys/${key.name}`, { agent, headers });
    const answeredAt = performance.now();
    const status = String(answer.headers['cache-status']);
    const how = `GET ${directive ?? ''} (${answer.status}, ${status})`;
    verdicts.count(`http: ${answer.status} ${status.replace(/^[^;]*; /, '').replace(/-?\d+/g, 'N')}`);
    const stale = status.includes('stale-if-error');
    const boundMs = directive === 'no-cache' ? 0 : boundOf(reading, stale);
    const said = { key, askedAt, answeredAt, how, boundMs, stale };
    if (answer.status === 304) return void verdicts.judge({ ...said, version: condition?.version });
    if (answer.status === 504 && directive === 'only-if-cached') return;
    const version = judge(reading, said, answer.status, answer.text);
    if (version !== undefined) kept.set(key, { etag: String(answer.headers.etag), version });
  });
}

/** `POST /v1/mget`. */
export function mgetReader(reading: Reading): Reader {
  const { keys, random, verdicts } = reading;
  return repeat(reading, async (agent) => {
    const some = Array.from({ length: random.whole(1, MOST_KEYS_AT_ONCE) }, () => keys[random.hot(keys.length)]);
    const body = JSON.stringify({ keys: some.map(({ name }) => name) });
    const headers = { 'content-type': 'application/json' };
    const askedAt = performance.now();
    const answer: HttpAnswer = await ask(reading.httpUrl, '/v1/mget', { method: 'POST', agent, headers, body });
    const answeredAt = performance.now();
    if (answer.status !== 200) return verdicts.violate(`mget: ${answer.status}`);
    const { results } = answer.json as { readonly results: readonly MgetResult[] };
    for (const [index, { status, value, cacheStatus }] of results.entries()) {
      verdicts.count(`mget: ${status} ${cacheStatus ?? ''}`);
      const stale = cacheStatus === 'stale';
      const boundMs = boundOf(reading, stale);
      const said = { key: some[index], askedAt, answeredAt, boundMs, stale, how: `mget (${status}, ${cacheStatus})` };
      judge(reading, said, status, value ?? '');
    }
  });
}

interface MgetResult {
  readonly status: number;
  readonly value?: string;
  readonly cacheStatus?: string;
}

/** GET and MGET of the Redis protocol, which does not tell a stale answer from another. */
export function respReader(reading: Reading): Reader {
  const { keys, random, verdicts } = reading;
  const boundMs = boundOf(reading, true);
  return async (ending) => {
    const client = new Redis(reading.respPort, '127.0.0.1', { retryStrategy: () => 50, maxRetriesPerRequest: 0 });
    client.on('error', () => undefined);
    while (!ending.aborted) {
      await delay(PAUSE_MS);
      const some = Array.from({ length: random.chance(0.5) ? 1 : 5 }, () => keys[random.hot(keys.length)]);
      const names = some.map(({ name }) => name);
      const askedAt = performance.now();
      try {
        const values = names.length === 1 ? [await client.get(names[0])] : await client.mget(names);
        const answeredAt = performance.now();
        verdicts.count(`resp: ${names.length === 1 ? 'GET' : 'MGET'}`);
        for (const [index, value] of values.entries()) {
          const said = { key: some[index], askedAt, answeredAt, boundMs, stale: true, how: 'Redis protocol' };
          judge(reading, said, value === null ? 404 : 200, value ?? '');
        }
      } catch (error) {
        countFailure(reading, 'resp', askedAt, (error as Error).message);
      }
    }
    client.disconnect();
  };
}

function boundOf({ boundMs, staleBoundMs }: Reading, stale: boolean): number {
  return stale ? staleBoundMs : boundMs;
}

/** Judges one answer; the version of the value that it has. */
function judge(
  reading: Reading,
  said: Omit<Parameters<Verdicts['judge']>[0], 'version'>,
  status: number,
  value: string,
): number | undefined {
  const { verdicts } = reading;
  switch (status) {
    case 200: {
      const version = versionOf(said.key, value);
      if (Number.isNaN(version)) verdicts.violate(`${said.how}: ${said.key.name} is said to be ${value.slice(0, 60)}`);
      else verdicts.judge({ ...said, version });
      return version;
    }
    case 404:
      verdicts.judge({ ...said, version: undefined });
      return undefined;
    case 503:
    case 504:
      if (!reading.disturbedSince(said.askedAt - RECOVERY_MS)) verdicts.violate(`${said.how}: with nothing wrong`);
      return undefined;
    default:
      verdicts.violate(`${said.how}: a status that cannot be`);
      return undefined;
  }
}

/** A client that asks one thing after the other, and begins anew when its connection was cut. */
function repeat(reading: Reading, once: (agent: Agent) => Promise<void>): Reader {
  return async (ending) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!ending.aborted) {
      await delay(PAUSE_MS);
      const askedAt = performance.now();
      await once(agent).catch((error: NodeJS.ErrnoException) =>
        countFailure(reading, 'http', askedAt, error.code ?? error.message),
      );
    }
    agent.destroy();
  };
}

/** A request without an answer: threads that are killed take their connections with them. */
function countFailure(reading: Reading, front: string, askedAt: number, what: string): void {
  const brief = what.split(' ').slice(0, 3).join(' ');
  reading.verdicts.count(`${front}: no answer (${brief})`);
  if (!reading.disturbedSince(askedAt - RECOVERY_MS)) reading.verdicts.violate(`${front}: ${what}, with nothing wrong`);
}
