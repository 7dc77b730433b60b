import { afterEach, describe, expect, it } from '@jest/globals';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { Redis as UpstashRedis } from '@upstash/redis';
import request from 'supertest';
import { RedisStub, createModuleApp } from '../http/module-app.spec-support.ts';
import { ReadMetrics, type ReadOutcomeName } from '../instance/read-metrics.ts';
import { mountCommandPaths } from './mount-command-paths.ts';
import { UpstashModule } from './upstash.module.ts';

const READER = { Authorization: 'Bearer reader' };
const PAGE = 'https://page.example';
const VALUE = { result: 'value' };

/** Replies of a Redis with the JSON module, by key and command. */
const DOCUMENTS: Readonly<Record<string, string>> = {
  'doc JSON.GET': bulk('{"name":"Ada","scores":[1,2]}'),
  'doc JSON.GET INDENT   $.name': bulk('["Ada"]'),
  'doc JSON.TYPE $.name': `*1\r\n${bulk('string')}`,
  'doc JSON.ARRLEN $.scores': '*1\r\n:2\r\n',
  'doc JSON.OBJKEYS': `*2\r\n${bulk('name')}${bulk('scores')}`,
  'doc JSON.GET $.name': bulk('["Ada"]'),
  'list JSON.GET $.name': '-WRONGTYPE Operation against a key holding the wrong kind of value',
  'none JSON.GET $.name': '$-1\r\n',
  // A path, not the option SPACE.
  'doc JSON.GET .space': "-ERR Path '$.space' does not exist",
};

function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}

let app: NestExpressApplication;
let redis: RedisStub;
afterEach(() => app?.close());

async function start(environment: Readonly<Record<string, string>> = {}): Promise<ReturnType<typeof request>> {
  redis = new RedisStub();
  const settings = { ACCESS_TOKEN: 'reader', UPSTASH_REST_API: 'on', ...environment };
  app = await createModuleApp(UpstashModule, settings, redis, mountCommandPaths);
  return request(app.getHttpServer());
}

const counted = (outcome: ReadOutcomeName) => app.get(ReadMetrics).reads('upstash', outcome);

