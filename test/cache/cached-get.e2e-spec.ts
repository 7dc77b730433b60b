import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type TestResponse } from '../support/http-client.ts';
import { itOwn } from '../support/only-own.ts';
import { keyPrefix, removeKeys, TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const STRONG_ETAG = /^"[\x21\x23-\x7e]+"$/;

const prefix = keyPrefix();
let redis: TestRedis;
let proxy: TestProxy;

beforeAll(async () => {
  redis = await TestRedis.start();
  proxy = await TestProxy.use({ REDIS_URL: redis.url, PROXY_THREADS: 2 });
  await proxy.stopClock();
});
afterAll(async () => {
  await proxy?.stop();
  await removeKeys(redis.client, prefix);
  await redis?.stop();
});

/** Returns the headers that describe the value, without those of every HTTP response. */
function valueHeaders({ headers }: TestResponse): object {
  const every = ['date', 'connection', 'keep-alive', 'x-content-type-options'];
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !every.includes(name)));
}

async function etagOf(key: string): Promise<string> {
  return (await proxy.key(key)).headers.etag ?? '';
}

describe('a cached GET', () => {
  it('reports on a miss that the value was loaded and stored, and on a hit its age and remaining TTL', async () => {
    const key = `${prefix}headers`;
    await redis.client.set(key, 'hello from redis');
    const miss = await proxy.key(key);
    const common = {
      etag: expect.stringMatching(STRONG_ETAG),
      'cache-control': `max-age=${Math.floor(proxy.ttlMs / 1000)}`,
      'content-type': 'application/octet-stream',
      'content-length': '16',
      'accept-ranges': 'bytes',
    };
    expect(valueHeaders(miss)).toEqual({
      ...common,
      age: '0',
      'cache-status': 'redis-http-cache-proxy; fwd=uri-miss; stored',
    });

    await proxy.advance(1500);
    const hit = await proxy.key(key);
    expect(valueHeaders(hit)).toEqual({
      ...common,
      etag: miss.headers.etag,
      age: '2',
      'cache-status': `redis-http-cache-proxy; hit; ttl=${Math.floor((proxy.ttlMs - 1600) / 1000)}`,
    });
  });

  it('is served from the cache the second time, whatever happened to the key in Redis', async () => {
    const key = `${prefix}changed`;
    await redis.client.set(key, 'before');
    expect((await proxy.key(key)).text).toBe('before');
    await redis.client.set(key, 'after');
    expect((await proxy.key(key)).text).toBe('before');
  });

  itOwn('reads Redis once for a hundred reads', async () => {
    const key = `${prefix}once`;
    await redis.client.set(key, 'value');
    await redis.forgetCalls();
    for (let i = 0; i < 100; i++) expect((await proxy.key(key)).text).toBe('value');
    expect(await redis.calls('get')).toBe(1);
  });

  itOwn('survives the deletion of the key in Redis until the entry expires, and then is 404', async () => {
    const key = `${prefix}deleted`;
    await redis.client.set(key, 'value');
    await proxy.key(key);
    await redis.client.del(key);
    await proxy.advance(proxy.ttlMs - 1000);
    expect((await proxy.key(key)).text).toBe('value');
    await proxy.advance(1000);
    expect((await proxy.key(key)).json).toMatchObject({ status: 404, code: 'key-not-found' });
  });

  it('does not cache a missing key by default', async () => {
    const key = `${prefix}late`;
    const missing = await proxy.key(key);
    expect([missing.status, missing.headers['cache-status']]).toEqual([404, 'redis-http-cache-proxy; fwd=uri-miss']);
    await redis.client.set(key, 'here now');
    expect((await proxy.key(key)).text).toBe('here now');
  });
});

