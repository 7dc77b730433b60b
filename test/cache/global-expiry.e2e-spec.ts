import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { keyPrefix, removeKeys, TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const TTL_MS = 60_000;
/** Maximum time that passes between two steps of a test. */
const SLACK_MS = 5_000;
/** The same for values in whole seconds. */
const WITHIN_SECOND_MS = 950;

const prefix = keyPrefix();
let redis: TestRedis;

beforeAll(async () => {
  redis = await TestRedis.start();
});
afterAll(async () => {
  await removeKeys(redis.client, prefix);
  await redis?.stop();
});

const cacheStatus = async (proxy: TestProxy, key: string) => (await proxy.key(key)).headers['cache-status'];
const STORED = 'redis-http-cache-proxy; fwd=uri-miss; stored';

/** Waits until Redis has removed an expired key. */
const untilExpiredInRedis = (key: string) =>
  until(`Redis lets ${key} go`, async () => ((await redis.client.exists(key)) === 0 ? true : undefined));

describeOwn('an entry', () => {
  let proxy: TestProxy;

  beforeAll(async () => {
    proxy = await TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: 2, CACHE_TTL_MS: TTL_MS });
    await proxy.stopClock();
  });
  afterAll(async () => {
    await proxy?.stop();
  });

  it('is served for CACHE_TTL_MS, and then reloaded', async () => {
    const key = `${prefix}expires`;
    await redis.client.set(key, 'before');
    await proxy.key(key);
    await redis.client.set(key, 'after');
    await redis.forgetCalls();

    await proxy.advance(TTL_MS - SLACK_MS);
    expect((await proxy.key(key)).text).toBe('before');
    expect(await redis.calls('get')).toBe(0);

    await proxy.advance(SLACK_MS);
    const response = await proxy.key(key);
    expect([response.text, response.headers['cache-status'], response.headers.age]).toEqual(['after', STORED, '0']);
    expect(await redis.calls('get')).toBe(1);
  });

  it('reports its age and remaining TTL in whole seconds until it expires', async () => {
    const key = `${prefix}ages`;
    await redis.client.set(key, 'value');
    await proxy.key(key);
    for (const [step, age] of [
      [4_000 - WITHIN_SECOND_MS, 4],
      [10_000, 14],
      [46_000, 60],
    ]) {
      await proxy.advance(step);
      const { headers } = await proxy.key(key);
      expect([headers.age, headers['cache-status'], headers['cache-control']]).toEqual([
        String(age),
        `redis-http-cache-proxy; hit; ttl=${60 - age}`,
        'max-age=60',
      ]);
    }
    await proxy.advance(WITHIN_SECOND_MS);
    expect(await cacheStatus(proxy, key)).toBe(STORED);
  });

  it('does not live longer when read', async () => {
    const key = `${prefix}read`;
    await redis.client.set(key, 'value');
    await proxy.key(key);
    for (let i = 0; i < 5; i++) {
      await proxy.advance((TTL_MS - SLACK_MS) / 5);
      expect(await cacheStatus(proxy, key)).toContain('; hit;');
      const revalidation = await proxy.key(key, { 'if-none-match': '*' });
      expect(revalidation.status).toBe(304);
    }
    await proxy.advance(SLACK_MS);
    expect(await cacheStatus(proxy, key)).toBe(STORED);
  });

  it('expires individually, counted from when it was stored', async () => {
    const [first, second] = [`${prefix}first`, `${prefix}second`];
    await redis.client.mset(first, '1', second, '2');
    await proxy.key(first);
    await proxy.advance(TTL_MS / 2);
    await proxy.key(second);
    await proxy.advance(TTL_MS / 2);
    expect(await cacheStatus(proxy, first)).toBe(STORED);
    expect(await cacheStatus(proxy, second)).toContain('; hit;');
  });

  it('of a deleted key results in 404 after it expires', async () => {
    const key = `${prefix}gone`;
    await redis.client.set(key, 'value');
    await proxy.key(key);
    await redis.client.del(key);
    await proxy.advance(TTL_MS);
    expect((await proxy.key(key)).status).toBe(404);
  });

  it('expires with its key if that is earlier, and reports it', async () => {
    const key = `${prefix}sooner`;
    await redis.client.set(key, 'before', 'PX', 10_900);
    const { headers } = await proxy.key(key);
    expect([headers['cache-control'], headers['cache-status']]).toEqual(['max-age=10', STORED]);
    await redis.client.set(key, 'after');
    expect(await cacheStatus(proxy, key)).toMatch(/; hit; ttl=([6-9]|10)$/);

    await proxy.advance(10_900 - SLACK_MS);
    expect((await proxy.key(key)).text).toBe('before');
    await proxy.advance(SLACK_MS);
    expect((await proxy.key(key)).text).toBe('after');
  });

  it('is not created for a missing key, whose first write is visible immediately', async () => {
    const key = `${prefix}written`;
    const missing = await proxy.key(key);
    expect([missing.status, missing.headers['cache-status']]).toEqual([404, 'redis-http-cache-proxy; fwd=uri-miss']);
    await redis.client.set(key, 'here now');
    expect((await proxy.key(key)).text).toBe('here now');
  });

  it('of a key with a longer TTL expires after CACHE_TTL_MS', async () => {
    const key = `${prefix}later`;
    await redis.client.set(key, 'value', 'PX', 10 * TTL_MS);
    expect((await proxy.key(key)).headers['cache-control']).toBe('max-age=60');
    await proxy.advance(TTL_MS);
    expect(await cacheStatus(proxy, key)).toBe(STORED);
  });
});

