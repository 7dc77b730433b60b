import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ApiDocument } from '../support/documentation.ts';
import { type TestResponse, type TestRequest, exchange } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { keyPrefix, percentEncode, removeKeys, RUNNING, TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const ROUTES = [
  ['GET', '/v1/cache'],
  ['GET', '/v1/cache/hot-keys'],
  ['DELETE', '/v1/cache'],
  ['DELETE', '/v1/cache/some-key'],
] as const;

const prefix = keyPrefix();
let redis: TestRedis;

beforeAll(async () => {
  redis = await TestRedis.start();
});
afterAll(async () => {
  await removeKeys(redis.client, prefix);
  await redis.stop();
});

const cacheStatus = ({ headers }: TestResponse) =>
  String(headers['cache-status']).replace(/^redis-http-cache-proxy; /, '');

async function evictions(proxy: TestProxy): Promise<Record<string, number>> {
  return (await proxy.admin('GET', '/v1/cache')).json.evictions as Record<string, number>;
}

describeOwn('admin API without ADMIN_TOKEN', () => {
  let proxy: TestProxy;
  beforeAll(async () => {
    proxy = await TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: 1 });
  });
  afterAll(() => proxy.stop());

  it.each(ROUTES)('%s %s responds 404 admin-disabled, whatever token is sent', async (method, path) => {
    for (const authorization of [undefined, 'Bearer guess', 'Bearer ']) {
      const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
      const response = await proxy.request(path, { method, headers });
      expect(response.status).toBe(404);
      expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
      expect(response.json).toMatchObject({ status: 404, code: 'admin-disabled' });
    }
  });

  it('serves keys', async () => {
    await redis.client.set(`${prefix}open`, 'value');
    expect((await proxy.key(`${prefix}open`)).text).toBe('value');
  });
});

const describeAdmin = RUNNING === undefined || process.env.ADMIN_TOKEN ? describe : describe.skip;
const reason = describeAdmin === describe ? '' : ' (skipped: needs the ADMIN_TOKEN of the running proxy)';