describe('the ETag', () => {
  it('is the same for the same value, under any key and at any time', async () => {
    await redis.client.mset(`${prefix}one`, 'the value', `${prefix}other`, 'the value');
    const [one, other] = [await etagOf(`${prefix}one`), await etagOf(`${prefix}other`)];
    expect(one).toMatch(STRONG_ETAG);
    expect(other).toBe(one);
  });

  it('differs if the value differs in one byte', async () => {
    const values = ['', '\0', 'a', 'b', 'A', 'aa', 'a'.repeat(1000), `${'a'.repeat(999)}b`];
    await redis.client.mset(values.flatMap((value, i) => [`${prefix}differs${i}`, value]));
    const etags = await Promise.all(values.map((_, i) => etagOf(`${prefix}differs${i}`)));
    expect(new Set(etags).size).toBe(values.length);
  });

  itOwn('changes with the value, once the entry has expired', async () => {
    const key = `${prefix}changing`;
    await redis.client.set(key, 'before');
    const before = await etagOf(key);
    await redis.client.set(key, 'after');
    expect(await etagOf(key)).toBe(before);
    await proxy.advance(proxy.ttlMs);
    const after = await proxy.key(key, { 'if-none-match': before });
    expect([after.status, after.text]).toEqual([200, 'after']);
    expect(after.headers.etag).not.toBe(before);
  });
});

describe('If-None-Match', () => {
  const key = `${prefix}conditional`;
  let etag: string;

  beforeAll(async () => {
    await redis.client.set(key, 'value');
    etag = await etagOf(key);
  });

  it.each<[string, (etag: string) => string]>([
    ['the ETag', (tag) => tag],
    ['a weak form of it', (tag) => `W/${tag}`],
    ['a list that it is in', (tag) => `"other", W/"another" , ${tag}`],
    ['a list that its weak form is in', (tag) => `"other",W/${tag},"a,b"`],
    ['*', () => '*'],
  ])('with %s results in 304, without a body and with the headers of the value', async (_, field) => {
    const response = await proxy.key(key, { 'if-none-match': field(etag) });
    expect([response.status, response.body.length]).toEqual([304, 0]);
    expect(valueHeaders(response)).toEqual({
      etag,
      age: expect.stringMatching(/^\d+$/),
      'cache-control': `max-age=${Math.floor(proxy.ttlMs / 1000)}`,
      'cache-status': expect.stringMatching(/^redis-http-cache-proxy; hit; ttl=\d+$/),
    });
  });

  it.each<[string, (etag: string) => string]>([
    ['another tag', () => '"other"'],
    ['a list of others', () => '"other", W/"another"'],
    ['the tag without its quotes', (tag) => tag.slice(1, -1)],
    ['"*", which is a tag', () => '"*"'],
  ])('with %s results in 200 and the value', async (_, field) => {
    const response = await proxy.key(key, { 'if-none-match': field(etag) });
    expect([response.status, response.text]).toEqual([200, 'value']);
  });

  it('results in 304 for HEAD', async () => {
    const options = { method: 'HEAD', headers: { 'if-none-match': etag } };
    expect((await proxy.request(`/v1/keys/${encodeURIComponent(key)}`, options)).status).toBe(304);
  });

  it('results in 304 on a miss if the loaded value matches, and stores the value', async () => {
    const cold = `${prefix}cold`;
    await redis.client.set(cold, 'value');
    const response = await proxy.key(cold, { 'if-none-match': etag });
    expect([response.status, response.headers['cache-status']]).toEqual([
      304,
      'redis-http-cache-proxy; fwd=uri-miss; stored',
    ]);
    expect((await proxy.key(cold)).headers['cache-status']).toContain('; hit;');
  });

  it('does not result in 304 for a missing key or a value that is not a string', async () => {
    await redis.client.rpush(`${prefix}list`, 'a');
    expect((await proxy.key(`${prefix}nobody`, { 'if-none-match': '*' })).status).toBe(404);
    expect((await proxy.key(`${prefix}list`, { 'if-none-match': '*' })).status).toBe(409);
  });
});
