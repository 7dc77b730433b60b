import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestResponse } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { respPort } from '../support/resp.ts';

const TTL_MS = 60_000;
const STALE_MS = 30_000;
const LARGE = Buffer.alloc(200_000, 'large');
/** Three seconds after all values have expired. */
const AFTER_STALE_MS = TTL_MS + 3_500;
const SETTINGS = {
  PROXY_THREADS: 2,
  CACHE_TTL_MS: TTL_MS,
  CACHE_NEGATIVE_TTL_MS: TTL_MS,
  CACHE_STALE_IF_ERROR_MS: STALE_MS,
  ADMIN_TOKEN: 'operator',
};
const STALE = /^redis-http-cache-proxy; hit; ttl=-(\d+); detail=stale-if-error$/;

/** Expects a stale value with the right age. */
function expectStale(response: Pick<TestResponse, 'headers'>): void {
  const [, expiredS = 'not told'] = STALE.exec(String(response.headers['cache-status'])) ?? [];
  expect(Number(expiredS)).toBe(Math.ceil((AFTER_STALE_MS - TTL_MS) / 1000));
  expect(Number(response.headers.age)).toBe(TTL_MS / 1000 + Number(expiredS));
}

const codeOf = ({ status, json }: TestResponse) => [status, (json as { code?: string }).code];

describeOwn('CACHE_STALE_IF_ERROR_MS, while Redis is unreachable,', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let etag: string | undefined;

  beforeAll(async () => {
    redis = await TestRedis.start();
    proxy = await TestProxy.start({ ...SETTINGS, REDIS_URL: redis.url, RESP_PORT: 0 });
    await proxy.stopClock();
    await redis.client.mset('held', 'value of held', 'empty', '', 'large', LARGE, 'purged', 'value of purged');
    await redis.client.mset('deleted', 'once', 'retyped', 'once');
    for (const key of ['empty', 'large', 'purged', 'missing', 'deleted', 'retyped']) await proxy.key(key);
    ({ etag } = (await proxy.key('held')).headers);
    const client = new Redis(respPort(proxy), { lazyConnect: true });
    await client.connect();
    expect(await client.strlen('large')).toBe(LARGE.length);
    expect(await client.exists('held', 'empty')).toBe(2);
    client.disconnect();
    await redis.client.del('deleted', 'retyped');
    await redis.client.rpush('retyped', 'an element');
    await proxy.advance(AFTER_STALE_MS);
    for (const key of ['deleted', 'retyped']) await proxy.key(key);
    await redis.server?.stop('SIGKILL');
  });
  afterAll(async () => {
    await proxy?.stop();
    await redis?.stop();
  });

  it('serves an expired value and reports it', async () => {
    const response = await proxy.key('held');
    expect([response.status, response.text]).toEqual([200, 'value of held']);
    expect(response.headers).toMatchObject({ etag, 'content-length': '13' });
    expectStale(response);
  });

  it.each([
    ['empty', Buffer.alloc(0)],
    ['large', LARGE],
  ])('serves %s', async (key, value) => {
    const response = await proxy.key(key);
    expect([response.status, response.body.equals(value)]).toEqual([200, true]);
    expectStale(response);
  });

  it('applies to HEAD and If-None-Match', async () => {
    const head = await proxy.request('/v1/keys/held', { method: 'HEAD' });
    expect([head.status, head.headers.etag, head.headers['content-length']]).toEqual([200, etag, '13']);
    expectStale(head);
    const unchanged = await proxy.key('held', { 'if-none-match': String(etag) });
    expect([unchanged.status, unchanged.headers.etag]).toEqual([304, etag]);
    expectStale(unchanged);
  });

  it('applies to multi-key reads', async () => {
    const body = JSON.stringify({ keys: ['held', 'cold'] });
    const response = await proxy.request('/v1/mget', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    expect(response.json).toMatchObject({
      results: [
        { status: 200, value: 'value of held', etag, cacheStatus: 'stale' },
        { status: 503, code: 'redis-unavailable', cacheStatus: 'not-stored' },
      ],
    });
  });

  it('applies to the Redis protocol', async () => {
    const client = new Redis(respPort(proxy), { lazyConnect: true });
    await client.connect();
    expect(await client.get('held')).toBe('value of held');
    expect(await client.mget('held', 'empty')).toEqual(['value of held', '']);
    expect(await client.strlen('large')).toBe(LARGE.length);
    expect(await client.exists('held', 'empty')).toBe(2);
    await expect(client.get('cold')).rejects.toThrow('UNAVAILABLE');
    client.disconnect();
  });

  it('is counted', async () => {
    const before = (await proxy.stats()).stale;
    await proxy.key('held');
    expect((await proxy.stats()).stale).toBe(before + 1);
    const { text } = await proxy.get('/metrics');
    expect(text).toMatch(/^redis_http_cache_proxy_requests_total\{transport="http",outcome="stale"\} [1-9]/m);
    expect(text).toMatch(/^redis_http_cache_proxy_requests_total\{transport="resp",outcome="stale"\} [1-9]/m);
  });

  it.each([
    ['was never held', 'cold'],
    ['was remembered to be missing', 'missing'],
    ['was found not to be a string later', 'retyped'],
  ])('responds with 503 for a key that %s', async (_, key) => {
    const response = await proxy.key(key);
    expect(codeOf(response)).toEqual([503, 'redis-unavailable']);
    expect(response.headers['retry-after']).toBeDefined();
    expect(response.headers['cache-status']).toBe('redis-http-cache-proxy; fwd=uri-miss');
  });

  it('responds with 404 for a key that was found deleted later', async () => {
    expect(codeOf(await proxy.key('deleted'))).toEqual([404, 'key-not-found']);
  });

  it.each([
    ['no-cache', 503],
    ['max-age=1000', 503],
    ['only-if-cached', 504],
  ])('does not apply to a request with %s', async (directives, status) => {
    expect((await proxy.key('held', { 'cache-control': directives })).status).toBe(status);
    expectStale(await proxy.key('held'));
  });

  it('serves no purged value', async () => {
    expect((await proxy.key('purged')).status).toBe(200);
    expect((await proxy.admin('DELETE', '/v1/cache/purged')).json).toEqual({ purged: true });
    expect(codeOf(await proxy.key('purged'))).toEqual([503, 'redis-unavailable']);
  });

  // These two tests must be the last ones, because they advance the clock.
  it('serves no value for longer than that', async () => {
    await proxy.advance(TTL_MS + STALE_MS - AFTER_STALE_MS);
    const response = await proxy.key('held');
    expect(codeOf(response)).toEqual([503, 'redis-unavailable']);
  });

  it('reads Redis first once it is reachable', async () => {
    const restarted = await redis.restart();
    redis = restarted;
    await proxy.ready();
    await redis.client.set('back', 'before');
    await proxy.key('back');
    await redis.client.set('back', 'after');
    await proxy.advance(AFTER_STALE_MS);
    const response = await proxy.key('back');
    expect([response.text, response.headers['cache-status']]).toEqual([
      'after',
      'redis-http-cache-proxy; fwd=stale; stored',
    ]);
  });
});

