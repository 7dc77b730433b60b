import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { itOwn } from '../support/only-own.ts';
import { keyPrefix, removeKeys, RUNNING, TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const OWN_TTL_MS = 3_600_000;
const ttlMs = RUNNING === undefined ? OWN_TTL_MS : Number(process.env.CACHE_TTL_MS ?? 60_000);

const describeTwo = RUNNING === undefined || RUNNING.length > 1 ? describe : describe.skip;
const itExpires = TestProxy.canAdvance(ttlMs) ? it : it.skip;
const itAdmin = RUNNING === undefined || process.env.ADMIN_TOKEN ? it : it.skip;
const unless = (possible: boolean, reason: string) => (possible ? '' : ` (skipped: ${reason})`);

describeTwo(`two proxies on one Redis${unless(RUNNING?.length !== 1, 'PROXY_URL names only one')}`, () => {
  const prefix = keyPrefix();
  let redis: TestRedis;
  let one: TestProxy;
  let other: TestProxy;

  beforeAll(async () => {
    redis = await TestRedis.start();
    const settings = { REDIS_URL: redis.url, PROXY_THREADS: 2, CACHE_TTL_MS: OWN_TTL_MS, ADMIN_TOKEN: 'admin' };
    [one, other] = await Promise.all([TestProxy.use(settings, 0), TestProxy.use(settings, 1)]);
  });
  afterAll(async () => {
    await Promise.all([one?.stop(), other?.stop()]);
    await removeKeys(redis.client, prefix);
    await redis.stop();
  });

  const text = async (proxy: TestProxy, key: string) => (await proxy.key(key)).text;
  const both = (key: string) => Promise.all([text(one, key), text(other, key)]);
  const advance = (ms: number) => Promise.all([one.advance(ms), other.advance(ms)]);

  it('respond with the same bytes and the same ETag, so that a client may use either', async () => {
    const key = `${prefix}same`;
    await redis.client.set(key, Buffer.from([0, 255, 10, 13, 128]));
    const [a, b] = [await one.key(key), await other.key(key)];
    expect(b.body.equals(a.body)).toBe(true);
    expect(b.headers.etag).toBe(a.headers.etag);
    expect((await other.key(key, { 'if-none-match': String(a.headers.etag) })).status).toBe(304);
  });

  it('read a key from Redis once each, however many requests there are', async () => {
    const key = `${prefix}once`;
    await redis.client.set(key, 'value');
    await redis.forgetCalls();
    for (let i = 0; i < 5; i++) expect(await both(key)).toEqual(['value', 'value']);
    expect(await redis.calls('get')).toBe(2);
  });

  it('have separate caches: one may serve the old value and the other the new one', async () => {
    const key = `${prefix}own`;
    await redis.client.set(key, 'old');
    expect(await text(one, key)).toBe('old');
    await redis.client.set(key, 'new');
    expect(await both(key)).toEqual(['old', 'new']);
    expect(await both(key)).toEqual(['old', 'new']);
  });

  itAdmin(`purge and flush their own caches only${unless(itAdmin === it, 'needs ADMIN_TOKEN')}`, async () => {
    const key = `${prefix}purged`;
    await redis.client.set(key, 'old');
    await both(key);
    await redis.client.set(key, 'new');
    expect((await one.admin('DELETE', `/v1/cache/${key}`)).json).toEqual({ purged: true });
    expect(await both(key)).toEqual(['new', 'old']);
    await other.admin('DELETE', '/v1/cache');
    await redis.client.set(key, 'newest');
    expect(await both(key)).toEqual(['new', 'newest']);
  });

  itExpires(
    `see the same data again once their entries have expired${unless(itExpires === it, 'CACHE_TTL_MS is too long')}`,
    async () => {
      const [changed, deleted] = [`${prefix}changed`, `${prefix}deleted`];
      await redis.client.mset(changed, 'old', deleted, 'old');
      expect([...(await both(changed)), ...(await both(deleted))]).toEqual(['old', 'old', 'old', 'old']);
      await redis.client.set(changed, 'new');
      await redis.client.del(deleted);
      expect([...(await both(changed)), ...(await both(deleted))]).toEqual(['old', 'old', 'old', 'old']);
      await advance(ttlMs);
      expect(await both(changed)).toEqual(['new', 'new']);
      for (const proxy of [one, other]) {
        expect(await proxy.key(deleted)).toMatchObject({ status: 404, json: { code: 'key-not-found' } });
      }
    },
  );

  itOwn('do not need each other: one goes on when the other is killed', async () => {
    const key = `${prefix}alone`;
    await redis.client.set(key, 'value');
    const third = await TestProxy.start({ REDIS_URL: redis.url });
    expect(await text(third, key)).toBe('value');
    await third.child?.stop('SIGKILL');
    expect(await text(one, key)).toBe('value');
    expect((await one.get('/health/ready')).status).toBe(200);
  });
});
