import { afterEach, describe, expect, it } from '@jest/globals';
import type { NestExpressApplication } from '@nestjs/platform-express';
import request from 'supertest';
import { ReadMetrics, type ReadOutcomeName } from '../instance/read-metrics.ts';
import type { Query } from '../redis/query.ts';
import type { RedisReply } from '../redis/redis-reply.ts';
import { HttpModule } from './http.module.ts';
import { RedisStub, createModuleApp } from './module-app.spec-support.ts';

const PROBLEM = /^application\/problem\+json/;
const PAGE = 'https://page.example';
const READER = { Authorization: 'Bearer reader' };
/** A key whose bytes are not text, in a path. */
const BINARY = '/v1/keys/%00%ff%2F/a%20b';

/** Redis that notes which keys are read. */
class NotingRedis extends RedisStub {
  readonly keys: Buffer[] = [];

  override fetch(query: Query, onReply: (reply: RedisReply) => void): void {
    this.keys.push(Buffer.from(query.key));
    super.fetch(query, onReply);
  }
}

let app: NestExpressApplication;
let redis: NotingRedis;
afterEach(() => app?.close());

async function start(environment: Readonly<Record<string, string>> = {}): Promise<ReturnType<typeof request>> {
  redis = new NotingRedis();
  app = await createModuleApp(HttpModule, environment, redis);
  return request(app.getHttpServer());
}

const counted = (outcome: ReadOutcomeName) => app.get(ReadMetrics).reads('http', outcome);

describe('GET and HEAD /v1/keys/{key}', () => {
  it('load a value once, then serve it from the cache, byte for byte', async () => {
    const server = await start();
    const { headers, body } = (await server
      .get(BINARY)
      .expect(200)
      .expect('Content-Type', 'application/octet-stream')
      .expect('X-Content-Type-Options', 'nosniff')
      .expect('Cache-Status', 'redis-http-cache-proxy; fwd=uri-miss; stored')) as {
      headers: Record<string, string>;
      body: unknown;
    };
    expect(String(body)).toBe('value');
    await server
      .head(BINARY)
      .expect(200)
      .expect('Content-Length', '5')
      .expect('ETag', headers.etag)
      .expect('Cache-Status', /; hit; ttl=/);
    await server.get(BINARY).set('If-None-Match', headers.etag).expect(304);
    expect(redis.keys).toEqual([Buffer.from('00ff2f2f612062', 'hex')]);
    expect(['miss', 'hit'].map((outcome) => counted(outcome as ReadOutcomeName))).toEqual([1, 2]);
  });

  it.each([
    [{ kind: 'missing' }, 404, 'key-not-found', 'not-found'],
    [{ kind: 'wrong-type' }, 409, 'wrong-type', 'wrong-type'],
    [{ kind: 'timeout' }, 504, 'redis-timeout', 'timeout'],
    [{ kind: 'unavailable', reason: 'LOADING' }, 503, 'redis-unavailable', 'unavailable'],
  ] as const)('respond with a problem to %j: %i %s', async (reply, status, code, outcome) => {
    const server = await start();
    redis.reply = reply;
    const { body } = (await server.get('/v1/keys/some').expect(status).expect('Content-Type', PROBLEM)) as {
      body: unknown;
    };
    expect([body, counted(outcome)]).toEqual([expect.objectContaining({ status, code }), 1]);
  });

  it('reject a client without a token before its key is looked at, with CORS headers', async () => {
    const server = await start({ ACCESS_TOKEN: 'reader', HTTP_CORS_ORIGINS: PAGE });
    const { body } = (await server
      .get('/v1/keys/%zz')
      .set('Origin', PAGE)
      .expect(401)
      .expect('Content-Type', PROBLEM)
      .expect('Cache-Control', 'no-store')
      .expect('WWW-Authenticate', 'Bearer realm="keys"')
      .expect('Access-Control-Allow-Origin', PAGE)) as { body: unknown };
    expect(body).toMatchObject({ code: 'unauthorized', detail: 'A bearer token is required.' });
    expect([counted('unauthorized'), counted('bad-key'), redis.keys.length]).toEqual([1, 0, 0]);
  });

  it('reject keys that KEY_ALLOWLIST does not match, and bad keys before that', async () => {
    const server = await start({ ACCESS_TOKEN: 'reader', KEY_ALLOWLIST: 'public:*' });
    const codeOf = async (path: string) => {
      const { status, body } = (await server.get(path).set(READER)) as { status: number; body: unknown };
      return [status, (body as { code?: string }).code];
    };
    expect(await codeOf('/v1/keys/public%3Aa')).toEqual([200, undefined]);
    expect(await codeOf('/v1/keys/private')).toEqual([403, 'key-not-allowed']);
    expect(await codeOf('/v1/keys/%zz')).toEqual([400, 'bad-key']);
    expect([counted('not-allowed'), counted('bad-key'), redis.keys]).toEqual([1, 1, [Buffer.from('public:a')]]);
  });

  it.each(['post', 'put', 'delete'] as const)('%s is not allowed', async (method) => {
    const server = await start({ HTTP_CORS_ORIGINS: '*' });
    const { headers } = (await server[method]('/v1/keys/some').expect(405).expect('Allow', 'GET, HEAD')) as {
      headers: Record<string, string>;
    };
    expect(headers).not.toHaveProperty('access-control-allow-origin');
  });
});

