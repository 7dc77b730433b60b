import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { RespSocket, request, respPort } from '../support/resp.ts';

const TOKEN = 'reader';
const READER = { authorization: `Bearer ${TOKEN}` };
/** More than the buffers of two sockets. */
const LARGE_BYTES = 32 * 2 ** 20;
/** The longest response with these values also exceeds the buffers. */
const MANY = Array.from({ length: 15 }, (_, i) => `many${i}`);
const MEGABYTE = 2 ** 20;

const head = (line: string, ...headers: string[]): string =>
  [`${line} HTTP/1.1`, 'Host: x', `Authorization: Bearer ${TOKEN}`, ...headers, '\r\n'].join('\r\n');
const post = (path: string, body: string): string =>
  head(`POST ${path}`, 'Content-Type: application/json', `Content-Length: ${body.length}`) + body;
const json = (...values: string[]): string => JSON.stringify(values);

describeOwn('PROXY_MODE=sequential: no client keeps the others waiting', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let slow: Socket;
  let closed: boolean;

  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.mset('hit', 'value', 'large', 'x'.repeat(LARGE_BYTES));
    await redis.client.mset(...MANY.flatMap((key) => [key, 'x'.repeat(MEGABYTE)]));
    proxy = await TestProxy.start({
      ...{ REDIS_URL: redis.url, PROXY_MODE: 'sequential', RESP_PORT: 0, ACCESS_TOKEN: TOKEN },
      ...{ REDIS_COMMAND_TIMEOUT_MS: 60_000, CACHE_MAX_VALUE_BYTES: 4 * MEGABYTE },
      // The slow client stays connected.
      ...{ HTTP_HEADERS_TIMEOUT_MS: 600_000, HTTP_REQUEST_TIMEOUT_MS: 600_000 },
    });
    for (const key of ['hit', ...MANY]) expect((await proxy.key(key, READER)).status).toBe(200);
  });
  afterAll(async () => {
    await proxy?.stop();
    await redis?.stop();
  });
  beforeEach(() => {
    closed = false;
  });
  afterEach(async () => {
    redis.server?.signal('SIGCONT');
    slow.destroy();
    await until('it has gone', () => closed || undefined);
  });

  /** @param reads whether the client reads. */
  async function connectSlowly(port: number, bytes: string | Buffer, reads: boolean): Promise<void> {
    slow = connect(port, '127.0.0.1');
    slow.on('error', () => undefined).on('close', () => (closed = true));
    await once(slow, 'connect');
    if (reads) slow.resume();
    else slow.pause();
    slow.write(bytes);
  }

  const httpPort = (): number => Number(new URL(proxy.url).port);
  async function metric(name: string): Promise<number> {
    const { text } = await proxy.get('/metrics');
    return Number(new RegExp(`^redis_http_cache_proxy_${name} (\\d+)$`, 'm').exec(text)?.[1]);
  }

  /** Expects that hits are served over every protocol while the slow client is still connected. */
  async function expectOthersServed(): Promise<void> {
    expect((await proxy.key('hit', READER)).text).toBe('value');
    expect((await proxy.request('/get/hit', { headers: READER })).json).toEqual({ result: 'value' });
    const other = await RespSocket.open(respPort(proxy));
    await other.send(request('AUTH', TOKEN), request('GET', 'hit')).expect('+OK\r\n$5\r\nvalue\r\n');
    other.socket.destroy();
    await other.closed;
    expect((await proxy.get('/health/live')).status).toBe(200);
    expect(closed).toBe(false);
    expect(await metric('connections')).toBeGreaterThanOrEqual(2);
  }

  it.each([
    [
      '1 of 100 bytes of POST /v1/mget',
      `${head('POST /v1/mget', 'Content-Type: application/json', 'Content-Length: 100')}{`,
    ],
    [
      'a chunk of POST /v1/mget',
      `${head('POST /v1/mget', 'Content-Type: application/json', 'Transfer-Encoding: chunked')}1\r\n{\r\n`,
    ],
    ['1 of 100 bytes of POST /pipeline', `${head('POST /pipeline', 'Content-Length: 100')}[`],
    ['1 of 100 bytes of POST /', `${head('POST /', 'Content-Length: 100')}[`],
    ['1 of 100 bytes of GET /v1/keys/hit', `${head('GET /v1/keys/hit', 'Content-Length: 100')}x`],
    ['a part of a head', 'GET /v1/keys/hit HTTP/1.1\r\nHos'],
  ])('that sends %s', async (_, bytes) => {
    await connectSlowly(httpPort(), bytes, true);
    await until('it is there', async () => (await metric('connections')) >= 2 || undefined);
    await expectOthersServed();
  });

  it('that sends a part of a command of the Redis protocol', async () => {
    await connectSlowly(
      respPort(proxy),
      Buffer.concat([request('AUTH', TOKEN), Buffer.from('*2\r\n$3\r\nGET\r\n$100\r\nx')]),
      true,
    );
    await until('it is there', async () => (await metric('connections')) >= 2 || undefined);
    await expectOthersServed();
  });

  it.each([
    ['GET /v1/keys/large', head('GET /v1/keys/large')],
    ['POST /v1/mget', post('/v1/mget', JSON.stringify({ keys: MANY }))],
    ['POST /pipeline', post('/pipeline', `[${json('MGET', ...MANY)}]`)],
  ])('that does not read the response to %s', async (_, bytes) => {
    await connectSlowly(httpPort(), bytes, false);
    await until('its request is there', async () => (await metric('connections')) >= 2 || undefined);
    await expectOthersServed();
  });

  it('that does not read the replies of the Redis protocol', async () => {
    await connectSlowly(
      respPort(proxy),
      Buffer.concat([request('AUTH', TOKEN), request('GET', 'large'), request('GET', 'hit')]),
      false,
    );
    await until('its request is there', async () => (await metric('connections')) >= 2 || undefined);
    await expectOthersServed();
  });

  it('except with a request in flight, which does not delay health, metrics and the dashboard', async () => {
    await redis.client.set('cold', 'late');
    redis.server?.signal('SIGSTOP');
    await connectSlowly(httpPort(), head('GET /v1/keys/cold'), true);
    await until('it is loaded', async () => (await metric('loads_in_flight')) === 1 || undefined);
    let responded = false;
    const hit = proxy.key('hit', READER).finally(() => (responded = true));
    for (const path of ['/health/live', '/metrics', '/', '/dashboard/app.js', '/docs', '/openapi.json']) {
      expect([path, (await proxy.get(path)).status]).toEqual([path, 200]);
    }
    const events = connect(httpPort(), '127.0.0.1').setEncoding('latin1');
    let received = '';
    events.on('data', (text: string) => (received += text)).write(head('GET /dashboard/events'));
    await until('two events on the dashboard', () => received.split('data: ').length > 2 || undefined);
    events.destroy();
    expect(responded).toBe(false);
    redis.server?.signal('SIGCONT');
    expect((await hit).text).toBe('value');
  });

  it('after it has disconnected, even with many pipelined requests', async () => {
    await connectSlowly(httpPort(), post('/v1/mget', JSON.stringify({ keys: MANY })).repeat(20), false);
    await until('its request is there', async () => (await metric('connections')) >= 2 || undefined);
    slow.destroy();
    expect((await proxy.key('hit', READER)).text).toBe('value');
  });
});