describeAdmin(`admin API${reason}`, () => {
  let proxy: TestProxy;
  beforeAll(async () => {
    proxy = await TestProxy.use({ REDIS_URL: redis.url, PROXY_THREADS: 2, ADMIN_TOKEN: 'first-token,second-token' });
  });
  afterAll(() => proxy.stop());

  /** Sets a key in Redis and loads it into the cache. */
  async function cached(name: string | Buffer, value = 'value'): Promise<void> {
    await redis.client.set(name, value);
    await proxy.key(name);
    expect(cacheStatus(await proxy.key(name))).toMatch(/^hit;/);
  }

  const purge = (name: string | Buffer) => proxy.admin('DELETE', `/v1/cache/${percentEncode(name)}`);

  describe('authentication', () => {
    const [token] = (RUNNING === undefined ? 'first-token' : (process.env.ADMIN_TOKEN ?? '')).split(',');
    const refused = [
      ['no Authorization', {}],
      ['a wrong token', { authorization: 'Bearer wrong' }],
      ['an empty token', { authorization: 'Bearer ' }],
      ['the beginning of a token', { authorization: `Bearer ${token.slice(0, -1)}` }],
      ['a token and something more', { authorization: `Bearer ${token}x` }],
      ['two tokens at once', { authorization: `Bearer ${token},${token}` }],
      ['another scheme', { authorization: `Basic ${token}` }],
      ['no scheme', { authorization: token }],
      ['the token as a user of Basic', { authorization: `Basic ${Buffer.from(`${token}:`).toString('base64')}` }],
    ] as const;

    it.each(refused)('%s: 401 unauthorized with WWW-Authenticate, on every route', async (_what, headers) => {
      await cached(`${prefix}guarded`);
      for (const [method, path] of [...ROUTES, ['DELETE', `/v1/cache/${prefix}guarded`] as const]) {
        const response = await proxy.request(path, { method, headers });
        expect(response.status).toBe(401);
        expect(response.headers['www-authenticate']).toBe('Bearer realm="admin"');
        expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
        // The text is constant: it contains neither the token that was sent nor the valid one.
        expect(response.json).toEqual({
          status: 401,
          title: 'Unauthorized',
          code: 'unauthorized',
          detail: 'A valid admin token is required.',
        });
      }
      expect(cacheStatus(await proxy.key(`${prefix}guarded`))).toMatch(/^hit;/);
    });

    it('ignores a token in the query', async () => {
      expect((await proxy.get(`/v1/cache?token=${token}&access_token=${token}`)).status).toBe(401);
    });
  });

  it('accepts each of its tokens, and the scheme in any case', async () => {
    for (const token of String(proxy.settings.ADMIN_TOKEN).split(',')) {
      for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
        expect((await proxy.get('/v1/cache', { authorization: `${scheme} ${token}` })).status).toBe(200);
      }
    }
  });

  it('sends responses that are not cacheable', async () => {
    const { headers } = await proxy.admin('GET', '/v1/cache');
    expect(headers['cache-control']).toBe('no-store');
    expect(headers['content-type']).toMatch(/^application\/json/);
  });

  it.each([
    ['POST', '/v1/cache', 'GET, HEAD, DELETE'],
    ['PUT', '/v1/cache', 'GET, HEAD, DELETE'],
    ['PATCH', '/v1/cache', 'GET, HEAD, DELETE'],
    ['GET', '/v1/cache/some-key', 'DELETE'],
    ['PUT', '/v1/cache/some-key', 'DELETE'],
    ['POST', '/v1/cache/some-key', 'DELETE'],
  ])('responds 405 to %s %s, with the allowed methods', async (method, path, allow) => {
    const response = await proxy.admin(method, path);
    expect(response.status).toBe(405);
    expect(response.headers.allow).toBe(allow);
    expect(response.json).toMatchObject({ status: 405, code: 'method-not-allowed' });
  });

  describe('GET /v1/cache', () => {
    it('counts entries, bytes, hits, misses and loads', async () => {
      await proxy.admin('DELETE', '/v1/cache');
      const before = await proxy.stats();
      const keys = [1, 2, 3].map((i) => `${prefix}counted-${i}`);
      for (const key of keys) await redis.client.set(key, '0123456789');
      for (const key of keys) await proxy.key(key);
      for (const key of keys) for (let i = 0; i < 4; i++) await proxy.key(key);
      const after = await proxy.stats();
      expect(after).toMatchObject({
        entries: 3,
        bytes: 3 * (10 + keys[0].length),
        capacity: before.capacity,
        maxBytes: before.maxBytes,
        hits: before.hits + 12,
        misses: before.misses + 3,
        collapsed: before.collapsed,
        loads: before.loads + 3,
        loadErrors: before.loadErrors,
        uncacheable: before.uncacheable,
      });
      expect(after.hitRatio).toBeCloseTo(after.hits / (after.hits + after.misses + after.collapsed), 10);
    });

    it('counts a key that does not exist as a miss, not as an entry', async () => {
      await proxy.admin('DELETE', '/v1/cache');
      const before = await proxy.stats();
      expect((await proxy.key(`${prefix}none`)).status).toBe(404);
      expect(await proxy.stats()).toMatchObject({ misses: before.misses + 1, loads: before.loads + 1 });
    });

    it('counts coalesced reads as collapsed, and their load once', async () => {
      await redis.client.set(`${prefix}collapsed`, 'value');
      const before = await proxy.stats();
      await Promise.all(Array.from({ length: 20 }, () => proxy.key(`${prefix}collapsed`)));
      const after = await proxy.stats();
      const since = (name: string) => after[name] - before[name];
      expect(since('loads')).toBe(1);
      expect(since('misses')).toBe(1);
      expect(since('hits') + since('collapsed')).toBe(19);
    });

    it('reports the uptime in whole seconds', async () => {
      const { uptimeSeconds } = await proxy.stats();
      expect(Number.isInteger(uptimeSeconds)).toBe(true);
      expect(uptimeSeconds).toBeGreaterThanOrEqual(0);
    });
  });

  describe('DELETE /v1/cache/{key}', () => {
    it.each([
      ['a plain name', 'plain'],
      ['a NUL', 'nul \0 byte'],
      ['slashes', 'a/b//c/'],
      ['dots that a URL would resolve', 'a/../b/./c'],
      ['a question mark, a hash and a percent sign', 'what?now#here%20'],
      ['letters beyond ASCII', 'schlüssel-🔑'],
      ['invalid UTF-8', Buffer.from([0xff, 0xfe, 0x80, 0xc3])],
    ])('purges a key with %s, once, and the next read is loaded from Redis', async (_what, name) => {
      const key = Buffer.concat([Buffer.from(prefix), Buffer.from(name)]);
      await cached(key, 'old');
      await redis.client.set(key, 'new');
      expect((await proxy.key(key)).text).toBe('old');
      const purged = await purge(key);
      expect(`${purged.status} ${purged.text}`).toBe('200 {"purged":true}');
      expect((await purge(key)).json).toEqual({ purged: false });
      await redis.forgetCalls();
      expect((await proxy.key(key)).text).toBe('new');
      expect(await redis.calls('get')).toBe(1);
    });

    it('accepts slashes in the key without encoding', async () => {
      await cached(`${prefix}a/b/c`);
      expect((await proxy.admin('DELETE', `/v1/cache/${prefix}a/b/c`)).json).toEqual({ purged: true });
    });

    it('purges only that key, and does not change Redis', async () => {
      await cached(`${prefix}this`);
      await cached(`${prefix}that`);
      const { purged } = await evictions(proxy);
      await purge(`${prefix}this`);
      expect((await evictions(proxy)).purged).toBe(purged + 1);
      expect(cacheStatus(await proxy.key(`${prefix}that`))).toMatch(/^hit;/);
      expect(await redis.client.get(`${prefix}this`)).toBe('value');
    });

    it.each([
      ['an empty key (a trailing slash is not a flush)', ''],
      ['a broken percent-encoding', '%zz'],
      ['a key over 64 KiB', 'k'.repeat(64 * 1024 + 1)],
    ])('refuses %s as bad-key, and forgets nothing', async (_what, rest) => {
      await cached(`${prefix}kept`);
      const before = await proxy.stats();
      const response = await proxy.admin('DELETE', `/v1/cache/${rest}`);
      expect(response).toMatchObject({ status: 400, json: { code: 'bad-key' } });
      expect((await proxy.stats()).entries).toBe(before.entries);
      expect(cacheStatus(await proxy.key(`${prefix}kept`))).toMatch(/^hit;/);
    });
  });

  describe('DELETE /v1/cache with a prefix or a pattern', () => {
    const purgeMatching = (query: string) => proxy.admin('DELETE', `/v1/cache?${query}`);

    it('purges the keys that begin with the prefix, and no others', async () => {
      const keys = Array.from({ length: 300 }, (_, i) => `${prefix}some:${i}`);
      for (const key of [...keys, `${prefix}some`, `x${prefix}some:1`]) await cached(key);
      const { purged } = await evictions(proxy);
      const { status, text } = await purgeMatching(`prefix=${prefix}some:`);
      expect(`${status} ${text}`).toBe('200 {"purged":300}');
      expect((await evictions(proxy)).purged).toBe(purged + 300);
      expect(cacheStatus(await proxy.key(`${prefix}some`))).toMatch(/^hit;/);
      expect(cacheStatus(await proxy.key(`x${prefix}some:1`))).toMatch(/^hit;/);
      expect(cacheStatus(await proxy.key(keys[0]))).toMatch(/^fwd=uri-miss/);
      expect(await redis.client.exists(keys)).toBe(300);
    });

    it('purges the keys that match the pattern, and no others', async () => {
      for (const name of ['p:1', 'p:12', 'p:a']) await cached(`${prefix}${name}`);
      expect((await purgeMatching(`pattern=${prefix}p:[0-9]`)).json).toEqual({ purged: 1 });
      expect((await purgeMatching(`pattern=${prefix}p:*`)).json).toEqual({ purged: 2 });
    });

    it('selects bytes that are not UTF-8, percent-encoded', async () => {
      const names = [Buffer.from([0xff, 0x2b, 1]), Buffer.from([0xff, 0x2b, 2]), Buffer.from([0xfe, 0x2b, 1])];
      const keys = names.map((name) => Buffer.concat([Buffer.from(prefix), name]));
      for (const key of keys) await cached(key);
      const [selected] = keys;
      expect((await purgeMatching(`prefix=${percentEncode(selected.subarray(0, -1))}`)).json).toEqual({ purged: 2 });
      expect(cacheStatus(await proxy.key(keys[2]))).toMatch(/^hit;/);
    });
  });

  describe('unknown input is rejected, and nothing is purged', () => {
    const json = { 'content-type': 'application/json' };
    const inputs: readonly (readonly [what: string, query: string, options: TestRequest])[] = [
      ['?key=', `?key=${prefix}kept`, {}],
      ['prefix and pattern', `?prefix=${prefix}&pattern=*`, {}],
      ['an empty prefix', '?prefix=', {}],
      ['an empty pattern', '?pattern=', {}],
      ['two prefixes', `?prefix=${prefix}&prefix=${prefix}`, {}],
      ['a prefix and an unknown parameter', `?prefix=${prefix}&x=1`, {}],
      ['a prefix and an empty parameter', `?prefix=${prefix}&`, {}],
      ['a prefix that is not percent-encoded', `?prefix=${prefix}%`, {}],
      ['a prefix with a plus sign', `?prefix=${prefix}+`, {}],
      ['an open class', '?pattern=[a', {}],
      ['an encoded name', `?%70refix=${prefix}`, {}],
      ['a prefix and a body', `?prefix=${prefix}`, { body: '{}', headers: json }],
      ['a name without a value', '?all', {}],
      ['?', '?', {}],
      ['?&', '?&', {}],
      ['a JSON body', '', { body: '{"prefix":"user:"}', headers: json }],
      ['an empty JSON object', '', { body: '{}', headers: json }],
      ['a body of another type', '', { body: 'prefix=user:', headers: { 'content-type': 'text/plain' } }],
      ['a body of no type', '', { body: '\0' }],
      ['a chunked body', '', { body: '{}', headers: { ...json, 'transfer-encoding': 'chunked' } }],
      ['a chunked body of no bytes', '', { headers: { 'transfer-encoding': 'chunked' } }],
      ['another method in a header', '', { headers: { 'x-http-method-override': 'GET' } }],
    ];
    let routes: readonly (readonly [method: string, path: string])[];
    beforeAll(async () => {
      const { paths } = (await proxy.get('/openapi.json')).json as unknown as ApiDocument;
      routes = Object.entries(paths).flatMap(([path, operations]) =>
        Object.entries(operations)
          .filter(([, { tags }]) => tags?.includes('admin'))
          .map(([method]) => [method.toUpperCase(), path.replace('{key}', `${prefix}kept`)] as const),
      );
      expect(routes.length).toBeGreaterThanOrEqual(3);
    });

    const sendTo = (method: string, path: string, { headers, body }: TestRequest = {}): Promise<TestResponse> => {
      const [token] = String(proxy.settings.ADMIN_TOKEN).split(',');
      // node:http does not send Content-Length for these methods by itself.
      const isAnnounced = body === undefined || headers?.['transfer-encoding'] !== undefined;
      const framing: Record<string, string> = isAnnounced ? {} : { 'content-length': String(body.length) };
      return proxy.request(path, {
        method,
        headers: { ...framing, ...headers, authorization: `Bearer ${token}` },
        body,
      });
    };

    it.each(inputs)('%s: 400 bad-request, on every route', async (_what, query, options) => {
      await cached(`${prefix}kept`);
      for (const [method, path] of routes) {
        const { status, headers, json: problem } = await sendTo(method, `${path}${query}`, options);
        expect([method, path, status, problem.code]).toEqual([method, path, 400, 'bad-request']);
        expect(headers['content-type']).toBe('application/problem+json');
        expect(problem.detail).toMatch(/ Nothing was done\.$/);
      }
      expect(cacheStatus(await proxy.key(`${prefix}kept`))).toMatch(/^hit;/);
    });

    it.each([
      ['If-Match', { 'if-match': '"etag"' }],
      ['If-None-Match', { 'if-none-match': '*' }],
    ])('a purge or a flush under the condition %s', async (_name, headers) => {
      await cached(`${prefix}kept`);
      for (const path of ['/v1/cache', `/v1/cache/${prefix}kept`]) {
        expect(await sendTo('DELETE', path, { headers })).toMatchObject({ status: 400, json: { code: 'bad-request' } });
      }
      expect(cacheStatus(await proxy.key(`${prefix}kept`))).toMatch(/^hit;/);
    });

    it.each([
      '/v1/cache;prefix=a',
      '/v1/cache%3Fprefix=a',
      '/v1/cache/',
      '/v1/cache/?x=1',
      '//v1/cache',
      '/v1/./cache',
    ])('a path that is no route, %s', async (path) => {
      await cached(`${prefix}kept`);
      expect([400, 404]).toContain((await sendTo('DELETE', path)).status);
      expect(cacheStatus(await proxy.key(`${prefix}kept`))).toMatch(/^hit;/);
    });

    it('a query on any other route', async () => {
      await cached(`${prefix}kept`);
      for (const [method, path] of routes.filter(([, path]) => path !== '/v1/cache')) {
        expect(await sendTo(method, `${path}?prefix=${prefix}`)).toMatchObject({ status: 400 });
      }
      expect(await sendTo('GET', `/v1/cache?prefix=${prefix}`)).toMatchObject({ status: 400 });
      expect(cacheStatus(await proxy.key(`${prefix}kept`))).toMatch(/^hit;/);
    });

    it.each(['/v1/cache#a', '/v1\\cache#', '/v1/cache\xa0', 'http://host?/v1/cache', 'http://host/v1/cache?a'])(
      'a request line with %j',
      async (target) => {
        await cached(`${prefix}kept`);
        const [token] = String(proxy.settings.ADMIN_TOKEN).split(',');
        const head = `DELETE ${target} HTTP/1.1\r\nHost: host\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`;
        expect(await exchange(proxy.url, Buffer.from(head, 'latin1'))).toMatch(/^HTTP\/1\.1 4\d\d /);
        expect(cacheStatus(await proxy.key(`${prefix}kept`))).toMatch(/^hit;/);
      },
    );

    it('accepts Content-Length: 0', async () => {
      await cached(`${prefix}kept`);
      const headers = { ...json, 'content-length': '0' };
      expect((await sendTo('DELETE', `/v1/cache/${prefix}kept`, { headers })).json).toEqual({ purged: true });
    });
  });

  describe('DELETE /v1/cache', () => {
    it('removes all entries, returns their number, and does not change Redis', async () => {
      await proxy.admin('DELETE', '/v1/cache');
      const count = Math.min(25, (await proxy.stats()).capacity);
      const keys = Array.from({ length: count }, (_, i) => `${prefix}flushed-${i}`);
      for (const key of keys) await cached(key);
      const flushed = await proxy.admin('DELETE', '/v1/cache');
      expect(`${flushed.status} ${flushed.text}`).toBe(`200 {"flushed":${count}}`);
      expect(await proxy.stats()).toMatchObject({ entries: 0, bytes: 0 });
      expect((await proxy.admin('DELETE', '/v1/cache')).json).toEqual({ flushed: 0 });
      expect(await redis.client.exists(keys)).toBe(count);
      await redis.forgetCalls();
      for (const key of keys) expect(cacheStatus(await proxy.key(key))).toBe('fwd=uri-miss; stored');
      expect(await redis.calls('get')).toBe(count);
    });
  });
});

