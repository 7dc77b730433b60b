import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { untilCoherence } from '../support/coherence.ts';
import type { TestResponse } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const ADMIN = { authorization: 'Bearer admin' };
const HIT = /^redis-http-cache-proxy; hit; ttl=\d+$/;
const STORED = 'redis-http-cache-proxy; fwd=uri-miss; stored';
const NOT_UTF8 = Buffer.from([0xff]);

let redis: TestRedis;
let proxy: TestProxy;

/** A resource of each kind, and its body. */
const RESOURCES: readonly [path: string, body: string][] = [
  ['/v1/hashes/hash', '{"name":"a \\"value\\"","":"é"}'],
  ['/v1/hashes/hash/name', 'a "value"'],
  ['/v1/hashes/hash/', 'é'],
  ['/v1/lists/list', '["first","second","third"]'],
  ['/v1/lists/list?start=1&stop=-2', '["second"]'],
  ['/v1/lists/list?start=5', '[]'],
  ['/v1/sets/set', '["a/b"]'],
  ['/v1/sets/set/a/b', ''],
  ['/v1/sorted-sets/sorted', '["one","two","all"]'],
  ['/v1/sorted-sets/sorted?withScores=true&stop=1', '[{"member":"one","score":1},{"member":"two","score":2.5}]'],
  ['/v1/sorted-sets/sorted?order=desc&withScores=true&stop=0', '[{"member":"all","score":"inf"}]'],
  ['/v1/sorted-sets/sorted?by=score&start=(1&stop=+inf', '["two","all"]'],
  ['/v1/sorted-sets/sorted?by=score&stop=2.5&order=desc', '["two","one"]'],
  ['/v1/json/document', '{"name":"Ada"}'],
  ['/v1/json/document?path=$', '{"name":"Ada"}'],
];

const isMember = (path: string): boolean => path.endsWith('/a/b');

async function fill(): Promise<void> {
  const { client } = redis;
  await client.flushall();
  await client.hset('hash', { name: 'a "value"', '': 'é' });
  await client.rpush('list', 'first', 'second', 'third');
  await client.sadd('set', 'a/b');
  await client.zadd('sorted', 1, 'one', 2.5, 'two', 'inf', 'all');
  await client.set('document', '{"name":"Ada"}');
}

beforeAll(async () => {
  // A command that returns the text of a key, as JSON.GET does.
  redis = await TestRedis.start('--rename-command', 'GETEX', 'JSON.GET');
});
afterAll(() => redis?.stop());

const statusOf = ({ headers }: TestResponse): string => String(headers['cache-status']);

