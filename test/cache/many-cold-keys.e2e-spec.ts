import { once } from 'node:events';
import { type AddressInfo, type Server, connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { WellBehavedClient, residentMiB } from '../support/well-behaved-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { RespSocket, request, respPort } from '../support/resp.ts';

const MiB = 1024 * 1024;
const KEYS = Array.from({ length: 400 }, (_, i) => `cold${i}`);
/** Allowance for the response limit, its rendering, and garbage that is not collected yet. */
const GROWTH_MIB = 250;

let redis: TestRedis;

beforeAll(async () => {
  redis = await TestRedis.start();
  const fill = "local value = string.rep('x', ARGV[1]) for _, key in ipairs(KEYS) do redis.call('SET', key, value) end";
  await redis.client.eval(fill, KEYS.length, ...KEYS, MiB);
  await redis.client.set('hit', 'value');
});
afterAll(() => redis?.stop());

describeOwn('a request for many large uncached values', () => {
  let proxy: TestProxy;
  let firstMiB: number;
  let wellBehaved: WellBehavedClient;

  beforeAll(async () => {
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      RESP_PORT: 0,
      PROXY_THREADS: 1,
      REDIS_COMMAND_TIMEOUT_MS: 30_000,
      // The cache must not be part of the measured memory.
      CACHE_MAX_VALUE_BYTES: 1000,
    });
    await proxy.key('hit');
    firstMiB = residentMiB(proxy);
  });
  beforeEach(async () => {
    wellBehaved = await WellBehavedClient.start(proxy, 'hit', firstMiB);
  });
  afterEach(() => wellBehaved.stop());
  afterAll(() => proxy?.stop());

  it('needs no more memory than its response, over HTTP', async () => {
    const { json } = await proxy.request('/v1/mget', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ keys: KEYS }),
    });
    const results = json.results as { status: number; code?: string }[];
    const delivered = results.filter(({ status }) => status === 200).length;
    expect(delivered).toBe(15);
    expect(results.slice(0, delivered).every(({ status }) => status === 200)).toBe(true);
    expect(results.slice(delivered).every(({ code }) => code === 'answer-too-large')).toBe(true);
    expect((await wellBehaved.stop()).grownMiB).toBeLessThan(GROWTH_MIB);
  });

  it('needs no more memory than its reply, over the Redis protocol', async () => {
    const client = await RespSocket.open(respPort(proxy));
    client.send(request('MGET', ...KEYS));
    await client.expect('-ERR values exceed the size limit of one reply: request fewer keys\r\n');
    client.socket.destroy();
    expect((await wellBehaved.stop()).grownMiB).toBeLessThan(GROWTH_MIB);
  });
});

const TOKEN = 'token';
const CLIENTS = 4;
const KEYS_PER_CLIENT = KEYS.length / CLIENTS;
/** Requests that each client pipelines. */
const REQUESTS = 20;
/** Bytes per millisecond from Redis: all large values take fifteen seconds, longer than a small read may. */
const BYTES_PER_MS = (27 * MiB) / 1000;
const REDIS_COMMAND_TIMEOUT_MS = 10_000;
const SMALL_READS = 8;

/** A multi-key read in the syntax of each endpoint. */
const FORMS: Readonly<
  Record<string, { readonly transport: 'http' | 'resp'; readonly write: (keys: readonly string[]) => Buffer }>
> = {
  MGET: { transport: 'resp', write: (keys) => request('MGET', ...keys) },
  'MULTI with GETs': {
    transport: 'resp',
    write: (keys) => Buffer.concat([request('MULTI'), ...keys.map((key) => request('GET', key)), request('EXEC')]),
  },
  'POST /v1/mget': { transport: 'http', write: (keys) => post('/v1/mget', { keys }) },
  'an Upstash pipeline': {
    transport: 'http',
    write: (keys) =>
      post(
        '/pipeline',
        keys.map((key) => ['GET', key]),
      ),
  },
};

describeOwn('multi-key reads of large cold values', () => {
  let slow: Server;
  let proxy: TestProxy;

  beforeEach(async () => {
    slow = await startSlowRelay(redis.port);
    proxy = await TestProxy.start({
      REDIS_URL: `redis://127.0.0.1:${(slow.address() as AddressInfo).port}/0`,
      RESP_PORT: 0,
      PROXY_THREADS: 1,
      ACCESS_TOKEN: TOKEN,
      REDIS_COMMAND_TIMEOUT_MS,
      CACHE_MAX_VALUE_BYTES: 1000,
    });
  });
  afterEach(async () => {
    // A drain would wait for the reads that have started.
    await proxy.child?.stop('SIGKILL');
    slow.close();
  });

  it.each(Object.keys(FORMS))('do not delay small reads of other clients: %s', async (name) => {
    const { transport, write } = FORMS[name];
    const port = transport === 'resp' ? respPort(proxy) : Number(new URL(proxy.url).port);
    const small = Array.from({ length: SMALL_READS }, (_, i) => `small${i}`);
    await redis.client.mset(small.flatMap((key) => [key, 'value']));
    await redis.forgetCalls();
    const sockets = Array.from({ length: CLIENTS }, (_, i) => {
      const requestBytes = write(KEYS.slice(i * KEYS_PER_CLIENT, (i + 1) * KEYS_PER_CLIENT));
      const socket = connect(port, '127.0.0.1').on('error', () => undefined);
      if (transport === 'resp') socket.write(request('AUTH', TOKEN));
      socket.write(Buffer.concat(Array.from({ length: REQUESTS }, () => requestBytes)));
      return socket.resume();
    });
    const statuses = new Set<number>();
    for (const key of small) {
      statuses.add((await proxy.key(key, { authorization: `Bearer ${TOKEN}` })).status);
      await delay(20);
    }
    expect([...statuses]).toEqual([200]);
    expect(await redis.calls('get')).toBeGreaterThan(SMALL_READS + CLIENTS);
    for (const socket of sockets) socket.destroy();
  });
});

function post(path: string, json: unknown): Buffer {
  const body = JSON.stringify(json);
  const head = `POST ${path} HTTP/1.1\r\nHost: proxy\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Type: application/json`;
  return Buffer.from(`${head}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
}

/** Relays connections to a Redis over a slow network. */
async function startSlowRelay(port: number): Promise<Server> {
  const server = createServer((client) => {
    const server = connect(port, '127.0.0.1');
    client.on('error', () => undefined).on('close', () => server.destroy());
    server.on('error', () => undefined).on('close', () => client.destroy());
    client.pipe(server);
    let freeAt = 0;
    server.on('data', (part) => {
      client.write(part);
      const now = performance.now();
      freeAt = Math.max(freeAt, now) + part.length / BYTES_PER_MS;
      if (freeAt - now < 5) return;
      server.pause();
      setTimeout(() => server.resume(), freeAt - now);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
