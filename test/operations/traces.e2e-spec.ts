import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { describeOwn } from '../support/only-own.ts';
import { OtlpReceiver, type ReceivedSpan } from '../support/otlp-receiver.ts';
import { freePort, until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { RedisRelay } from '../support/redis-relay.ts';
import { TestRedis } from '../support/redis.ts';
import { RespSocket, request, respPort } from '../support/resp.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const READER = { authorization: 'Bearer reader' };
const SAMPLED = { ...READER, traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'vendor=1' };
const NOT_SAMPLED = { ...READER, traceparent: `00-${TRACE}-${PARENT}-00` };
const OUTCOME = 'redis_http_cache_proxy.outcome';
const SERVER = 2;
const CLIENT = 3;
const ERROR = 2;
/** A header that the fast path leaves to node:http. */
const NODE_HTTP = { te: 'trailers' };

describeOwn('traces', () => {
  let redis: TestRedis;
  let relay: RedisRelay;
  let receiver: OtlpReceiver;
  let proxy: TestProxy;
  /** The same, with two threads. */
  let threads: TestProxy;
  let keys = 0;

  beforeAll(async () => {
    redis = await TestRedis.start();
    relay = await RedisRelay.to(Number(new URL(redis.url).port));
    receiver = await OtlpReceiver.start();
    const settings = {
      REDIS_URL: relay.url,
      ACCESS_TOKEN: 'reader',
      RESP_PORT: 0,
      // A load that is held back must not time out on a slow machine.
      REDIS_COMMAND_TIMEOUT_MS: 60_000,
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-collector=secret',
      OTEL_SERVICE_NAME: 'cache-of-shop',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
      OTEL_BSP_SCHEDULE_DELAY: 20,
    };
    [proxy, threads] = await Promise.all([
      TestProxy.start({ ...settings, PROXY_THREADS: 1 }),
      TestProxy.start({ ...settings, PROXY_THREADS: 2 }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([proxy?.stop(), threads?.stop()]);
    await receiver?.stop();
    await relay?.stop();
    await redis?.stop();
  });
  beforeEach(() => void (receiver.spans.length = 0));

  /** Returns a key with a value that has not been read. */
  async function freshKey(value = 'value'): Promise<string> {
    const key = `secret:${keys++}`;
    await redis.client.set(key, value);
    return key;
  }

  /** Waits until as many spans have been received, and returns them, the earliest first to end. */
  const received = (count: number): Promise<ReceivedSpan[]> =>
    until(`${count} spans`, () => (receiver.spans.length >= count ? [...receiver.spans] : undefined));

  const get = (key: string, headers: Record<string, string>) => proxy.key(key, headers);

  /** Reads a key with its own trace and waits for its spans, which are exported after all earlier ones. */
  async function onlyThese(count: number): Promise<ReceivedSpan[]> {
    const last = '11111111111111111111111111111111';
    await get(await freshKey(), { ...READER, traceparent: `00-${last}-${PARENT}-01` });
    await until(
      'the last span',
      () => receiver.spans.filter(({ traceId }) => traceId === last).length === 2 || undefined,
    );
    const others = receiver.spans.filter(({ traceId }) => traceId !== last);
    expect(others).toHaveLength(count);
    return others;
  }

  it.each([
    ['on the fast path', {}],
    ['by node:http', NODE_HTTP],
  ])(
    'has a span of a missing request in the trace of the client, and one of its load below: %s',
    async (_, headers) => {
      const key = await freshKey();
      expect((await get(key, { ...SAMPLED, ...headers })).text).toBe('value');
      const [load, server] = await received(2);
      expect(server).toMatchObject({
        traceId: TRACE,
        parentSpanId: PARENT,
        traceState: 'vendor=1',
        name: 'GET /v1/keys/{key}',
        kind: SERVER,
        links: [],
        status: { code: 0 },
        attributes: {
          'http.request.method': 'GET',
          'http.route': '/v1/keys/{key}',
          'db.operation.name': 'GET',
          'redis_http_cache_proxy.transport': 'http',
          [OUTCOME]: 'miss',
        },
        resource: {
          'service.name': 'cache-of-shop',
          'service.version': expect.stringMatching(/^\d/) as unknown,
          'deployment.environment.name': 'test',
        },
      });
      expect(load).toMatchObject({
        traceId: TRACE,
        parentSpanId: server.spanId,
        name: 'GET',
        kind: CLIENT,
        attributes: {
          'db.system.name': 'redis',
          'db.operation.name': 'GET',
          'db.namespace': '0',
          'server.address': '127.0.0.1',
          'server.port': Number(new URL(relay.url).port),
          'redis_http_cache_proxy.value_bytes': 5,
          'redis_http_cache_proxy.requests': 1,
          'redis_http_cache_proxy.stored': true,
          [OUTCOME]: 'value',
        },
      });
      expect(server.durationMs).toBeGreaterThanOrEqual(load.durationMs);
      expect(receiver.headers[0]['x-collector']).toBe('secret');
      expect(JSON.stringify(receiver.spans)).not.toContain(key);
    },
  );

  it('has no spans of hits, and none of what the client does not sample', async () => {
    const key = await freshKey();
    await get(key, NOT_SAMPLED);
    await get(key, SAMPLED);
    await get(key, { ...SAMPLED, ...NODE_HTTP });
    await get(key, READER);
    await get(await freshKey(), { ...NOT_SAMPLED, ...NODE_HTTP });
    await onlyThese(0);
  });

  it.each(['', 'x', `00-${TRACE}-${PARENT}`, `00-${'0'.repeat(32)}-${PARENT}-01`, `ff-${TRACE}-${PARENT}-01`])(
    'starts a trace of its own if traceparent is invalid: "%s"',
    async (traceparent) => {
      await get(await freshKey(), { ...READER, traceparent });
      const [load, server] = await received(2);
      expect(server.parentSpanId).toBe('');
      expect(server.traceId).not.toBe(TRACE);
      expect(load).toMatchObject({ traceId: server.traceId, parentSpanId: server.spanId });
    },
  );

  it('links requests of all threads that wait for the load of another one to it', async () => {
    const key = await freshKey();
    /** Reads that wait for the load of another one. */
    const collapsed = async (): Promise<number> =>
      Number(/cache_collapsed_total (\d+)/.exec((await threads.get('/metrics')).text)?.[1]);
    relay.hold('data');
    const first = threads.key(key, SAMPLED);
    await until('the load is sent', () => (relay.held('data').includes('value') ? true : undefined));
    // The chance that all of them are accepted by the thread of the load is 1 in 4,096.
    const traces = [...'123456789abc'].map((digit) => digit.repeat(32));
    const others = traces.map((trace) => threads.key(key, { ...READER, traceparent: `00-${trace}-${PARENT}-01` }));
    await until('they wait', async () => (await collapsed()) === traces.length || undefined);
    relay.release('data');
    await Promise.all([first, ...others]);
    const spans = await received(2 + traces.length);
    const load = spans.find(({ kind }) => kind === CLIENT);
    const waiting = traces.map((trace) => spans.find(({ traceId }) => traceId === trace));
    for (const span of waiting) {
      expect(span).toMatchObject({
        parentSpanId: PARENT,
        links: [load?.spanId],
        attributes: { [OUTCOME]: 'collapsed' },
      });
    }
    const sameThread = waiting.filter((span) => span?.attributes['thread.id'] === load?.attributes['thread.id']);
    expect(load?.attributes['redis_http_cache_proxy.requests']).toBe(1 + sameThread.length);
  });

  it('has one span for a request for many keys, and one for each load', async () => {
    const names = [await freshKey(), await freshKey(), await freshKey()];
    await get(names[0], NOT_SAMPLED);
    await proxy.request('/v1/mget', {
      method: 'POST',
      headers: { ...SAMPLED, 'content-type': 'application/json' },
      body: JSON.stringify({ keys: names }),
    });
    const spans = await received(3);
    const server = spans.find(({ kind }) => kind === SERVER);
    expect(server).toMatchObject({
      name: 'POST /v1/mget',
      parentSpanId: PARENT,
      attributes: { 'db.operation.name': 'BATCH GET', 'db.operation.batch.size': 3, [OUTCOME]: 'hit,miss' },
    });
    const loads = spans.filter(({ kind }) => kind === CLIENT);
    expect(loads.map(({ parentSpanId }) => parentSpanId)).toEqual([server?.spanId, server?.spanId]);
  });

  it("has spans of reads over Upstash's REST API, the Redis protocol, and of other types", async () => {
    await redis.client.hset('hash', { field: 'value' });
    await proxy.get('/v1/hashes/hash/field', SAMPLED);
    await proxy.get(`/get/${await freshKey()}`, SAMPLED);
    const socket = await RespSocket.open(respPort(proxy));
    socket.send(request('AUTH', 'reader'), request('HGETALL', 'hash'));
    await until('the reply', () => (socket.received.includes('field') ? true : undefined));
    socket.socket.destroy();
    const names = (await onlyThese(6)).map(({ name, traceId, kind }) => [name, kind, traceId === TRACE]);
    expect(names).toEqual([
      ['HGET', CLIENT, true],
      ['GET /v1/hashes/{key}/{field}', SERVER, true],
      ['GET', CLIENT, true],
      ['GET /get/{key}', SERVER, true],
      ['HGETALL', CLIENT, false],
      ['HGETALL', SERVER, false],
    ]);
  });

  it('has spans of queries for TTLs, and for the type of a key in the trace of the request that read it', async () => {
    const type = expect.objectContaining({ name: 'TYPE', kind: CLIENT }) as unknown;
    for (const headers of [SAMPLED, { ...SAMPLED, ...NODE_HTTP }]) {
      receiver.spans.length = 0;
      expect((await get('hash', headers)).status).toBe(409);
      const spans = await received(3);
      const server = spans.find(({ kind }) => kind === SERVER);
      expect(server?.attributes[OUTCOME]).toBe('wrong-type');
      expect(spans).toEqual(expect.arrayContaining([type]));
      for (const { traceId, kind, parentSpanId } of spans) {
        expect([traceId, parentSpanId]).toEqual([TRACE, kind === SERVER ? PARENT : server?.spanId]);
      }
    }
    receiver.spans.length = 0;
    const body = JSON.stringify({ keys: ['hash', await freshKey()] });
    const json = { ...SAMPLED, 'content-type': 'application/json' };
    await proxy.request('/v1/mget', { method: 'POST', headers: json, body });
    expect(await received(4)).toEqual(expect.arrayContaining([type]));

    receiver.spans.length = 0;
    await proxy.get(`/ttl/${await freshKey()}`, SAMPLED);
    const [load, server] = await received(2);
    expect(server).toMatchObject({ name: 'GET /ttl/{key}', traceId: TRACE, attributes: { [OUTCOME]: 'miss' } });
    expect(load).toMatchObject({ name: 'PTTL', kind: CLIENT, parentSpanId: server.spanId });
    expect(load.attributes).toMatchObject({ 'db.operation.name': 'PTTL', [OUTCOME]: 'value' });
    expect(load.attributes).not.toHaveProperty(['redis_http_cache_proxy.stored']);
  });

  it('serves while the receiver fails, logs it once, and exports again', async () => {
    receiver.status = 400;
    for (let i = 0; i < 3; i++) {
      const exports = receiver.headers.length;
      expect((await get(await freshKey(), SAMPLED)).status).toBe(200);
      await until('an export', () => receiver.headers.length > exports || undefined);
    }
    receiver.status = 200;
    await get(await freshKey(), SAMPLED);
    await received(2);
    const lines = await until('the log', () => {
      const found = proxy.log().filter(({ message }) => /traces/.test(String(message)));
      return found.length >= 3 ? found.map(({ message, level }) => [level, message]) : undefined;
    });
    expect(lines).toEqual([
      ['info', 'traces are exported'],
      ['warn', expect.stringMatching(/^traces cannot be exported: /)],
      ['info', 'traces are exported again'],
    ]);
  });

  it('has errors as status of both spans, and exports the last spans in the drain', async () => {
    relay.reset('data');
    const failed = await until('a failure', async () => {
      relay.reset('data');
      const { status } = await get(await freshKey(), SAMPLED);
      return status === 503 ? true : undefined;
    });
    expect(failed).toBe(true);
    expect(await proxy.stop()).toBe(0);
    // The receiver is in this process, which may read the last export after the proxy has exited.
    const failures = () => receiver.spans.filter(({ status }) => status.code === ERROR);
    await eventually(() => failures().map(({ kind }) => kind), expect.arrayContaining([SERVER, CLIENT]));
    const errors = failures();
    expect(errors[0]).toMatchObject({
      status: { message: 'unavailable' },
      attributes: { 'error.type': 'unavailable', [OUTCOME]: 'unavailable' },
    });
  });
});

describeOwn('a drain while the receiver is down', () => {
  it('ends although the last spans are lost, and reports no loss of Redis', async () => {
    const redis = await TestRedis.start();
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    const proxy = await TestProxy.start({ REDIS_URL: redis.url, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint });
    try {
      expect((await proxy.key('missing')).status).toBe(404);
      expect(await proxy.stop()).toBe(0);
      const messages = proxy.log().map(({ message }) => message);
      expect(messages).toContain('shutdown complete');
      expect(messages.filter((message) => /Redis is (?:still )?not reachable/.test(String(message)))).toEqual([]);
    } finally {
      await proxy.stop();
      await redis.stop();
    }
  });
});

describeOwn('the bundle of worker threads', () => {
  it('imports the SDK for traces on demand only', () => {
    const folder = fileURLToPath(new URL('../../dist/runtime/', import.meta.url));
    const imported = new Set<string>();
    const follow = (file: string): void => {
      if (imported.has(file)) return;
      imported.add(file);
      const code = readFileSync(join(folder, file), 'utf8');
      for (const [, found] of code.matchAll(/\bfrom"\.\/([^"]+)"|\bimport"\.\/([^"]+)"/g)) if (found) follow(found);
    };
    follow('worker.js');
    const withSdk = readdirSync(folder).filter((file) =>
      readFileSync(join(folder, file), 'utf8').includes('BatchSpanProcessor'),
    );
    expect(imported.size).toBeGreaterThan(5);
    expect(withSdk).toHaveLength(1);
    expect([...imported]).not.toContain(withSdk[0]);
  });
});