describeOwn('resources of other types', () => {
  beforeAll(async () => {
    proxy = await TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: 2, ADMIN_TOKEN: 'admin' });
    await fill();
  });
  beforeEach(() => proxy.request('/v1/cache', { method: 'DELETE', headers: ADMIN }));
  afterAll(() => proxy?.stop());

  const codeOf = async (path: string): Promise<[number, unknown]> => {
    const { status, json } = await proxy.get(path);
    return [status, json.code];
  };

  it.each(RESOURCES)('%s is loaded once, then served from the cache with an ETag of its body', async (path, body) => {
    const status = isMember(path) ? 204 : 200;
    const first = await proxy.get(path);
    expect([first.status, first.text, statusOf(first)]).toEqual([status, body, STORED]);
    const second = await proxy.get(path);
    expect([second.status, second.text, statusOf(second)]).toEqual([status, body, expect.stringMatching(HIT)]);
    expect(second.headers.etag).toBe(first.headers.etag);
    const type = isMember(path) ? undefined : /hash\//.test(path) ? 'application/octet-stream' : 'application/json';
    for (const { headers } of [first, second]) {
      expect([headers['content-type'], headers['content-length']]).toEqual([
        type,
        isMember(path) ? undefined : String(Buffer.byteLength(body)),
      ]);
    }
    const head = await proxy.request(path, { method: 'HEAD' });
    expect([head.status, head.text, head.headers.etag]).toEqual([status, '', first.headers.etag]);
    const unchanged = await proxy.get(path, { 'if-none-match': String(first.headers.etag) });
    expect([unchanged.status, unchanged.text]).toEqual([304, '']);
    const reloaded = await proxy.get(path, { 'cache-control': 'no-cache' });
    expect([reloaded.status, statusOf(reloaded)]).toEqual([status, 'redis-http-cache-proxy; fwd=request; stored']);
    expect((await proxy.get(path, { 'cache-control': 'only-if-cached' })).status).toBe(status);
  });

  it('different spellings of the same parameters share an entry', async () => {
    await proxy.get('/v1/lists/list');
    for (const query of ['start=0', 'stop=-1&start=0', 'st%61rt=%30']) {
      expect(statusOf(await proxy.get(`/v1/lists/list?${query}`))).toMatch(HIT);
    }
    expect(statusOf(await proxy.get('/v1/lists/list?stop=1'))).toBe(STORED);
  });

  it('a purge of the key ends all of its entries', async () => {
    const paths = ['/v1/lists/list', '/v1/lists/list?start=1', '/v1/lists/list?stop=0'];
    for (const path of paths) await proxy.get(path);
    await proxy.get('/v1/hashes/hash');
    const purged = await proxy.request('/v1/cache/list', { method: 'DELETE', headers: ADMIN });
    expect(purged.json).toEqual({ purged: true });
    for (const path of paths) expect(statusOf(await proxy.get(path))).toBe(STORED);
    expect(statusOf(await proxy.get('/v1/hashes/hash'))).toMatch(HIT);
  });

  it('represents bytes that are not UTF-8 in base64, also the names of fields', async () => {
    await redis.client.hset('odd-names', NOT_UTF8, NOT_UTF8, 'name', 'value');
    await redis.client.hset('odd-value', 'name', NOT_UTF8);
    await redis.client.rpush('odd-list', NOT_UTF8, '{"base64":"/w=="}');
    const base64 = { base64: '/w==' };
    expect((await proxy.get('/v1/hashes/odd-names')).json).toEqual([
      { field: base64, value: base64 },
      { field: 'name', value: 'value' },
    ]);
    expect((await proxy.get('/v1/hashes/odd-value')).json).toEqual({ name: base64 });
    expect((await proxy.get('/v1/lists/odd-list')).json).toEqual([base64, '{"base64":"/w=="}']);
    expect((await proxy.get('/v1/hashes/odd-names/%ff')).body).toEqual(NOT_UTF8);
  });

  it('a slash in the key is encoded where a part may follow, and plain elsewhere', async () => {
    await redis.client.hset('a/b', { 'c/d': 'value' });
    await redis.client.rpush('x/y', 'element');
    expect((await proxy.get('/v1/hashes/a%2Fb')).text).toBe('{"c/d":"value"}');
    expect((await proxy.get('/v1/hashes/a%2fb/c/d')).text).toBe('value');
    expect(await codeOf('/v1/hashes/a/b')).toEqual([404, 'field-not-found']);
    expect((await proxy.get('/v1/lists/x/y')).text).toBe('["element"]');
  });

  it.each([
    ['/v1/hashes/nobody', 404, 'key-not-found'],
    ['/v1/hashes/nobody/field', 404, 'field-not-found'],
    ['/v1/hashes/hash/nothing', 404, 'field-not-found'],
    ['/v1/sets/nobody/member', 404, 'member-not-found'],
    ['/v1/sets/set/nothing', 404, 'member-not-found'],
    ['/v1/lists/nobody', 404, 'key-not-found'],
    ['/v1/hashes/', 400, 'bad-key'],
    ['/v1/hashes//field', 400, 'bad-key'],
    ['/v1/hashes/hash/%zz', 400, 'bad-key'],
    ['/v1/lists/%', 400, 'bad-key'],
    ['/v1/lists/list?start=x', 400, 'bad-request'],
    ['/v1/lists/list?start=', 400, 'bad-request'],
    ['/v1/lists/list?start=0&start=0', 400, 'bad-request'],
    ['/v1/lists/list?', 400, 'bad-request'],
    ['/v1/hashes/hash?start=0', 400, 'bad-request'],
    ['/v1/hashes/hash/name?x', 400, 'bad-request'],
    ['/v1/sorted-sets/sorted?order=up', 400, 'bad-request'],
    ['/v1/sorted-sets/sorted?by=lex', 400, 'bad-request'],
    ['/v1/sorted-sets/sorted?withScores=yes', 400, 'bad-request'],
    ['/v1/sorted-sets/sorted?by=score&start=x', 400, 'bad-request'],
    ['/v1/json/document?path=$.x', 400, 'bad-request'],
    ['/v1/hashes', 404, 'route-not-found'],
    ['/v1/streams/hash', 404, 'route-not-found'],
  ])('%s is %i %s', async (path, status, code) => {
    expect(await codeOf(path)).toEqual([status, code]);
    expect(await codeOf(path)).toEqual([status, code]);
  });

  it('says whether the key or the part is too long', async () => {
    const long = 'x'.repeat(65_537);
    const { json } = await proxy.get(`/v1/hashes/${long}/field`);
    expect(json).toMatchObject({ code: 'bad-key', detail: 'The key exceeds 65536 bytes.' });
    for (const path of [`/v1/hashes/hash/${long}`, `/v1/sets/set/${long}`]) {
      const detail = 'The field or member, after the first plain slash, exceeds 65536 bytes.';
      expect((await proxy.get(path)).json).toMatchObject({ status: 400, code: 'bad-key', detail });
    }
  });

  it('says what is too large if the JSON is, although the reply of Redis is not', async () => {
    await redis.client.rpush('long-json', Buffer.alloc(3 * 1024 * 1024, 1), 'second');
    const { status, json } = await proxy.get('/v1/lists/long-json');
    expect([status, json.code]).toEqual([502, 'value-too-large']);
    expect(json.detail).toContain('16 MiB');
    expect((await proxy.get('/v1/lists/long-json?start=1')).text).toBe('["second"]');
  });

  it('repeats the error with which Redis rejects a parameter', async () => {
    const { json } = await proxy.get('/v1/lists/list?start=x');
    expect(json.detail).toBe('Redis replied: ERR value is not an integer or out of range');
  });

  it.each([
    ['/v1/keys/list', 'list', '/v1/lists/{key}'],
    ['/v1/lists/hash', 'hash', '/v1/hashes/{key}'],
    ['/v1/hashes/set', 'set', '/v1/sets/{key}'],
    ['/v1/hashes/set/field', 'set', '/v1/sets/{key}'],
    ['/v1/sets/sorted/member', 'zset', '/v1/sorted-sets/{key}'],
    ['/v1/sorted-sets/document', 'string', '/v1/keys/{key}'],
  ])('%s is 409, with the type of the key and the path that reads it', async (path, keyType, urlTemplate) => {
    for (let i = 0; i < 2; i++) {
      const { status, json, headers } = await proxy.get(path);
      expect([status, json]).toMatchObject([409, { code: 'wrong-type', keyType, urlTemplate }]);
      expect(headers['cache-status']).toBe('redis-http-cache-proxy; fwd=uri-miss');
    }
  });

  it('responds 409 to a stream without a path', async () => {
    await redis.client.xadd('stream', '*', 'name', 'value');
    const { json } = await proxy.get('/v1/keys/stream');
    expect(json).toMatchObject({ code: 'wrong-type', keyType: 'stream' });
    expect(json).not.toHaveProperty('urlTemplate');
  });

  it.each(['POST', 'PUT', 'DELETE'])('%s is not allowed', async (method) => {
    for (const [path] of RESOURCES) {
      const { status, headers } = await proxy.request(path, { method });
      expect([path, status, headers.allow]).toEqual([path, 405, 'GET, HEAD']);
    }
  });

  it('serves long results, rendered in steps', async () => {
    const elements = Array.from({ length: 100_000 }, (_, i) => `element ${i}`);
    for (let i = 0; i < elements.length; i += 10_000)
      await redis.client.rpush('long', ...elements.slice(i, i + 10_000));
    const { status, text } = await proxy.get('/v1/lists/long');
    expect(status).toBe(200);
    expect(text === JSON.stringify(elements)).toBe(true);
  });
});

