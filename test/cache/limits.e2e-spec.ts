import { Agent } from 'node:http';
import { type Socket, connect } from 'node:net';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { exchange } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { RedisRelay } from '../support/redis-relay.ts';
import { TestRedis } from '../support/redis.ts';

describeOwn('limits of the whole instance', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let sockets: Socket[];
  let agent: Agent;

  beforeEach(async () => {
    redis = await TestRedis.start();
    sockets = [];
    agent = new Agent({ keepAlive: true });
  });
  afterEach(async () => {
    redis.server?.signal('SIGCONT');
    for (const socket of sockets) socket.destroy();
    agent.destroy();
    await proxy.stop();
    await redis.stop();
  });

  const start = async (settings: Record<string, string | number>): Promise<TestProxy> =>
    (proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      PROXY_THREADS: 2,
      // Connections that send nothing stay open.
      HTTP_HEADERS_TIMEOUT_MS: 60_000,
      ...settings,
    }));

  /** Opens connections that send nothing. */
  async function idle(count: number): Promise<Socket[]> {
    const opened = Array.from({ length: count }, () => connect(Number(new URL(proxy.url).port), '127.0.0.1'));
    sockets.push(...opened);
    await Promise.all(
      opened.map((socket) =>
        once(
          socket.on('error', () => undefined),
          'connect',
        ),
      ),
    );
    return opened;
  }

  async function metric(name: string): Promise<number> {
    const { text } = await proxy.request('/metrics', { agent });
    return Number(new RegExp(`^redis_http_cache_proxy_${name} (\\S+)$`, 'm').exec(text)?.[1]);
  }

  /** Opens connections until the proxy has so many, one of which is that of {@link metric}. */
  async function fill(count: number): Promise<void> {
    const open = async (expected: number): Promise<true> =>
      until(`${expected} connections`, async () => (await metric('connections')) === expected || undefined);
    // Earlier ones may still be closing.
    await open(1);
    await idle(count - 1);
    await open(count);
  }

  it('PROXY_MAX_CONNECTIONS: one more connection receives 503 with Retry-After and is closed, until another one has closed', async () => {
    await start({ PROXY_MAX_CONNECTIONS: 5 });
    await fill(5);
    const refused = await exchange(proxy.url, 'GET /v1/keys/key HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(refused).toMatch(/^HTTP\/1.1 503 Service Unavailable\r\n/);
    expect(refused).toMatch(/\r\nRetry-After: 1\r\n/);
    expect(refused).toMatch(/\r\nConnection: close\r\n/);
    expect(refused).toContain('"code":"overloaded"');
    sockets.pop()?.destroy();
    await until('one has gone', async () => ((await metric('connections')) === 4 ? true : undefined));
    const served = await exchange(proxy.url, 'GET /v1/keys/key HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(served).toMatch(/^HTTP\/1.1 404 /);
  });

  it.each(['parallel', 'sequential'])(
    'PROXY_MAX_CONNECTIONS, %s: health probes are answered at the limit, one to a connection; nothing else is',
    async (mode) => {
      await start({ PROXY_MAX_CONNECTIONS: 50, PROXY_THREADS: 1, PROXY_MODE: mode });
      await fill(50);
      for (const path of ['/health/live', '/health/ready']) {
        for (const method of ['GET', 'HEAD']) {
          const response = await exchange(proxy.url, `${method} ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
          expect(response).toMatch(/^HTTP\/1.1 200 OK\r\n/);
          expect(response).toMatch(/\r\nConnection: close\r\n/);
        }
      }
      const late = 'GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n';
      expect((await exchange(proxy.url, late)).match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 200']);
      for (const other of [
        'GET /v1/keys/key',
        'GET /metrics',
        'GET /healthy',
        'POST /health/live',
        'GET  /health/live',
      ]) {
        expect(await exchange(proxy.url, `${other} HTTP/1.1\r\nHost: x\r\n\r\n`)).toMatch(/^HTTP\/1.1 503 /);
      }
    },
  );

  it('PROXY_MAX_CONNECTIONS: a flood of further connections does not block health probes and is closed', async () => {
    await start({ PROXY_MAX_CONNECTIONS: 5, PROXY_THREADS: 1 });
    await fill(5);
    const beyond = await idle(40);
    for (const socket of beyond.slice(20)) socket.write('GET /health/live HTTP/1.1\r\nHost:');
    const responses = beyond.map((socket) => once(socket.setEncoding('latin1'), 'data'));
    expect(await exchange(proxy.url, 'GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n')).toMatch(/^HTTP\/1.1 200 /);
    for (const [response] of await Promise.all(responses)) expect(response).toMatch(/^HTTP\/1.1 503 /);
  });

  it('a rejected client cannot keep its connection by sending single bytes', async () => {
    await start({ PROXY_MAX_CONNECTIONS: 1, PROXY_THREADS: 1 });
    await fill(1);
    const socket = connect(Number(new URL(proxy.url).port), '127.0.0.1');
    sockets.push(socket);
    socket.on('error', () => undefined);
    const trickle = setInterval(() => socket.write('x'), 100);
    await new Promise((resolve) => socket.once('close', resolve));
    clearInterval(trickle);
  });

  it('PROXY_MAX_CONCURRENT_LOADS and PROXY_MAX_QUEUED_LOADS: further loads receive 503 immediately, hits are served', async () => {
    await start({ PROXY_MAX_CONCURRENT_LOADS: 2, PROXY_MAX_QUEUED_LOADS: 3, REDIS_COMMAND_TIMEOUT_MS: 20_000 });
    await redis.client.mset({ hot: 'value', ...Object.fromEntries([...'abcdef'].map((key) => [key, key])) });
    await proxy.get('/v1/keys/hot');
    redis.server?.signal('SIGSTOP');
    const loads = [...'abcde'].map((key) => proxy.get(`/v1/keys/${key}`));
    await until('the queue is full', async () =>
      (await metric('loads_in_flight')) === 2 && (await metric('loads_queued')) === 3 ? true : undefined,
    );
    const refused = await proxy.get('/v1/keys/f');
    expect(refused).toMatchObject({ status: 503, json: { code: 'overloaded' } });
    expect(refused.headers['retry-after']).toBe('1');
    expect(await proxy.get('/v1/keys/hot')).toMatchObject({ status: 200, text: 'value' });
    redis.server?.signal('SIGCONT');
    expect((await Promise.all(loads)).map(({ text }) => text)).toEqual([...'abcde']);
    await eventually(() => metric('loads_in_flight'), 0);
    await eventually(() => metric('load_queue_duration_seconds_count'), 3);
  });

  it('a load that is queued for too long receives 503', async () => {
    // A load that follows one that timed out must end before two seconds of silence end the connection.
    await start({ PROXY_MAX_CONCURRENT_LOADS: 1, REDIS_COMMAND_TIMEOUT_MS: 500 });
    redis.server?.signal('SIGSTOP');
    const responses = await Promise.all([...'abcdefgh'].map((key) => proxy.get(`/v1/keys/${key}`)));
    const codes = responses.map(({ json }) => json.code).sort();
    expect(codes).toContain('redis-timeout');
    expect(codes).toContain('overloaded');
    expect(new Set(codes)).toEqual(new Set(['overloaded', 'redis-timeout']));
  });

  it('HTTP_MAX_HEADER_BYTES: a larger request head is rejected; HTTP_KEEP_ALIVE_TIMEOUT_MS: an idle connection is closed', async () => {
    await start({ HTTP_MAX_HEADER_BYTES: 4096, HTTP_KEEP_ALIVE_TIMEOUT_MS: 100, PROXY_THREADS: 1 });
    const response = await exchange(proxy.url, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(5000)}\r\n\r\n`);
    expect(response).toMatch(/^HTTP\/1.1 431 [^]*application\/problem\+json[^]*"code":"head-too-large"/);
    expect(await exchange(proxy.url, 'GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n')).toMatch(/^HTTP\/1.1 200 /);
  });

  it('HTTP_HEADERS_TIMEOUT_MS: a late request head results in 408 and a closed connection', async () => {
    // A connection is closed without a response if nothing is received in time, as from a test that cannot run.
    await start({ HTTP_HEADERS_TIMEOUT_MS: 2000, PROXY_THREADS: 1 });
    expect(await exchange(proxy.url, 'GET / HTTP/1.1\r\nHost: x\r\n')).toMatch(
      /^HTTP\/1.1 408 [^]*"code":"request-timeout"/,
    );
  });
});

describeOwn('PROXY_MODE=sequential', () => {
  it('starts a request after the previous response: loads never overlap', async () => {
    const redis = await TestRedis.start();
    const proxy = await TestProxy.start({ REDIS_URL: redis.url, PROXY_MODE: 'sequential' });
    try {
      // Each key is read once by GET; overlapping reads would reach Redis in one tick.
      const names = Array.from({ length: 20 }, (_, i) => `key${i}`);
      await redis.client.mset(Object.fromEntries(names.map((name) => [name, name])));
      const monitor = await redis.client.monitor();
      const seen: string[] = [];
      monitor.on('monitor', (_time: string, [command, key]: string[]) => seen.push(`${command.toLowerCase()} ${key}`));
      const responses = await Promise.all(names.map((name) => proxy.key(name)));
      expect(responses.map(({ text }) => text)).toEqual(names);
      await until('all was seen', () =>
        seen.filter((line) => line.startsWith('pttl')).length === 20 ? true : undefined,
      );
      const reads = seen.filter((line) => /^(get|pttl) /.test(line));
      for (let i = 0; i < reads.length; i += 2) expect(reads[i + 1]).toBe(reads[i].replace('get', 'pttl'));
      const { text } = await proxy.get('/metrics');
      expect(text).toMatch(/^redis_http_cache_proxy_threads 1$/m);
      monitor.disconnect();
    } finally {
      await proxy.stop();
      await redis.stop();
    }
  });

  it('delays a hit until the load in flight has ended', async () => {
    const redis = await TestRedis.start();
    const relay = await RedisRelay.to(redis.port);
    const proxy = await TestProxy.start({
      REDIS_URL: relay.url,
      PROXY_MODE: 'sequential',
      REDIS_COMMAND_TIMEOUT_MS: 20_000,
    });
    try {
      await redis.client.mset({ hot: 'hot', cold: 'cold' });
      await proxy.key('hot');
      relay.hold('data');
      const cold = proxy.key('cold');
      await until('the load is in flight', () => relay.held('data').includes('cold') || undefined);
      let responded = false;
      const hot = proxy.key('hot').finally(() => (responded = true));
      await delay(200);
      expect(responded).toBe(false);
      relay.release('data');
      expect([(await cold).text, (await hot).text]).toEqual(['cold', 'hot']);
      expect((await hot).headers['cache-status']).toContain('; hit;');
    } finally {
      await proxy.stop();
      await relay.stop();
      await redis.stop();
    }
  });
});