describe('a key that expires in Redis', () => {
  let proxy: TestProxy;

  beforeAll(async () => {
    proxy = await TestProxy.use({ REDIS_URL: redis.url, PROXY_THREADS: 2 });
  });
  afterAll(async () => {
    await proxy?.stop();
  });

  it('is 404 from then on', async () => {
    const key = `${prefix}volatile`;
    // On a busy machine it may expire before the read.
    await until('it is read', async () => {
      await redis.client.set(key, 'value', 'PX', 2000);
      return (await proxy.key(key)).text === 'value' || undefined;
    });
    await untilExpiredInRedis(key);
    // The entry may outlive the key by the difference of the clocks, and by what the load took on a busy machine.
    await until('the entry has expired', async () => ((await proxy.key(key)).status === 404 ? true : undefined), 5000);
  });
});

describeOwn('CACHE_RESPECT_KEY_TTL=false', () => {
  let proxy: TestProxy;

  beforeAll(async () => {
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      PROXY_THREADS: 2,
      CACHE_TTL_MS: TTL_MS,
      CACHE_RESPECT_KEY_TTL: 'false',
    });
    await proxy.stopClock();
  });
  afterAll(async () => {
    await proxy?.stop();
  });

  it('makes an entry outlive its key in Redis, until CACHE_TTL_MS', async () => {
    const key = `${prefix}outlives`;
    await redis.client.set(key, 'value', 'PX', 10_000);
    expect((await proxy.key(key)).headers['cache-control']).toBe('max-age=60');
    await redis.client.pexpire(key, 1);
    await untilExpiredInRedis(key);
    await proxy.advance(TTL_MS - 5_000);
    expect((await proxy.key(key)).text).toBe('value');
    await proxy.advance(5_000);
    expect((await proxy.key(key)).status).toBe(404);
  });
});

describeOwn('CACHE_NEGATIVE_TTL_MS', () => {
  let proxy: TestProxy;

  beforeAll(async () => {
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      PROXY_THREADS: 2,
      CACHE_TTL_MS: TTL_MS,
      CACHE_NEGATIVE_TTL_MS: 5_000,
    });
    await proxy.stopClock();
  });
  afterAll(async () => {
    await proxy?.stop();
  });

  it('caches that a key is missing, for that time only', async () => {
    const key = `${prefix}missing`;
    await redis.forgetCalls();
    const first = await proxy.key(key);
    expect([first.status, first.headers['cache-status']]).toEqual([404, STORED]);
    await redis.client.set(key, 'here now');

    await proxy.advance(3_000 - WITHIN_SECOND_MS);
    const second = await proxy.key(key);
    expect([second.status, second.headers['cache-status']]).toEqual([404, 'redis-http-cache-proxy; hit; ttl=2']);
    expect(second.headers['cache-control']).toBe('no-store');
    const head = await proxy.request(`/v1/keys/${key}`, { method: 'HEAD', headers: { 'if-none-match': '*' } });
    expect([head.status, head.headers['cache-status']]).toEqual([404, 'redis-http-cache-proxy; hit; ttl=2']);
    expect(await redis.calls('get')).toBe(1);

    await proxy.advance(2_000 + WITHIN_SECOND_MS);
    expect((await proxy.key(key)).text).toBe('here now');
  });

  it('does not shorten the TTL of a value', async () => {
    const key = `${prefix}present`;
    await redis.client.set(key, 'value');
    await proxy.key(key);
    await proxy.advance(TTL_MS - SLACK_MS);
    expect(await cacheStatus(proxy, key)).toContain('; hit;');
  });

  it('does not cache a value that is not a string', async () => {
    const key = `${prefix}list`;
    await redis.client.rpush(key, 'a');
    expect((await proxy.key(key)).status).toBe(409);
    await redis.client.del(key);
    await redis.client.set(key, 'value');
    expect((await proxy.key(key)).text).toBe('value');
  });
});