describe('GET and HEAD of other resources', () => {
  const bulks = (...texts: string[]): Buffer =>
    Buffer.from(`*${texts.length}\r\n${texts.map((text) => `$${text.length}\r\n${text}\r\n`).join('')}`);

  it('render the reply of Redis once, then serve the body from the cache', async () => {
    const server = await start();
    redis.reply = { kind: 'value', value: bulks('name', 'value'), ttlMs: undefined };
    const { headers } = (await server
      .get('/v1/hashes/a%2Fb')
      .expect(200, '{"name":"value"}')
      .expect('Content-Type', 'application/json')
      .expect('Cache-Status', 'redis-http-cache-proxy; fwd=uri-miss; stored')) as { headers: Record<string, string> };
    await server
      .head('/v1/hashes/a%2Fb')
      .expect(200)
      .expect('Content-Length', '16')
      .expect('ETag', headers.etag)
      .expect('Cache-Status', /; hit; ttl=/);
    expect(redis.keys).toEqual([Buffer.from('a/b')]);
    expect(['miss', 'hit'].map((outcome) => counted(outcome as ReadOutcomeName))).toEqual([1, 1]);
  });

  it.each([
    ['/v1/lists/key?start=x', 'ERR value is not an integer or out of range', 400, 'bad-request'],
    ['/v1/lists/key', 'WRONGTYPE Operation against a key', 409, 'wrong-type'],
    ['/v1/json/key', 'Existing key has wrong Redis type', 409, 'wrong-type'],
    ['/v1/json/key', "ERR unknown command 'JSON.GET'", 501, 'unknown-command'],
    ['/v1/hashes/key', 'ERR something else', 502, 'redis-error'],
  ])('%s respond to the error %s: %i %s', async (path, message, status, code) => {
    const server = await start();
    redis.reply = { kind: 'error-reply', message };
    const { body } = (await server.get(path).expect(status).expect('Content-Type', PROBLEM)) as { body: unknown };
    const type = code === 'wrong-type' ? { keyType: 'list', urlTemplate: '/v1/lists/{key}' } : {};
    const outcome = message.startsWith('WRONGTYPE') ? 'wrong-type' : 'error-reply';
    expect([body, counted(outcome)]).toEqual([expect.objectContaining({ status, code, ...type }), 1]);
  });

  it('check the token and the key before the parameters', async () => {
    const server = await start({ ACCESS_TOKEN: 'reader', KEY_ALLOWLIST: 'public' });
    await server.get('/v1/lists/public?start').expect(401);
    await server.get('/v1/lists/private?x').set(READER).expect(403);
    await server.get('/v1/lists/public?x').set(READER).expect(400);
    await server.get('/v1/sets/private/public').set(READER).expect(403);
    expect(redis.keys).toEqual([]);
  });
});

describe('POST /v1/mget', () => {
  it('returns a result for each key, in order, and counts each', async () => {
    const server = await start({ KEY_ALLOWLIST: 'some,other' });
    const { body } = (await server
      .post('/v1/mget')
      .send({ keys: ['some', { base64: Buffer.from('private').toString('base64') }, 'other'] })
      .expect(200)
      .expect('Content-Type', 'application/json')
      .expect('Cache-Control', 'no-store')) as { body: unknown };
    const value = { status: 200, value: 'value', encoding: 'utf8', cacheStatus: 'stored' };
    expect(body).toMatchObject({ results: [value, { status: 403, code: 'key-not-allowed' }, value] });
    expect([counted('miss'), counted('not-allowed')]).toEqual([2, 1]);
  });

  it('rejects clients without a token, and bodies that are not JSON or name a bad key', async () => {
    const server = await start({ ACCESS_TOKEN: 'reader' });
    await server.post('/v1/mget').send({ keys: [] }).expect(401).expect('WWW-Authenticate', 'Bearer realm="keys"');
    await server.post('/v1/mget').set(READER).type('text/plain').send('{"keys":[]}').expect(415);
    await server.post('/v1/mget').set(READER).send({ keys: 'some' }).expect(400);
    const { body } = (await server
      .post('/v1/mget')
      .set(READER)
      .send({ keys: [''] })
      .expect(400)) as { body: unknown };
    expect(body).toMatchObject({ code: 'bad-key' });
    expect([counted('unauthorized'), counted('bad-key'), redis.keys]).toEqual([1, 1, []]);
  });
});

describe('preflight requests', () => {
  it.each([
    ['/v1/keys/some', 'GET, HEAD'],
    ['/v1/mget', 'POST'],
  ])('to %s are for pages of HTTP_CORS_ORIGINS, without a token', async (path, methods) => {
    const server = await start({ ACCESS_TOKEN: 'reader', HTTP_CORS_ORIGINS: PAGE });
    await server
      .options(path)
      .set('Origin', PAGE)
      .expect(204)
      .expect('Access-Control-Allow-Methods', methods)
      .expect('Access-Control-Allow-Origin', PAGE);
  });

  it('are not allowed without HTTP_CORS_ORIGINS', async () => {
    const server = await start();
    await server.options('/v1/keys/some').expect(405).expect('Allow', 'GET, HEAD');
    await server.options('/v1/mget').expect(405).expect('Allow', 'POST');
  });
});
