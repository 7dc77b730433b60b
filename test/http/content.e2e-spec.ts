import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const SETTINGS = {
  PROXY_THREADS: 1,
  HTTP_CONTENT_TYPES: 'page:*=text/html; charset=utf-8,*.json=application/json,*=text/plain',
};

describeOwn('HTTP content', () => {
  let redis: TestRedis;
  let proxies: Record<'on' | 'off', TestProxy>;

  beforeAll(async () => {
    redis = await TestRedis.start();
    const start = (fastPath: string) =>
      TestProxy.start({ ...SETTINGS, REDIS_URL: redis.url, HTTP_FAST_PATH: fastPath });
    const [on, off] = await Promise.all([start('on'), start('off')]);
    proxies = { on, off };
  });
  afterAll(async () => {
    await Promise.all(Object.values(proxies ?? {}).map((proxy) => proxy.stop()));
    await redis?.stop();
  });

  describe.each(['on', 'off'] as const)('with the fast path %s', (fastPath) => {
    it.each([
      ['page:1', 'text/html; charset=utf-8'],
      ['page:1.json', 'text/html; charset=utf-8'],
      ['a/b.json', 'application/json'],
      [Buffer.from([0xff, 0]), 'text/plain'],
    ])('a value has the type of the first pattern that matches its key: %j', async (key, type) => {
      const value = '{"content":"<h1>of a page</h1>"}';
      await redis.client.set(key, value);
      // A miss, a hit, a request with a condition.
      for (const headers of [{}, {}, { 'if-none-match': '"none"' }] as Record<string, string>[]) {
        const response = await proxies[fastPath].key(key, headers);
        expect(response).toMatchObject({ status: 200, text: value });
        expect(response.headers).toMatchObject({
          'content-type': type,
          'content-security-policy': "default-src 'none'; sandbox",
        });
      }
    });

    it('the fields of a hash have the type of its key, and the JSON of the hash has its own', async () => {
      await redis.client.hset('page:hash', 'field', 'text');
      const read = async (path: string) => (await proxies[fastPath].get(path)).headers['content-type'];
      expect(await read('/v1/hashes/page:hash/field')).toBe('text/html; charset=utf-8');
      expect(await read('/v1/hashes/page:hash')).toBe('application/json');
    });
  });
});
