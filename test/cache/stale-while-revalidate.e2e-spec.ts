import { afterEach, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const TTL_MS = 60_000;
const WINDOW_MS = 30_000;
const STATUS = /^redis-http-cache-proxy; hit; ttl=-[34]; detail=stale-while-revalidate$/;

let redis: TestRedis;
let proxy: TestProxy;

afterEach(async () => {
  await proxy?.stop();
  await redis?.stop();
});

async function start(settings: Readonly<Record<string, string | number>>): Promise<void> {
  redis = await TestRedis.start();
  await redis.client.set('hot', 'old');
  const url = { REDIS_URL: redis.url, CACHE_TTL_MS: TTL_MS, ADMIN_TOKEN: 'operator' };
  proxy = await TestProxy.start({ ...url, PROXY_THREADS: 2, REDIS_COMMAND_TIMEOUT_MS: 60_000, ...settings });
  await proxy.stopClock();
  expect((await proxy.key('hot')).text).toBe('old');
  await redis.client.set('hot', 'new');
}

describeOwn('CACHE_STALE_WHILE_REVALIDATE_MS', () => {
  it.each(['on', 'off'])(
    'serves an expired value to 50 readers at once while Redis is stopped, and loads it once (fast path %s)',
    async (fastPath) => {
      await start({ CACHE_STALE_WHILE_REVALIDATE_MS: WINDOW_MS, HTTP_FAST_PATH: fastPath });
      const before = await redis.calls('get');
      await proxy.advance(TTL_MS + 3_000);
      redis.server?.signal('SIGSTOP');
      try {
        const responses = await Promise.all(Array.from({ length: 50 }, () => proxy.key('hot')));
        for (const { status, text, headers } of responses) {
          expect([status, text]).toEqual([200, 'old']);
          expect(headers['cache-status']).toMatch(STATUS);
          expect(Number(headers.age)).toBeGreaterThanOrEqual(63);
        }
      } finally {
        redis.server?.signal('SIGCONT');
      }
      await eventually(async () => (await proxy.key('hot')).text, 'new');
      expect(await redis.calls('get')).toBe(before + 1);
      const { text } = await proxy.request('/metrics', {});
      expect(text).toMatch(/^redis_http_cache_proxy_refreshes_total\{result="started"\} 1$/m);
      expect(text).toMatch(/transport="http",outcome="stale-while-revalidate"\} (?:[5-9]\d|\d{3,})$/m);
    },
  );

  it('ends with its window: then the next reader waits', async () => {
    await start({ CACHE_STALE_WHILE_REVALIDATE_MS: WINDOW_MS });
    await proxy.advance(TTL_MS + WINDOW_MS);
    const { text, headers } = await proxy.key('hot');
    expect([text, headers['cache-status']]).toEqual(['new', 'redis-http-cache-proxy; fwd=uri-miss; stored']);
  });
});

describeOwn('CACHE_REFRESH_AHEAD', () => {
  it('loads an entry that is read in the last share of its TTL before it expires', async () => {
    await start({ CACHE_REFRESH_AHEAD: 0.5 });
    await proxy.advance(TTL_MS / 2 + 1_000);
    const { text, headers } = await proxy.key('hot');
    expect([text, headers['cache-status']]).toEqual(['old', expect.stringMatching(/; hit; ttl=2\d$/)]);
    await eventually(async () => (await proxy.key('hot')).text, 'new');
  });
});
