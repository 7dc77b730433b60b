import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { RUNNING, TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

/** The Redis protocol is off unless a test enables it. */
const READY = {
  ...{ status: 'ok', redis: 'ok', coherence: 'ttl' },
  ...{ fastPath: 'ok', redisProtocol: 'off' },
};

let redis: TestRedis;
let proxy: TestProxy;

beforeAll(async () => {
  redis = await TestRedis.start();
  proxy = await TestProxy.use({ REDIS_URL: redis.url, PROXY_THREADS: 2, ADMIN_TOKEN: 'admin' });
});
afterAll(async () => {
  await proxy?.stop();
  await redis?.stop();
});

describe('health', () => {
  it.each<[string, object]>([
    ['/health/live', { status: 'ok' }],
    // A proxy that PROXY_URL names may have the Redis protocol on, as those of docker-compose.yml have.
    ['/health/ready', RUNNING === undefined ? READY : { ...READY, redisProtocol: expect.stringMatching(/^(ok|off)$/) }],
  ])('GET %s responds 200 with JSON, without authentication, not cacheable', async (path, body) => {
    const response = await proxy.get(path);
    expect([response.status, response.json]).toEqual([200, body]);
    expect(response.headers).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-store' });
    expect(response.headers.etag).toBeUndefined();
  });

  it.each(['/health/live', '/health/ready'])('HEAD %s responds with the same headers, without a body', async (path) => {
    const [get, head] = [await proxy.get(path), await proxy.request(path, { method: 'HEAD' })];
    expect([head.status, head.body.length]).toEqual([200, 0]);
    expect(head.headers['content-length']).toBe(get.headers['content-length']);
  });
});

describeOwn('readiness', () => {
  const ready = async (status: number) =>
    until(`/health/ready responds ${status}`, async () => {
      const responses = await Promise.all(Array.from({ length: 10 }, () => proxy.get('/health/ready')));
      return responses.every((response) => response.status === status) ? responses[0] : undefined;
    });

  it('reads from Redis at most once per second and thread', async () => {
    await proxy.advance(1000);
    await redis.forgetCalls();
    const one = async () => expect((await proxy.get('/health/ready')).status).toBe(200);
    const start = performance.now();
    await Promise.all(Array.from({ length: 50 }, one));
    for (let i = 0; i < 20; i++) await one();
    const seconds = Math.ceil((performance.now() - start) / 1000);
    for (const command of ['get', 'pttl']) {
      const calls = await redis.calls(command);
      expect(calls).toBeGreaterThanOrEqual(1);
      expect(calls).toBeLessThanOrEqual(2 * seconds);
    }
    expect(await redis.calls('ping')).toBe(0);
  });

  it('fails while Redis is down and recovers with it, while liveness succeeds', async () => {
    for (let round = 0; round < 3; round++) {
      await redis.server?.stop('SIGKILL');
      expect((await ready(503)).json).toEqual({
        ...READY,
        ...{ status: 'unavailable', redis: 'unavailable', reasons: [expect.stringMatching(/^Redis: \w+$/)] },
      });
      expect((await proxy.get('/health/live')).status).toBe(200);
      redis = await redis.restart();
      expect((await ready(200)).json).toEqual(READY);
    }
  });
});

describeOwn('self-check for readiness', () => {
  let own: TestProxy;
  afterEach(async () => {
    await own?.stop();
  });

  const settings = { PROXY_THREADS: 1, RESP_PORT: 0, ADMIN_TOKEN: 'admin' };

  it('ignores tokens and the allow-list, evicts no entry, and is not counted as a read', async () => {
    const token = { authorization: 'Bearer reader' };
    own = await TestProxy.start({
      ...{ ...settings, REDIS_URL: redis.url, CACHE_CAPACITY: 1 },
      ...{ ACCESS_TOKEN: 'reader', KEY_ALLOWLIST: 'app:*' },
    });
    await redis.client.set('app:key', 'value');
    await own.key('app:key', token);
    const before = await own.stats();
    expect((await own.get('/health/ready')).json).toEqual({ ...READY, redisProtocol: 'ok' });
    expect(await own.stats()).toMatchObject({ entries: 1, hits: before.hits, misses: before.misses, loads: 1 });
    expect((await own.key('app:key', token)).headers['cache-status']).toContain('; hit;');
    const { text } = await own.get('/metrics');
    expect(text).toMatch(/^redis_http_cache_proxy_requests_total{transport="http",outcome="hit"} 1$/m);
    expect(text).not.toMatch(/^redis_http_cache_proxy_requests_total{transport="resp",outcome="\w+"} [1-9]/m);
    // The connection of this request; those of the self-check are not counted.
    expect(text).toMatch(/^redis_http_cache_proxy_connections [12]$/m);
  });

  it.each([
    ['PROXY_MODE=sequential', { PROXY_MODE: 'sequential' }],
    ['HTTP_FAST_PATH=off', { HTTP_FAST_PATH: 'off' }],
  ])('reports the fast path as off, and does not wait for other requests: %s', async (_, mode) => {
    own = await TestProxy.start({ ...settings, REDIS_URL: redis.url, ...mode });
    expect((await own.get('/health/ready')).json).toEqual({ ...READY, fastPath: 'off', redisProtocol: 'ok' });
  });

  it('does not use the ports: succeeds with another HTTP_HOST', async () => {
    own = await TestProxy.start({ ...settings, REDIS_URL: redis.url, HTTP_HOST: '127.0.0.2' });
    expect((await own.get('/health/ready')).json).toEqual({ ...READY, redisProtocol: 'ok' });
  });
});