describeOwn('GET /v1/cache counts evictions by cause', () => {
  let proxy: TestProxy;
  beforeAll(async () => {
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      PROXY_THREADS: 2,
      ADMIN_TOKEN: 'admin',
      CACHE_CAPACITY: 4,
      CACHE_MAX_BYTES: 20_000,
      CACHE_MAX_VALUE_BYTES: 15_000,
      CACHE_TTL_MS: 60_000,
    });
  });
  afterAll(() => proxy.stop());

  async function read(name: string, bytes: number): Promise<void> {
    await redis.client.set(prefix + name, Buffer.alloc(bytes));
    expect((await proxy.key(prefix + name)).status).toBe(200);
  }

  it('starts with zeros and without a hit ratio', async () => {
    expect((await proxy.admin('GET', '/v1/cache')).json).toEqual({
      entries: 0,
      capacity: 4,
      bytes: 0,
      maxBytes: 20_000,
      hits: 0,
      misses: 0,
      collapsed: 0,
      stale: 0,
      hitRatio: null,
      loads: 0,
      loadErrors: 0,
      evictions: { capacity: 0, bytes: 0, expired: 0, purged: 0 },
      uncacheable: 0,
      coherence: { state: 'ttl', invalidations: 0, flushes: 0, losses: 0 },
      nodeInternals: { 'socket-write': true, 'socket-read': true, 'redis-batches': true },
      uptimeSeconds: expect.any(Number),
    });
  });

  it('counts capacity, bytes, expired and purged, and values that are too large as uncacheable', async () => {
    for (let i = 0; i < 6; i++) await read(`small-${i}`, 10);
    expect(await evictions(proxy)).toEqual({ capacity: 2, bytes: 0, expired: 0, purged: 0 });

    await proxy.admin('DELETE', `/v1/cache/${prefix}small-5`);
    expect(await evictions(proxy)).toEqual({ capacity: 2, bytes: 0, expired: 0, purged: 1 });

    await proxy.admin('DELETE', '/v1/cache');
    const flushed = await evictions(proxy);
    await read('large-1', 12_000);
    await read('large-2', 12_000);
    expect(await evictions(proxy)).toEqual({ ...flushed, bytes: 1 });

    await proxy.advance(60_000);
    await read('large-2', 12_000);
    expect(await evictions(proxy)).toEqual({ ...flushed, bytes: 1, expired: 1 });

    await read('too-large', 15_001);
    expect(await proxy.stats()).toMatchObject({ uncacheable: 1 });
  });
});