describeOwn('CACHE_STALE_IF_ERROR_MS, for a key that has expired in Redis,', () => {
  it.each([
    ['true', 'serves nothing', 503],
    ['false', 'serves the value all the same, as that TTL is not read', 200],
  ])('with CACHE_RESPECT_KEY_TTL=%s %s', async (respected, _, status) => {
    const redis = await TestRedis.start();
    let proxy: TestProxy | undefined;
    try {
      const settings = { ...SETTINGS, PROXY_THREADS: 1, CACHE_RESPECT_KEY_TTL: respected };
      proxy = await TestProxy.start({ ...settings, REDIS_URL: redis.url });
      await redis.client.set('mortal', 'value', 'PX', TTL_MS + 1000);
      expect((await proxy.key('mortal')).text).toBe('value');
      await redis.server?.stop('SIGKILL');
      await proxy.advance(AFTER_STALE_MS);
      expect((await proxy.key('mortal')).status).toBe(status);
    } finally {
      await proxy?.stop();
      await redis.stop();
    }
  });
});

describeOwn('while Redis is unresponsive', () => {
  let redis: TestRedis;
  let proxy: TestProxy;

  const start = async (settings: object): Promise<void> => {
    redis = await TestRedis.start();
    proxy = await TestProxy.start({ ...SETTINGS, REDIS_URL: redis.url, ...settings });
    await proxy.stopClock();
    await redis.client.set('held', 'value of held');
    await proxy.key('held');
    await proxy.advance(AFTER_STALE_MS);
    redis.server?.signal('SIGSTOP');
  };
  const end = async (): Promise<void> => {
    redis?.server?.signal('SIGCONT');
    await proxy?.stop();
    await redis?.stop();
  };

  describe('with CACHE_STALE_IF_ERROR_MS', () => {
    // Long enough for all of them to arrive.
    beforeAll(() => start({ REDIS_COMMAND_TIMEOUT_MS: 5000 }));
    afterAll(end);

    it('all waiting requests of all threads receive the stale value after one read', async () => {
      const before = await proxy.stats();
      const responses = await Promise.all(Array.from({ length: 40 }, () => proxy.key('held')));
      for (const response of responses) {
        expect([response.status, response.text]).toEqual([200, 'value of held']);
        expectStale(response);
      }
      const after = await proxy.stats();
      expect([after.loads - before.loads, after.stale - before.stale]).toEqual([1, 40]);
    });
  });

  describe('without CACHE_STALE_IF_ERROR_MS', () => {
    beforeAll(() => start({ CACHE_STALE_IF_ERROR_MS: 0, REDIS_COMMAND_TIMEOUT_MS: 1000 }));
    afterAll(end);

    it('all receive the failure', async () => {
      const response = await proxy.key('held');
      expect(codeOf(response)).toEqual([504, 'redis-timeout']);
      expect(response.headers['cache-status']).toBe('redis-http-cache-proxy; fwd=uri-miss');
    });
  });
});
