import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { TestResponse } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const TTL_MS = 60_000;
const LONG_TIMEOUT = { REDIS_COMMAND_TIMEOUT_MS: 20_000, ADMIN_TOKEN: 'operator' };

describeOwn('a request with Cache-Control', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let keys = 0;
  let key: string;
  const others: TestProxy[] = [];

  beforeAll(async () => {
    redis = await TestRedis.start();
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      PROXY_THREADS: 2,
      CACHE_TTL_MS: TTL_MS,
      CACHE_NEGATIVE_TTL_MS: TTL_MS,
      REDIS_COMMAND_TIMEOUT_MS: 4000,
    });
    await proxy.stopClock();
  });
  afterEach(() => redis.server?.signal('SIGCONT'));
  afterAll(async () => {
    await Promise.all(others.map((other) => other.stop()));
    await proxy?.stop();
    await redis?.stop();
  });
  beforeEach(async () => {
    key = `key${keys++}`;
    await redis.client.set(key, 'old');
    await proxy.key(key);
    await redis.client.set(key, 'new');
    await redis.forgetCalls();
  });

  const readWith = async (cacheControl: string, more: Readonly<Record<string, string>> = {}) =>
    summaryOf(await proxy.key(key, { 'cache-control': cacheControl, ...more }));
  const summaryOf = ({ status, text, headers }: TestResponse) => [
    status,
    text,
    String(headers['cache-status']).replace('redis-http-cache-proxy; ', ''),
  ];
  const HIT = expect.stringMatching(/^hit; ttl=\d+$/);

  it.each(['no-cache', 'max-age=0', 'NO-CACHE', 'no-store, no-cache', 'max-age="0"'])(
    'with %s receives the current value of Redis, and so do all later requests',
    async (directives) => {
      expect(await readWith(directives)).toEqual([200, 'new', 'fwd=request; stored']);
      expect(summaryOf(await proxy.key(key))).toEqual([200, 'new', HIT]);
      expect(await redis.calls('get')).toBe(1);
    },
  );

  it('accepts Pragma: no-cache in place of Cache-Control', async () => {
    expect(await readWith('max-stale', { pragma: 'no-cache' })).toEqual([200, 'old', HIT]);
    expect(summaryOf(await proxy.key(key, { pragma: 'no-cache' }))).toEqual([200, 'new', 'fwd=request; stored']);
  });

  it('receives nothing older than max-age', async () => {
    await proxy.advance(5_500);
    expect(await readWith('max-age=8')).toEqual([200, 'old', HIT]);
    expect(await readWith('max-age=5')).toEqual([200, 'new', 'fwd=request; stored']);
    expect(await readWith('max-age=5')).toEqual([200, 'new', HIT]);
  });

  it('receives 304 if the reloaded value matches', async () => {
    const { headers } = await proxy.key(key, { 'cache-control': 'no-cache' });
    expect(await readWith('no-cache', { 'if-none-match': String(headers.etag) })).toEqual([
      304,
      '',
      'fwd=request; stored',
    ]);
    const head = await proxy.request(`/v1/keys/${key}`, { method: 'HEAD', headers: { 'cache-control': 'no-cache' } });
    expect(summaryOf(head)).toEqual([200, '', 'fwd=request; stored']);
    expect(head.headers['content-length']).toBe('3');
  });

  it('with only-if-cached is served from the cache only', async () => {
    expect(await readWith('only-if-cached')).toEqual([200, 'old', HIT]);
    expect(await readWith('only-if-cached, max-age=0')).toEqual([504, expect.any(String), 'detail=only-if-cached']);
    const response = await proxy.key('not held', { 'cache-control': 'only-if-cached' });
    expect(response.json).toMatchObject({ status: 504, code: 'not-cached' });
    expect(response.headers).toMatchObject({ 'content-type': 'application/problem+json', 'cache-control': 'no-store' });
    expect(await redis.calls('get')).toBe(0);
  });

  it('reloads a negative entry', async () => {
    await proxy.key('absent');
    await redis.client.set('absent', 'here now');
    expect((await proxy.key('absent', { 'cache-control': 'only-if-cached' })).status).toBe(404);
    const response = await proxy.key('absent', { 'cache-control': 'no-cache' });
    expect(summaryOf(response)).toEqual([200, 'here now', 'fwd=request; stored']);
    expect(summaryOf(await proxy.key('absent'))).toEqual([200, 'here now', HIT]);
  });

  it('receives 404 for a deleted key, and so do all later requests', async () => {
    await redis.client.del(key);
    const response = await proxy.key(key, { 'cache-control': 'no-cache' });
    expect([response.status, response.headers['cache-status']]).toEqual([
      404,
      'redis-http-cache-proxy; fwd=request; stored',
    ]);
    expect((await proxy.key(key)).status).toBe(404);
  });

  it('shares a load with concurrent requests: those during a load share the next one', async () => {
    const own = await TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: 2, ...LONG_TIMEOUT });
    others.push(own);
    await own.key(key);
    await redis.client.set(key, 'newer');
    redis.server?.signal('SIGSTOP');
    const responses = Array.from({ length: 50 }, () => own.key(key, { 'cache-control': 'no-cache' }));
    await until('all have asked', async () => {
      const { misses, collapsed } = await own.stats();
      return misses + collapsed === 51 ? true : undefined;
    });
    redis.server?.signal('SIGCONT');
    for (const { status, text } of await Promise.all(responses)) expect([status, text]).toEqual([200, 'newer']);
    // The first load, the one shared by its waiters, and perhaps one of a thread that was notified late.
    expect((await own.stats()).loads).toBeLessThanOrEqual(1 + 3);
  });

  it('receives the failure when Redis is unresponsive, never the entry, which other requests still hit', async () => {
    redis.server?.signal('SIGSTOP');
    const failing = readWith('no-cache');
    expect(summaryOf(await proxy.key(key))).toEqual([200, 'old', HIT]);
    expect(await failing).toEqual([504, expect.stringContaining('redis-timeout'), 'fwd=request']);
    expect(summaryOf(await proxy.key(key))).toEqual([200, 'old', HIT]);
  });

  it.each(['on', 'off'])('changes nothing with HTTP_REQUEST_CACHE_CONTROL=ignore (fast path %s)', async (fastPath) => {
    const settings = { HTTP_REQUEST_CACHE_CONTROL: 'ignore', HTTP_FAST_PATH: fastPath };
    const own = await TestProxy.start({ REDIS_URL: redis.url, ...settings });
    others.push(own);
    await redis.client.hset(`hash of ${key}`, 'field', 'old');
    const read = async (path: string, [name, value]: readonly [string, string]) =>
      summaryOf(await own.request(path, { headers: { [name]: value } }));
    const paths = [`/v1/keys/${key}`, `/v1/hashes/hash of ${key}/field`.replaceAll(' ', '%20')];
    for (const path of paths) expect((await read(path, ['cache-control', 'only-if-cached']))[0]).toBe(200);
    await redis.client.set(key, 'newer');
    for (const path of paths) {
      for (const header of [
        ['cache-control', 'no-cache'],
        ['cache-control', 'max-age=0'],
        ['pragma', 'no-cache'],
      ] as const) {
        expect(await read(path, header)).toEqual([200, expect.not.stringContaining('newer'), HIT]);
      }
    }
  });
});
