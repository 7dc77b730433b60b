import { Agent, type IncomingHttpHeaders } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type TestResponse, exchange } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { keyPrefix, percentEncode, removeKeys, TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const MAX_KEY_BYTES = 65_536;
const ALL_BYTES = Buffer.from(Uint8Array.from({ length: 256 }, (_, byte) => byte));

const prefix = keyPrefix();
let redis: TestRedis;
let proxy: TestProxy;

beforeAll(async () => {
  redis = await TestRedis.start();
  proxy = await TestProxy.use({ REDIS_URL: redis.url, PROXY_THREADS: 2 });
});
afterAll(async () => {
  await proxy?.stop();
  await removeKeys(redis.client, prefix);
  await redis?.stop();
});

const path = (key: string | Buffer) => `/v1/keys/${percentEncode(key)}`;

function expectProblem(response: TestResponse, status: number, code: string, more: object = {}): void {
  expect(response.json).toEqual({ status, code, title: expect.any(String), detail: expect.any(String), ...more });
  expect(response.status).toBe(status);
  expect(response.headers).toMatchObject({
    'content-type': 'application/problem+json',
    'content-length': String(response.body.length),
    'cache-control': 'no-store',
  });
}

/** Returns the headers that do not depend on the time. */
function withoutDate(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const status = headers['cache-status']?.toString().replace(/ttl=\d+/, 'ttl');
  return { ...headers, date: undefined, age: undefined, 'cache-status': status };
}

/** Splits the bytes of a connection into responses by their Content-Length. */
function responsesIn(received: string): { status: number; body: string }[] {
  const responses: { status: number; body: string }[] = [];
  for (let rest = received; rest !== '';) {
    const end = rest.indexOf('\r\n\r\n');
    if (end === -1) break;
    const head = rest.slice(0, end);
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
    if (rest.length < end + 4 + length) break;
    responses.push({ status: Number(head.split(' ')[1]), body: rest.slice(end + 4, end + 4 + length) });
    rest = rest.slice(end + 4 + length);
  }
  return responses;
}

describe('the HTTP service', () => {
  describe('routes', () => {
    it('GET /v1/keys/{key} returns 200 with the value', async () => {
      await redis.client.set(`${prefix}text`, 'a value');
      const response = await proxy.key(`${prefix}text`);
      expect([response.status, response.text]).toEqual([200, 'a value']);
    });

    it('HEAD returns the response to GET without the body', async () => {
      await redis.client.set(`${prefix}head`, 'a value');
      await proxy.key(`${prefix}head`);
      const get = await proxy.key(`${prefix}head`);
      const head = await proxy.request(path(`${prefix}head`), { method: 'HEAD' });
      expect([head.status, head.body.length]).toEqual([200, 0]);
      expect(head.headers['content-length']).toBe('7');
      expect(withoutDate(head.headers)).toEqual(withoutDate(get.headers));
    });

    it('HEAD loads a key that is not cached', async () => {
      await redis.client.set(`${prefix}head-first`, 'a value');
      const head = await proxy.request(path(`${prefix}head-first`), { method: 'HEAD' });
      expect(head.headers['cache-status']).toBe('redis-http-cache-proxy; fwd=uri-miss; stored');
      expect((await proxy.key(`${prefix}head-first`)).headers['cache-status']).toContain('; hit;');
    });

    it('HEAD returns the errors of GET without their bodies', async () => {
      const get = await proxy.key(`${prefix}nobody`);
      const head = await proxy.request(path(`${prefix}nobody`), { method: 'HEAD' });
      expect([head.status, head.body.length]).toEqual([404, 0]);
      expect(withoutDate(head.headers)).toEqual(withoutDate(get.headers));
    });

    it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
      '%s on a key answers 405, says what is allowed, and writes nothing',
      async (method) => {
        await redis.client.set(`${prefix}untouched`, 'as it was');
        const response = await proxy.request(path(`${prefix}untouched`), { method });
        expectProblem(response, 405, 'method-not-allowed');
        expect(response.headers.allow).toBe('GET, HEAD');
        expect(await redis.client.get(`${prefix}untouched`)).toBe('as it was');
      },
    );

    it.each(['/nowhere', '/v1', '/v1/key/greeting', '/V1/keys/greeting', '/Health/live', '/v1/mgets', '/health'])(
      'GET %s, which is no route, answers 404 route-not-found',
      async (target) => expectProblem(await proxy.get(target), 404, 'route-not-found'),
    );

    it('does not reveal its framework', async () => {
      const { headers } = await proxy.key(`${prefix}nobody`);
      expect(headers['x-powered-by']).toBeUndefined();
      expect(headers.server).toBeUndefined();
    });
  });

  describe('errors are problem+json with a stable code', () => {
    it('a missing key: 404 key-not-found', async () => {
      expectProblem(await proxy.key(`${prefix}nobody`), 404, 'key-not-found');
    });

    it.each([
      ['list', 'lists', (key: string) => redis.client.rpush(key, 'a', 'b')],
      ['set', 'sets', (key: string) => redis.client.sadd(key, 'a')],
      ['hash', 'hashes', (key: string) => redis.client.hset(key, 'field', 'a')],
    ])('a key with a %s: 409 wrong-type, which is not cached', async (keyType, path, create) => {
      const key = `${prefix}${keyType}`;
      await create(key);
      expectProblem(await proxy.key(key), 409, 'wrong-type', { keyType, urlTemplate: `/v1/${path}/{key}` });
      await redis.client.set(key, 'now a string');
      expect((await proxy.key(key)).text).toBe('now a string');
    });

    it.each([
      ['no key', ''],
      ['no key and a query', '?key=a'],
      ['a lone %', '%'],
      ['a % at the end', 'a%'],
      ['a % with one digit', 'a%4'],
      ['a % with letters that are no digits', '%zz'],
      ['a % with a letter beyond F', '%4g'],
      ['a % before another', '%%41'],
      ['a %u', '%u0041'],
    ])('%s: 400 bad-key', async (_, encoded) => {
      expectProblem(await proxy.get(`/v1/keys/${encoded}`), 400, 'bad-key');
    });

    it('a request that is not HTTP: 400, and the connection is closed', async () => {
      expect(await exchange(proxy.url, 'this is no request\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    });
  });

  describe('keys are bytes', () => {
    it.each<[string, string, Buffer]>([
      ['%00', '%00', Buffer.from([0])],
      ['%2F as a slash', 'a%2Fb', Buffer.from('a/b')],
      ['%2f as well', 'a%2fb/c', Buffer.from('a/b/c')],
      ['a slash as itself', 'a/b//c/', Buffer.from('a/b//c/')],
      ['dots as themselves', 'a/../b/./c', Buffer.from('a/../b/./c')],
      ['a percent sign as %25, decoded once', '%2541', Buffer.from('%41')],
      ['bytes that are no UTF-8', '%ff%fe%c3', Buffer.from([0xff, 0xfe, 0xc3])],
      ['+ as a plus sign', 'a+b', Buffer.from('a+b')],
      ['%20 as a space', 'a%20b', Buffer.from('a b')],
      ['%3F and %23 as ? and #', 'a%3Fb%23c', Buffer.from('a?b#c')],
      ['%0D%0A as a line end', 'a%0D%0Ab', Buffer.from('a\r\nb')],
      ['every character that needs no encoding', "a-._~!$&'()*,;=:@", Buffer.from("a-._~!$&'()*,;=:@")],
      ['all 256 byte values', percentEncode(ALL_BYTES), ALL_BYTES],
    ])('accepts %s', async (_, encoded, bytes) => {
      const key = Buffer.concat([Buffer.from(prefix), bytes]);
      await redis.client.set(key, `value of ${encoded}`);
      const response = await proxy.get(`/v1/keys/${prefix}${encoded}`);
      expect([response.status, response.text]).toEqual([200, `value of ${encoded}`]);
    });

    it('rejects non-ASCII bytes that are not percent-encoded, as HTTP requires', async () => {
      const request = `GET /v1/keys/café HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n`;
      expect(responsesIn(await exchange(proxy.url, request))).toMatchObject([{ status: 400 }]);
    });

    it('distinguishes keys by every byte', async () => {
      await redis.client.mset(
        `${prefix}case`,
        '1',
        `${prefix}CASE`,
        '2',
        `${prefix}case/`,
        '3',
        `${prefix}case\0`,
        '4',
      );
      const responses = await Promise.all(
        ['case', 'CASE', 'case/', 'case%00'].map((name) => proxy.get(`/v1/keys/${prefix}${name}`)),
      );
      expect(responses.map(({ text }) => text)).toEqual(['1', '2', '3', '4']);
    });

    it('ignores a query: the key ends before it', async () => {
      await redis.client.set(`${prefix}query`, 'value');
      expect((await proxy.get(`/v1/keys/${prefix}query?a=b&c=%zz`)).text).toBe('value');
      expect((await proxy.get(`/v1/keys/${prefix}query?other`)).headers['cache-status']).toContain('; hit;');
    });

    it('accepts a key of 65536 percent-encoded bytes', async () => {
      const key = Buffer.concat([Buffer.from(prefix), Buffer.alloc(MAX_KEY_BYTES, ALL_BYTES)]).subarray(
        0,
        MAX_KEY_BYTES,
      );
      await redis.client.set(key, 'long');
      expect((await proxy.key(key)).text).toBe('long');
      expect((await proxy.key(key)).headers['cache-status']).toContain('; hit;');
    });

    it('rejects a longer key with 400 bad-key, encoded or not', async () => {
      expectProblem(await proxy.key(Buffer.alloc(MAX_KEY_BYTES + 1, 0xff)), 400, 'bad-key');
      expectProblem(await proxy.get(`/v1/keys/${'a'.repeat(MAX_KEY_BYTES + 1)}`), 400, 'bad-key');
    });
  });

  describe('values are bytes', () => {
    it('an empty string is a value: 200 and zero bytes, and a hit the second time', async () => {
      await redis.client.set(`${prefix}empty`, '');
      for (const cacheStatus of ['; fwd=uri-miss; stored', '; hit;']) {
        const response = await proxy.key(`${prefix}empty`);
        expect([response.status, response.body.length, response.headers['content-length']]).toEqual([200, 0, '0']);
        expect(response.headers['cache-status']).toContain(cacheStatus);
      }
    });

    it.each<[string, Buffer]>([
      ['all 256 byte values', ALL_BYTES],
      ['1 MiB', Buffer.alloc(2 ** 20, ALL_BYTES)],
    ])('%s are returned unchanged, from Redis and from the cache', async (name, value) => {
      await redis.client.set(`${prefix}${name}`, value);
      for (const cacheStatus of ['; fwd=uri-miss; stored', '; hit;']) {
        const response = await proxy.key(`${prefix}${name}`);
        expect(response.headers['cache-status']).toContain(cacheStatus);
        expect(response.headers['content-length']).toBe(String(value.length));
        expect(response.body.equals(value)).toBe(true);
      }
    });
  });

  describe('connections', () => {
    it('serve one request after another', async () => {
      await redis.client.set(`${prefix}kept`, 'value');
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const sockets = new Set<unknown>();
      agent.on('free', (socket) => sockets.add(socket));
      for (let i = 0; i < 5; i++) {
        const response = await proxy.request(path(`${prefix}kept`), { agent });
        expect([response.status, response.headers.connection]).toEqual([200, 'keep-alive']);
      }
      expect(sockets.size).toBe(1);
      agent.destroy();
    });

    it('are closed at the request of the client', async () => {
      await redis.client.set(`${prefix}closed`, 'value');
      const request = `GET /v1/keys/${prefix}closed HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n`;
      const received = await exchange(proxy.url, request);
      expect(received).toMatch(/^connection: close$/im);
      expect(responsesIn(received)).toEqual([{ status: 200, body: 'value' }]);
    });

    it('serve pipelined requests in order: hits, misses and errors', async () => {
      const names = Array.from({ length: 50 }, (_, i) => `${prefix}pipelined${i}`);
      await redis.client.mset(names.flatMap((name) => [name, `value of ${name}`]));
      // Every third is cached, and could be served before its predecessors.
      await Promise.all(names.filter((_, i) => i % 3 === 0).map((name) => proxy.key(name)));
      const targets = [...names.slice(0, 25), '%', ...names.slice(25), `${prefix}nobody`];
      const requests = targets.map((target) => `GET /v1/keys/${target} HTTP/1.1\r\nHost: proxy\r\n\r\n`);
      const received = await exchange(
        proxy.url,
        requests.join(''),
        (text) => responsesIn(text).length === targets.length,
      );
      const expected = [...names.map((name) => `200 value of ${name}`), '404'];
      expected.splice(25, 0, '400');
      const responses = responsesIn(received).map(({ status, body }) =>
        status === 200 ? `200 ${body}` : String(status),
      );
      expect(responses).toEqual(expected);
    });

    it('send 100 Continue between responses, not within one', async () => {
      await redis.client.mset(`${prefix}first`, 'value', `${prefix}expected`, 'other');
      await proxy.key(`${prefix}expected`);
      const expecting = `GET /v1/keys/${prefix}expected HTTP/1.1\r\nHost: proxy\r\nExpect: 100-continue\r\n`;
      const separate = await exchange(proxy.url, `${expecting}Connection: close\r\n\r\n`);
      expect(separate).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK\r\n/);
      const first = `GET /v1/keys/${prefix}first HTTP/1.1\r\nHost: proxy\r\n\r\n`;
      const received = await exchange(proxy.url, `${first}${expecting}Connection: close\r\n\r\n`);
      expect(responsesIn(received)).toEqual([
        { status: 200, body: 'value' },
        { status: 100, body: '' },
        { status: 200, body: 'other' },
      ]);
    });

    it('accept requests in absolute form, as proxies send them', async () => {
      await redis.client.set(`${prefix}absolute/form`, 'value');
      const target = `http://any.host:81/v1/keys/${prefix}absolute%2Fform?query`;
      const request = `GET ${target} HTTP/1.1\r\nHost: any.host:81\r\nConnection: close\r\n\r\n`;
      expect(responsesIn(await exchange(proxy.url, request))).toEqual([{ status: 200, body: 'value' }]);
    });

    it('accept HTTP/1.0 requests', async () => {
      await redis.client.set(`${prefix}old`, 'value');
      const received = await exchange(proxy.url, `GET /v1/keys/${prefix}old HTTP/1.0\r\n\r\n`);
      expect(responsesIn(received)).toEqual([{ status: 200, body: 'value' }]);
    });
  });
});

describeOwn('a value larger than CACHE_MAX_VALUE_BYTES', () => {
  let own: TestProxy;

  beforeAll(async () => {
    own = await TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: 2, CACHE_MAX_VALUE_BYTES: 1000 });
  });
  afterAll(async () => {
    await own?.stop();
  });

  it('is served, and not stored', async () => {
    const value = Buffer.alloc(1001, ALL_BYTES);
    await redis.client.set(`${prefix}too-large`, value);
    await redis.forgetCalls();
    for (let i = 0; i < 2; i++) {
      const response = await own.key(`${prefix}too-large`);
      expect(response.body.equals(value)).toBe(true);
      expect(response.headers['cache-status']).toBe('redis-http-cache-proxy; fwd=uri-miss');
    }
    expect(await redis.calls('get')).toBe(2);
  });

  it('is one byte larger than the largest that is stored', async () => {
    await redis.client.set(`${prefix}largest`, Buffer.alloc(1000, ALL_BYTES));
    await own.key(`${prefix}largest`);
    expect((await own.key(`${prefix}largest`)).headers['cache-status']).toContain('; hit;');
  });
});
