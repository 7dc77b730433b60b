import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { sendRequest } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { freePort, until } from '../support/processes.ts';
import { TestProxy, launch } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

describeOwn('settings', () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.set('key', 'value');
  });
  afterAll(() => redis.stop());

  it('HTTP_CONTENT_TYPE is the media type of values; an empty setting has its default', async () => {
    const proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      PROXY_THREADS: 1,
      HTTP_CONTENT_TYPE: 'text/plain; charset=utf-8',
      CACHE_TTL_MS: '',
    });
    const { headers } = await proxy.key('key');
    expect(headers).toMatchObject({ 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'max-age=60' });
    expect(await proxy.stop()).toBe(0);
  });

  it.each([
    ['LOG_LEVEL=error logs nothing without errors', { LOG_LEVEL: 'error' }, /^$/],
    ['LOG_FORMAT=pretty writes text lines', { LOG_FORMAT: 'pretty' }, /^(?!\{).*listening on http:\/\/127\.0\.0\.1/m],
  ])('%s', async (_, settings, log) => {
    const port = await freePort();
    const proxy = launch({ REDIS_URL: redis.url, PROXY_THREADS: 1, HTTP_PORT: port, ...settings });
    try {
      await until('it serves', async () => {
        const response = await sendRequest(`http://127.0.0.1:${port}`, '/health/ready').catch(() => undefined);
        return response?.status === 200 || undefined;
      });
      await until('the log is complete', () => log.test(proxy.output) || undefined);
    } finally {
      expect(await proxy.stop()).toBe(0);
    }
    expect(proxy.errors).toBe('');
  });
});