describe('UpstashModule', () => {
  it('executes the command in a body, with strings as text or in base64', async () => {
    const server = await start();
    await server
      .post('/')
      .set(READER)
      .send(['GET', 'some'])
      .expect(200, VALUE)
      .expect('Content-Type', 'application/json')
      .expect('Cache-Control', 'no-store');
    const encoded = { result: Buffer.from('value').toString('base64') };
    await server.post('/').set(READER).set('Upstash-Encoding', 'base64').send(['GET', 'some']).expect(200, encoded);
    expect([counted('miss'), counted('hit')]).toEqual([1, 1]);
  });

  it('executes a pipeline, in order, with an error for a command that fails', async () => {
    const server = await start();
    const { body } = (await server
      .post('/pipeline')
      .set(READER)
      .send([['GET', 'some'], ['SET', 'some', 'other'], ['PING']])
      .expect(200)) as { body: unknown };
    expect(body).toEqual([VALUE, { error: expect.stringMatching(/^READONLY /) }, { result: 'PONG' }]);
  });

  it('reads JSON documents for the client of Upstash', async () => {
    await start();
    const asked: string[] = [];
    redis.fetch = ({ key, command }, onReply) => {
      const words = [key, ...command].map(String);
      asked.push(words.join(' '));
      const reply = DOCUMENTS[words.join(' ')];
      const isError = reply.startsWith('-');
      setImmediate(() =>
        onReply(
          isError
            ? { kind: 'error-reply', message: reply.slice(1) }
            : { kind: 'value', value: Buffer.from(reply), ttlMs: undefined },
        ),
      );
    };
    await app.listen(0, '127.0.0.1');
    const client = new UpstashRedis({ url: await app.getUrl(), token: 'reader', enableTelemetry: false });
    for (let pass = 0; pass < 2; pass++) {
      expect(await client.json.get('doc')).toEqual({ name: 'Ada', scores: [1, 2] });
      expect(await client.json.get('doc', { indent: ' ' }, '$.name')).toEqual(['Ada']);
      expect(await client.json.type('doc', '$.name')).toEqual(['string']);
      expect(await client.json.arrlen('doc', '$.scores')).toEqual([2]);
      expect(await client.json.objkeys('doc')).toEqual(['name', 'scores']);
      expect(await client.json.mget(['doc', 'list', 'none'], '$.name')).toEqual([['Ada'], null, null]);
      expect(await client.json.mget(['doc'], 'space')).toEqual([null]);
    }
    // Errors are not cached, so their keys are asked for again.
    expect(asked.filter((each) => !DOCUMENTS[each].startsWith('-'))).toHaveLength(7);
    redis.fetch = (_query, onReply) =>
      setImmediate(() => onReply({ kind: 'error-reply', message: "ERR unknown command 'JSON.GET'" }));
    await expect(client.json.mget(['other', 'another'], '$')).rejects.toThrow("ERR unknown command 'JSON.GET'");
  });

  it.each(['get', 'post', 'put'] as const)('executes the command in a path: %s', async (method) => {
    const server = await start();
    await server[method]('/get/some').set(READER).expect(200, VALUE);
    await server[method]('/get/some?_token=reader').expect(200, VALUE);
  });

  it('appends the body of POST to the command in a path', async () => {
    const server = await start();
    await server
      .post('/mget/some')
      .set(READER)
      .send('other')
      .expect(200, { result: ['value', 'value'] });
  });

  it('responds with the status of the failure, and counts it', async () => {
    const server = await start();
    redis.reply = { kind: 'unavailable', reason: 'LOADING' };
    const { body } = (await server.get('/get/some').set(READER).expect(503).expect('Retry-After', '1')) as {
      body: unknown;
    };
    expect([body, counted('unavailable')]).toEqual([{ error: expect.stringMatching(/^UNAVAILABLE /) }, 1]);
  });

  it.each([{}, { Authorization: 'Bearer wrong' }])('rejects clients without a valid token: %j', async (headers) => {
    const server = await start();
    const { body } = (await server
      .post('/pipeline')
      .set(headers)
      .send('not JSON')
      .expect(401)
      .expect('WWW-Authenticate', 'Bearer realm="keys"')) as { body: unknown };
    expect([body, counted('unauthorized')]).toEqual([{ error: 'WRONGPASS invalid or missing auth token' }, 1]);
  });

  it.each([
    ['Upstash-Response-Format', 'resp2', 'ERR unsupported Upstash-Response-Format (only json)'],
    ['Upstash-Encoding', 'hex', 'ERR unsupported Upstash-Encoding (only base64)'],
  ])('rejects %s: %s', async (name, value, error) => {
    const server = await start();
    await server.post('/').set(READER).set(name, value).send(['PING']).expect(400, { error });
  });

  it.each([
    [['SET', 'some', 'x'], "READONLY You can't write against a read only replica."],
    [['GET'], "ERR wrong number of arguments for 'get' command"],
    [['CAFÉ'], "ERR unknown command 'CAFÉ', with args beginning with: "],
    [[], 'ERR empty command'],
  ])('discards a transaction with %j', async (command, reason) => {
    const server = await start();
    const error = `EXECABORT Transaction discarded because of: ${reason}`;
    await server
      .post('/multi-exec')
      .set(READER)
      .send([['PING'], command])
      .expect(400, { error });
  });

  it.each([
    ['get', '/pipeline', 'POST'],
    ['put', '/multi-exec', 'POST'],
    ['delete', '/get/some', 'GET, HEAD, POST, PUT'],
    ['options', '/', 'POST'],
  ] as const)('responds 405 without a token: %s %s', async (method, path, allowed) => {
    const server = await start();
    const error = `ERR method not allowed (allowed: ${allowed})`;
    await server[method](path).expect(405, { error }).expect('Allow', allowed);
  });

  it.each([
    ['/', 'POST'],
    ['/pipeline', 'POST'],
    ['/get/some', 'GET, HEAD, POST, PUT'],
  ])('responds to preflight requests for %s from pages of HTTP_CORS_ORIGINS', async (path, methods) => {
    const server = await start({ HTTP_CORS_ORIGINS: PAGE });
    await server
      .options(path)
      .set('Origin', PAGE)
      .expect(204)
      .expect('Access-Control-Allow-Methods', methods)
      .expect('Access-Control-Allow-Headers', /Upstash-Telemetry-Sdk/)
      .expect('Access-Control-Allow-Origin', PAGE);
  });
});
