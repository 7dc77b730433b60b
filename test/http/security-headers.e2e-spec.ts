import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { exchange } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const PAGE = '<!doctype html><script>fetch("/v1/cache", { method: "DELETE" })</script>';

describeOwn('a value that is a page', () => {
  let redis: TestRedis;
  let usual: TestProxy;
  let html: TestProxy;
  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.set('page', PAGE);
    const settings = { REDIS_URL: redis.url, PROXY_THREADS: 1, ADMIN_TOKEN: 'admin' };
    [usual, html] = await Promise.all([
      TestProxy.start(settings),
      TestProxy.start({ ...settings, HTTP_CONTENT_TYPE: 'text/html; charset=utf-8' }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([usual?.stop(), html?.stop()]);
    await redis?.stop();
  });

  it('is downloaded, not rendered', async () => {
    for (let i = 0; i < 2; i++) {
      const { headers, text } = await usual.key('page');
      expect(text).toBe(PAGE);
      expect(headers).toMatchObject({
        'content-type': 'application/octet-stream',
        'x-content-type-options': 'nosniff',
      });
    }
  });

  it('is rendered in a sandbox with another HTTP_CONTENT_TYPE', async () => {
    for (let i = 0; i < 2; i++) {
      const { headers, text } = await html.key('page');
      expect(text).toBe(PAGE);
      expect(headers).toMatchObject({
        'content-type': 'text/html; charset=utf-8',
        'x-content-type-options': 'nosniff',
        'content-security-policy': "default-src 'none'; sandbox",
      });
    }
  });

  it.each([
    '/v1/keys/nobody',
    '/v1/keys/%zz',
    '/v1/keys/',
    '/v1/cache',
    '/health/live',
    '/health/ready',
    '/metrics',
    '/openapi.json',
    '/docs',
    '/docs/swagger-ui.css',
    '/docs/nothing',
    '/nowhere',
    '/<script>alert(1)</script>',
  ])('every response has nosniff: %s', async (path) => {
    const { headers, text } = await usual.get(path);
    expect([path, headers['x-content-type-options']]).toEqual([path, 'nosniff']);
    expect(text).not.toContain('<script>alert');
  });

  it('responses without a handler have nosniff', async () => {
    for (const request of ['nonsense\r\n\r\n', `GET /${'x'.repeat(300_000)} HTTP/1.1\r\n\r\n`]) {
      expect(await exchange(usual.url, request)).toMatch(/\r\nX-Content-Type-Options: nosniff\r\n/);
    }
  });
});