describeOwn('access to resources of other types', () => {
  it('needs the token, and a key that KEY_ALLOWLIST matches', async () => {
    await fill();
    const guarded = await TestProxy.start({
      REDIS_URL: redis.url,
      PROXY_THREADS: 1,
      ACCESS_TOKEN: 'reader',
      KEY_ALLOWLIST: 'hash,list',
      HTTP_CORS_ORIGINS: '*',
    });
    const headers = { authorization: 'Bearer reader' };
    for (const [path] of RESOURCES) {
      const allowed = /\/(?:hash|list)(?![a-z])/.test(path);
      expect([path, (await guarded.get(path)).status]).toEqual([path, 401]);
      const { status, headers: sent } = await guarded.get(path, headers);
      expect([path, status, sent['access-control-allow-origin']]).toEqual([path, allowed ? 200 : 403, '*']);
      const preflight = await guarded.request(path, { method: 'OPTIONS' });
      expect([preflight.status, preflight.headers['access-control-allow-methods']]).toEqual([204, 'GET, HEAD']);
      if (allowed) expect(sent['cache-control']).toMatch(/^private, max-age=/);
    }
    await guarded.stop();
  });
});

describeOwn('resources of other types while tracking', () => {
  it('are never served after a write to the key', async () => {
    await fill();
    const tracking = await TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: 2, CACHE_COHERENCE: 'tracking' });
    await untilCoherence(tracking, 'tracking');
    const changes: readonly [path: string, change: () => Promise<unknown>, body: string][] = [
      ['/v1/hashes/hash', () => redis.client.hset('hash', 'name', 'new'), '{"name":"new","":"é"}'],
      ['/v1/hashes/hash/name', () => redis.client.hset('hash', 'name', 'newer'), 'newer'],
      ['/v1/lists/list?stop=0', () => redis.client.lpush('list', 'new'), '["new"]'],
      ['/v1/sets/set', () => redis.client.srem('set', 'a/b').then(() => redis.client.sadd('set', 'x')), '["x"]'],
      ['/v1/sorted-sets/sorted?stop=0', () => redis.client.zadd('sorted', 0, 'zero'), '["zero"]'],
    ];
    for (const [path, change, body] of changes) {
      await until(`${path} is cached`, async () => HIT.test(statusOf(await tracking.get(path))) || undefined);
      await change();
      const changed = await until(`${path} has changed`, async () => {
        const response = await tracking.get(path);
        return response.text === body ? response : undefined;
      });
      expect(changed.headers['cache-control']).toBe('no-cache');
    }
    await tracking.stop();
  });
});
