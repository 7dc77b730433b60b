import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestResponse, TestRequest } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const PAGE = 'https://page.example';
const EXPOSED = 'ETag, Age, Cache-Status, Accept-Ranges, Content-Range, Retry-After';
const MGET = { method: 'POST', body: '{"keys":["key"]}' };
const JSON_BODY = { 'content-type': 'application/json' };

function corsOf({ headers }: TestResponse): Record<string, unknown> {
  const names = Object.keys(headers).filter((name) => name === 'vary' || name.startsWith('access-control-'));
  return Object.fromEntries(names.map((name) => [name, headers[name]]));
}

describeOwn('pages of other origins', () => {
  let redis: TestRedis;
  let closed: TestProxy;
  let listed: TestProxy;
  let all: TestProxy;

  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.set('key', 'value');
    const settings = { REDIS_URL: redis.url, PROXY_THREADS: 1, ADMIN_TOKEN: 'admin' };
    [closed, listed, all] = await Promise.all([
      TestProxy.start(settings),
      TestProxy.start({
        ...settings,
        ACCESS_TOKEN: 'reader',
        KEY_ALLOWLIST: 'key,no*',
        HTTP_CORS_ORIGINS: `${PAGE},http://localhost:3000`,
      }),
      TestProxy.start({ ...settings, HTTP_CORS_ORIGINS: '*' }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([closed?.stop(), listed?.stop(), all?.stop()]);
    await redis?.stop();
  });

  const READER = { authorization: 'Bearer reader' };
  /** A request of a page for each way to read. */
  const REQUESTS: readonly (readonly [string, string, TestRequest])[] = [
    ['GET, loaded or from the cache', '/v1/keys/key', {}],
    ['GET again', '/v1/keys/key', {}],
    ['HEAD', '/v1/keys/key', { method: 'HEAD' }],
    ['304', '/v1/keys/key', { headers: { 'if-none-match': '*' } }],
    ['404', '/v1/keys/nobody', {}],
    ['400', '/v1/keys/%zz', {}],
    ['POST /v1/mget', '/v1/mget', { ...MGET, headers: JSON_BODY }],
    ['a refused POST /v1/mget', '/v1/mget', MGET],
  ];

  describe('with HTTP_CORS_ORIGINS unset', () => {
    it.each(REQUESTS)('receive no CORS headers: %s', async (_, path, options) => {
      const response = await closed.request(path, { ...options, headers: { ...options.headers, origin: PAGE } });
      expect(corsOf(response)).toEqual({});
    });

    it.each(['/v1/keys/key', '/v1/mget'])('receive no response to a preflight request: %s', async (path) => {
      const response = await closed.request(path, { method: 'OPTIONS', headers: { origin: PAGE } });
      expect([response.status, corsOf(response)]).toEqual([405, {}]);
    });
  });

  describe('with a list of origins', () => {
    it.each(REQUESTS)('may read if they are listed, with Vary for caches: %s', async (_, path, options) => {
      const headers = { ...options.headers, ...READER };
      for (const origin of [PAGE, 'http://localhost:3000']) {
        expect(corsOf(await listed.request(path, { ...options, headers: { ...headers, origin } }))).toEqual({
          vary: 'Origin',
          'access-control-allow-origin': origin,
          'access-control-expose-headers': EXPOSED,
        });
      }
      for (const origin of ['https://other.example', 'null', `${PAGE}.example`, `${PAGE}/`, '*', '']) {
        const response = await listed.request(path, { ...options, headers: { ...headers, origin } });
        expect([origin, corsOf(response)]).toEqual([origin, { vary: 'Origin' }]);
      }
      expect(corsOf(await listed.request(path, { ...options, headers }))).toEqual({ vary: 'Origin' });
    });

    it.each([
      ['401', '/v1/keys/key', {}, 401],
      ['403', '/v1/keys/other', READER, 403],
    ])('may read errors: %s', async (_, path, headers, status) => {
      const response = await listed.get(path, { ...headers, origin: PAGE });
      expect([response.status, corsOf(response)['access-control-allow-origin']]).toEqual([status, PAGE]);
    });

    it.each([
      ['/v1/keys/key', 'GET, HEAD'],
      ['/v1/mget', 'POST'],
    ])('may send a preflight request without a token: %s', async (path, methods) => {
      const headers = { 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' };
      const response = await listed.request(path, { method: 'OPTIONS', headers: { ...headers, origin: PAGE } });
      expect(response.status).toBe(204);
      expect(corsOf(response)).toEqual({
        vary: 'Origin',
        'access-control-allow-origin': PAGE,
        'access-control-allow-methods': methods,
        'access-control-allow-headers': 'Authorization, Cache-Control, Content-Type, If-None-Match, If-Range, Range',
        'access-control-expose-headers': EXPOSED,
        'access-control-max-age': '7200',
      });
      const other = await listed.request(path, { method: 'OPTIONS', headers: { ...headers, origin: 'https://other' } });
      expect([other.status, corsOf(other)['access-control-allow-origin']]).toEqual([204, undefined]);
    });
  });

  describe('with *', () => {
    it.each(REQUESTS)('may all read, with the same headers for every origin: %s', async (_, path, options) => {
      for (const origin of [{ origin: PAGE }, {}] as Record<string, string>[]) {
        const response = await all.request(path, { ...options, headers: { ...options.headers, ...origin } });
        expect(corsOf(response)).toEqual({
          'access-control-allow-origin': '*',
          'access-control-expose-headers': EXPOSED,
        });
      }
    });
  });

  it.each(['/v1/cache', '/health/ready', '/metrics', '/docs', '/openapi.json', '/nowhere'])(
    'may read keys only: %s',
    async (path) => {
      const headers = { origin: PAGE, authorization: 'Bearer admin' };
      for (const proxy of [listed, all]) {
        for (const method of ['GET', 'OPTIONS']) {
          const cors = corsOf(await proxy.request(path, { method, headers }));
          expect([path, cors['access-control-allow-origin']]).toEqual([path, undefined]);
        }
      }
    },
  );
});