describeOwn('load in flight when its key is purged', () => {
  let stoppable: TestRedis;
  let proxy: TestProxy;
  beforeAll(async () => {
    stoppable = await TestRedis.start();
    proxy = await TestProxy.start({
      REDIS_URL: stoppable.url,
      PROXY_THREADS: 2,
      ADMIN_TOKEN: 'admin',
      REDIS_COMMAND_TIMEOUT_MS: 20_000,
    });
  });
  afterAll(async () => {
    stoppable.server?.signal('SIGCONT');
    await proxy?.stop();
    await stoppable.stop();
  });

  it.each([
    ['purged', '/v1/cache/slow'],
    ['purged by prefix', '/v1/cache?prefix=sl'],
    ['purged by pattern', '/v1/cache?pattern=s*w'],
    ['flushed', '/v1/cache'],
  ])('(%s) returns its value, which is not cached', async (_how, path) => {
    await proxy.admin('DELETE', '/v1/cache');
    await stoppable.client.set('slow', 'old');
    const before = await proxy.stats();
    stoppable.server?.signal('SIGSTOP');
    const response = proxy.key('slow');
    await until('the load is in flight', async () => ((await proxy.stats()).loads > before.loads ? true : undefined));
    await proxy.admin('DELETE', path);
    stoppable.server?.signal('SIGCONT');
    const { status, text, headers } = await response;
    expect(`${status} ${text}`).toBe('200 old');
    expect(headers['cache-status']).toBe('redis-http-cache-proxy; fwd=uri-miss');
    expect((await proxy.stats()).entries).toBe(0);

    await stoppable.client.set('slow', 'new');
    expect((await proxy.key('slow')).text).toBe('new');
    expect(cacheStatus(await proxy.key('slow'))).toMatch(/^hit;/);
  });
});
