import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { type TestResponse, sendRequest } from '../support/http-client.ts';
import type { Random } from './random.ts';
import { type Key, versionOf } from './keys.ts';
import type { Checks } from './checks.ts';

const PAUSE_MS = 6;
const MAX_MGET_KEYS = 20;
/** Maximum recovery time after a fault: to reconnect to Redis and to finish waiting requests. */
const RECOVERY_MS = 4000;

/** Sends requests of one kind, one after the other. */
export type Reader = (signal: AbortSignal) => Promise<void>;

/** Context shared by all readers. */
export interface Reading {
  readonly httpUrl: string;
  readonly respPort: number;
  readonly keys: readonly Key[];
  readonly random: Random;
  readonly checks: Checks;
  /** Maximum lateness of a response, and of a stale response, in milliseconds. */
  readonly boundMs: number;
  readonly staleBoundMs: number;
  /** Whether a fault was active at some moment since `time`. */
  disturbedSince(time: number): boolean;
}

/** Sends `GET /v1/keys/{key}`, sometimes conditional or with a cache directive. */
export function httpReader(reading: Reading): Reader {
  const { keys, random, checks } = reading;
  /** The latest response for each key, as in a client's cache. */
  const cached = new Map<Key, { readonly etag: string; readonly version: number }>();
  return repeat(reading, async (agent) => {
    const key = keys[random.hot(keys.length)];
    const condition = random.isTrueWith(0.2) ? cached.get(key) : undefined;
    const directive = random.isTrueWith(0.06) ? random.pick(['no-cache', 'max-age=1', 'only-if-cached']) : undefined;
    const headers = {
      ...(condition === undefined ? {} : { 'if-none-match': condition.etag }),
      ...(directive === undefined ? {} : { 'cache-control': directive }),
    };
    const requestedAt = performance.now();
    const response = await sendRequest(reading.httpUrl, `/v1/keys/${key.name}`, { agent, headers });
    const respondedAt = performance.now();
    const status = String(response.headers['cache-status']);
    const source = `GET ${directive ?? ''} (${response.status}, ${status})`;
    checks.count(`http: ${response.status} ${status.replace(/^[^;]*; /, '').replace(/-?\d+/g, 'N')}`);
    const stale = status.includes('stale-if-error');
    const boundMs = directive === 'no-cache' ? 0 : boundOf(reading, stale);
    const observation = { key, requestedAt, respondedAt, source, boundMs, stale };
    if (response.status === 304) return void checks.check({ ...observation, version: condition?.version });
    if (response.status === 504 && directive === 'only-if-cached') return;
    const version = checkResponse(reading, observation, response.status, response.text);
    if (version !== undefined) cached.set(key, { etag: String(response.headers.etag), version });
  });
}

/** Sends `POST /v1/mget`. */
export function mgetReader(reading: Reading): Reader {
  const { keys, random, checks } = reading;
  return repeat(reading, async (agent) => {
    const some = Array.from({ length: random.integer(1, MAX_MGET_KEYS) }, () => keys[random.hot(keys.length)]);
    const body = JSON.stringify({ keys: some.map(({ name }) => name) });
    const headers = { 'content-type': 'application/json' };
    const requestedAt = performance.now();
    const response: TestResponse = await sendRequest(reading.httpUrl, '/v1/mget', {
      method: 'POST',
      agent,
      headers,
      body,
    });
    const respondedAt = performance.now();
    if (response.status !== 200) return checks.violate(`mget: ${response.status}`);
    const { results } = response.json as { readonly results: readonly MgetResult[] };
    for (const [index, { status, value, cacheStatus }] of results.entries()) {
      checks.count(`mget: ${status} ${cacheStatus ?? ''}`);
      const stale = cacheStatus === 'stale';
      const boundMs = boundOf(reading, stale);
      const observation = {
        key: some[index],
        requestedAt,
        respondedAt,
        boundMs,
        stale,
        source: `mget (${status}, ${cacheStatus})`,
      };
      checkResponse(reading, observation, status, value ?? '');
    }
  });
}

interface MgetResult {
  readonly status: number;
  readonly value?: string;
  readonly cacheStatus?: string;
}

/** Sends GET and MGET over the Redis protocol, whose replies do not show whether they are stale. */
export function respReader(reading: Reading): Reader {
  const { keys, random, checks } = reading;
  const boundMs = boundOf(reading, true);
  return async (signal) => {
    const client = new Redis(reading.respPort, '127.0.0.1', { retryStrategy: () => 50, maxRetriesPerRequest: 0 });
    client.on('error', () => undefined);
    while (!signal.aborted) {
      await delay(PAUSE_MS);
      const some = Array.from({ length: random.isTrueWith(0.5) ? 1 : 5 }, () => keys[random.hot(keys.length)]);
      const names = some.map(({ name }) => name);
      const requestedAt = performance.now();
      try {
        const values = names.length === 1 ? [await client.get(names[0])] : await client.mget(names);
        const respondedAt = performance.now();
        checks.count(`resp: ${names.length === 1 ? 'GET' : 'MGET'}`);
        for (const [index, value] of values.entries()) {
          const observation = {
            key: some[index],
            requestedAt,
            respondedAt,
            boundMs,
            stale: true,
            source: 'Redis protocol',
          };
          checkResponse(reading, observation, value === null ? 404 : 200, value ?? '');
        }
      } catch (error) {
        countFailure(reading, 'resp', requestedAt, (error as Error).message);
      }
    }
    client.disconnect();
  };
}

function boundOf({ boundMs, staleBoundMs }: Reading, stale: boolean): number {
  return stale ? staleBoundMs : boundMs;
}

/** Checks one response; returns the version of its value. */
function checkResponse(
  reading: Reading,
  observation: Omit<Parameters<Checks['check']>[0], 'version'>,
  status: number,
  value: string,
): number | undefined {
  const { checks } = reading;
  switch (status) {
    case 200: {
      const version = versionOf(observation.key, value);
      if (Number.isNaN(version))
        checks.violate(`${observation.source}: ${observation.key.name} has the value ${value.slice(0, 60)}`);
      else checks.check({ ...observation, version });
      return version;
    }
    case 404:
      checks.check({ ...observation, version: undefined });
      return undefined;
    case 503:
    case 504:
      if (!reading.disturbedSince(observation.requestedAt - RECOVERY_MS))
        checks.violate(`${observation.source}: without a fault`);
      return undefined;
    default:
      checks.violate(`${observation.source}: unexpected status ${status}`);
      return undefined;
  }
}

/** Repeats a request until the signal, over a new connection whenever the previous one was closed. */
function repeat(reading: Reading, once: (agent: Agent) => Promise<void>): Reader {
  return async (signal) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!signal.aborted) {
      await delay(PAUSE_MS);
      const requestedAt = performance.now();
      await once(agent).catch((error: NodeJS.ErrnoException) =>
        countFailure(reading, 'http', requestedAt, error.code ?? error.message),
      );
    }
    agent.destroy();
  };
}

/** Counts a request without a response: a killed thread closes its connections. */
function countFailure(reading: Reading, transport: string, requestedAt: number, what: string): void {
  const brief = what.split(' ').slice(0, 3).join(' ');
  reading.checks.count(`${transport}: no response (${brief})`);
  if (!reading.disturbedSince(requestedAt - RECOVERY_MS))
    reading.checks.violate(`${transport}: ${what}, without a fault`);
}
