import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { HttpAnswer, HttpQuestion } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const PAGE = 'https://page.example';
const EXPOSED = 'ETag, Age, Cache-Status, Retry-After';
const MGET = { method: 'POST', body: '{"keys":["key"]}' };
const JSON_BODY = { 'content-type': 'application/json' };

function corsOf({ headers }: HttpAnswer): Record<string, unknown> {
  const names = Object.keys(headers).filter((name) => name === 'vary' || name.startsWith('access-control-'));
  return Object.fromEntries(names.map((name) => [name, headers[name]]));
}

describeOwn('pages of other origins', () => {
  let redis: TestRedis;
  let closed: TestProxy;
  let some: TestProxy;
  let all: TestProxy;

  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.set('key', 'value');
    const settings = { REDIS_URL: redis.url, PROXY_THREADS: 1, ADMIN_TOKEN: 'admin' };
    [closed, some, all] = await Promise.all([
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
    await Promise.all([closed?.stop(), some?.stop(), all?.stop()]);
    await redis?.stop();
  });

  const READER = { authorization: 'Bearer reader' };
  /** A request of a page for each way to read. */
  const WAYS: readonly (readonly [string, string, HttpQuestion])[] = [
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
    it.each(WAYS)('receive no CORS headers: %s', async (_, path, question) => {
      const answer = await closed.ask(path, { ...question, headers: { ...question.headers, origin: PAGE } });
      expect(corsOf(answer)).toEqual({});
    });

    it.each(['/v1/keys/key', '/v1/mget'])('receive no response to a preflight request: %s', async (path) => {
      const answer = await closed.ask(path, { method: 'OPTIONS', headers: { origin: PAGE } });
      expect([answer.status, corsOf(answer)]).toEqual([405, {}]);
    });
  });

  describe('with a list of origins', () => {
    it.each(WAYS)('may read if they are listed, with Vary for caches: %s', async (_, path, question) => {
      const headers = { ...question.headers, ...READER };
      for (const origin of [PAGE, 'http://localhost:3000']) {
        expect(corsOf(await some.ask(path, { ...question, headers: { ...headers, origin } }))).toEqual({
          vary: 'Origin',
          'access-control-allow-origin': origin,
          'access-control-expose-headers': EXPOSED,
        });
      }
      for (const origin of ['https://other.example', 'null', `${PAGE}.example`, `${PAGE}/`, '*', '']) {
        const answer = await some.ask(path, { ...question, headers: { ...headers, origin } });
        expect([origin, corsOf(answer)]).toEqual([origin, { vary: 'Origin' }]);
      }
      expect(corsOf(await some.ask(path, { ...question, headers }))).toEqual({ vary: 'Origin' });
    });

    it.each([
      ['401', '/v1/keys/key', {}, 401],
      ['403', '/v1/keys/other', READER, 403],
    ])('may read errors: %s', async (_, path, headers, status) => {
      const answer = await some.get(path, { ...headers, origin: PAGE });
      expect([answer.status, corsOf(answer)['access-control-allow-origin']]).toEqual([status, PAGE]);
    });

    it.each([
      ['/v1/keys/key', 'GET, HEAD'],
      ['/v1/mget', 'POST'],
    ])('may send a preflight request without a token: %s', async (path, methods) => {
      const headers = { 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' };
      const answer = await some.ask(path, { method: 'OPTIONS', headers: { ...headers, origin: PAGE } });
      expect(answer.status).toBe(204);
      expect(corsOf(answer)).toEqual({
        vary: 'Origin',
        'access-control-allow-origin': PAGE,
        'access-control-allow-methods': methods,
        'access-control-allow-headers': 'Authorization, Cache-Control, Content-Type, If-None-Match',
        'access-control-expose-headers': EXPOSED,
        'access-control-max-age': '7200',
      });
      const other = await some.ask(path, { method: 'OPTIONS', headers: { ...headers, origin: 'https://other' } });
      expect([other.status, corsOf(other)['access-control-allow-origin']]).toEqual([204, undefined]);
    });
  });

  describe('with *', () => {
    it.each(WAYS)('may all read, with the same headers for every origin: %s', async (_, path, question) => {
      for (const origin of [{ origin: PAGE }, {}] as Record<string, string>[]) {
        const answer = await all.ask(path, { ...question, headers: { ...question.headers, ...origin } });
        expect(corsOf(answer)).toEqual({
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
      for (const proxy of [some, all]) {
        for (const method of ['GET', 'OPTIONS']) {
          const cors = corsOf(await proxy.ask(path, { method, headers }));
          expect([path, cors['access-control-allow-origin']]).toEqual([path, undefined]);
        }
      }
    },
  );
});
