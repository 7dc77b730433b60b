import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestResponse } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy, keyPrefix, removeKeys } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

type Key = string | { readonly base64: string };
type Result = Readonly<Record<string, unknown>>;

const JSON_TYPE = { 'content-type': 'application/json' };
const MiB = 1024 * 1024;

const prefix = keyPrefix();
let redis: TestRedis;
let proxy: TestProxy;

function post(body: string | Buffer, headers: Readonly<Record<string, string>> = JSON_TYPE): Promise<TestResponse> {
  return proxy.request('/v1/mget', { method: 'POST', headers, body });
}

async function mget(...keys: Key[]): Promise<Result[]> {
  const response = await post(JSON.stringify({ keys }));
  expect([response.status, response.headers['content-type']]).toEqual([200, 'application/json']);
  return (response.json as { results: Result[] }).results;
}

const values = async (...keys: Key[]) => (await mget(...keys)).map(({ value }) => value);

function expectProblem(response: TestResponse, status: number, code: string): void {
  expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect([response.status, response.json.status, response.json.code]).toEqual([status, status, code]);
  expect(response.headers['cache-control']).toBe('no-store');
}

describe('POST /v1/mget', () => {
  beforeAll(async () => {
    redis = await TestRedis.start();
    proxy = await TestProxy.use({ REDIS_URL: redis.url, PROXY_THREADS: 2 });
    await proxy.stopClock();
  });
  afterAll(async () => {
    await proxy?.stop();
    await removeKeys(redis.client, prefix);
    await redis.stop();
  });

  it('returns a result for each key, in order, including duplicates', async () => {
    const [a, b, none] = ['order a', 'order b', 'order none'].map((name) => prefix + name);
    await redis.client.mset(a, 'A', b, 'B');
    expect(await values(b, none, a, b, a)).toEqual(['B', undefined, 'A', 'B', 'A']);
    expect(await values(a, none, none, b)).toEqual(['A', undefined, undefined, 'B']);
    expect(await mget()).toEqual([]);
  });

  it('returns the metadata of GET', async () => {
    const key = `${prefix}said`;
    await redis.client.set(key, 'value');
    const [first, second] = await mget(key, key);
    const { headers } = await proxy.key(key);
    const expected = { status: 200, value: 'value', encoding: 'utf8', etag: headers.etag, age: 0 };
    expect(first).toEqual({ ...expected, maxAge: proxy.ttlMs / 1000, cacheStatus: 'stored' });
    expect(second).toEqual({ ...first, cacheStatus: 'collapsed' });
    // Its age is rounded up.
    await proxy.advance(10);
    expect(await mget(key)).toEqual([{ ...first, age: 1, cacheStatus: 'hit' }]);
  });

  it('distinguishes an empty string, a missing key and a key of another type', async () => {
    const [empty, none, list] = ['empty', 'none', 'list'].map((name) => prefix + name);
    await redis.client.set(empty, '');
    await redis.client.rpush(list, 'a');
    expect(await mget(empty, none, list)).toMatchObject([
      { status: 200, value: '', encoding: 'utf8' },
      { status: 404, code: 'key-not-found', detail: 'Redis has no such key.' },
      { status: 409, code: 'wrong-type', keyType: 'list', urlTemplate: '/v1/lists/{key}' },
    ]);
  });

  it('accepts and returns any bytes: UTF-8 as text, others in base64', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const binary = Buffer.concat([Buffer.from(prefix), bytes]);
    const text = `${prefix}"\\/\u0000\u001f é 漢 😀`;
    await redis.client.set(binary, bytes);
    await redis.client.set(text, text);
    const [first, second, third] = await mget({ base64: binary.toString('base64') }, text, {
      base64: Buffer.from(text).toString('base64'),
    });
    expect(first).toMatchObject({ value: bytes.toString('base64'), encoding: 'base64' });
    for (const result of [second, third]) expect(result).toMatchObject({ value: text, encoding: 'utf8' });
  });

  it('accepts parameters of the media type', async () => {
    const response = await post('{"keys":[]}', { 'content-type': 'Application/JSON; charset=UTF-8' });
    expect([response.status, response.json]).toEqual([200, { results: [] }]);
    expect(response.headers['cache-control']).toBe('no-store');
  });

  it.each([
    '',
    '{',
    '[]',
    'null',
    '{}',
    '{"keys":"a"}',
    '{"keys":[],"other":1}',
    '{"keys":["\xff"]}',
    '{"keys":["a"],"keys":["b"]}',
  ])('rejects the body %j', async (body) => {
    expectProblem(await post(Buffer.from(body, 'latin1')), 400, 'bad-request');
  });

  it.each([
    '""',
    '1',
    '9007199254740993',
    'null',
    '["a"]',
    '{}',
    '{"base64":""}',
    '{"base64":1}',
    '{"base64":"_w=="}',
    '{"base64":"/w"}',
    '{"base64":"/x=="}',
    '{"base64":"/w==","a":1}',
    '"\\ud800"',
  ])('rejects the key %s, and names its index', async (key) => {
    const response = await post(`{"keys":["a",${key}]}`);
    expectProblem(response, 400, 'bad-key');
    expect(response.json.detail).toContain('keys[1]');
  });

  it('accepts up to 1,000 keys and 64 KiB of keys, in any JSON spelling', async () => {
    const many = Array.from({ length: 1000 }, (_, i) => `${prefix}many${i}`);
    await redis.client.mset(many.flatMap((key, i) => [key, String(i)]));
    expect(await values(...many)).toEqual(many.map((_, i) => String(i)));
    expectProblem(await post(JSON.stringify({ keys: [...many, 'one more'] })), 413, 'body-too-large');
    const longest = '\u0001'.repeat(65_536);
    expect((await mget(longest))[0]).toMatchObject({ status: 404 });
    expectProblem(await post(JSON.stringify({ keys: [longest, 'x'] })), 413, 'body-too-large');
    expectProblem(await post(JSON.stringify({ keys: [`${longest}x`] })), 413, 'body-too-large');
  });

  it('rejects a longer body, announced or not', async () => {
    const body = `{"keys":[${' '.repeat(1_000_000)}]}`;
    expectProblem(await post(body), 413, 'body-too-large');
    expectProblem(await post(body, { ...JSON_TYPE, 'transfer-encoding': 'chunked' }), 413, 'body-too-large');
  });

  it.each([
    [{ 'content-type': 'text/plain' }],
    [{}],
    [{ 'content-type': 'application/jsonp' }],
    [{ 'content-type': 'application/json; charset=latin1' }],
    [{ ...JSON_TYPE, 'content-encoding': 'gzip' }],
  ])('accepts JSON only, not %j', async (headers) => {
    expectProblem(await post('{"keys":[]}', headers), 415, 'unsupported-media-type');
  });

  it.each(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])('responds 405 to %s', async (method) => {
    const response = await proxy.request('/v1/mget', { method });
    expect([response.status, response.headers.allow]).toEqual([405, 'POST']);
    if (method !== 'HEAD') expectProblem(response, 405, 'method-not-allowed');
  });
});

describeOwn('what POST /v1/mget reads', () => {
  beforeAll(async () => {
    redis = await TestRedis.start();
    const limits = { PROXY_MAX_CONCURRENT_LOADS: 2, PROXY_MAX_QUEUED_LOADS: 0, REDIS_COMMAND_TIMEOUT_MS: 4000 };
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      PROXY_THREADS: 1,
      CACHE_MAX_VALUE_BYTES: 4 * MiB,
      ...limits,
    });
  });
  afterAll(async () => {
    await proxy?.stop();
    await redis?.stop();
  });

  const loadsInFlight = (count: number): Promise<true> =>
    until(`${count} reads of Redis in flight`, async () => {
      const { text } = await proxy.get('/metrics');
      return text.includes(`redis_http_cache_proxy_loads_in_flight ${count}\n`) || undefined;
    });

  it('is read from Redis in one round trip, each key once, and then from the cache', async () => {
    const keys = Array.from({ length: 500 }, (_, i) => `trip${i}`);
    await redis.client.mset(keys.flatMap((key) => [key, `value of ${key}`]));
    await proxy.key('trip0');
    await redis.forgetCalls();
    // Only two concurrent loads are permitted, so 499 separate ones would not all have been admitted.
    expect(await values(...keys, ...keys)).toEqual([...keys, ...keys].map((key) => `value of ${key}`));
    expect(await Promise.all([redis.calls('get'), redis.calls('pttl')])).toEqual([499, 499]);
    expect((await mget(...keys)).every(({ cacheStatus }) => cacheStatus === 'hit')).toBe(true);
    expect(await redis.calls('get')).toBe(499);
  });

  it('is coalesced with other requests for its keys', async () => {
    await redis.client.mset('shared a', 'A', 'shared b', 'B');
    await redis.forgetCalls();
    redis.server?.signal('SIGSTOP');
    const single = proxy.key('shared a');
    const many = [mget('shared a', 'shared b'), mget('shared b', 'shared a')];
    const other = proxy.key('shared b');
    await loadsInFlight(2);
    redis.server?.signal('SIGCONT');
    expect([(await single).text, (await other).text]).toEqual(['A', 'B']);
    const [first, second] = await Promise.all(many);
    expect(first.map(({ value }) => value)).toEqual(['A', 'B']);
    expect(second.map(({ value }) => value)).toEqual(['B', 'A']);
    expect(await redis.calls('get')).toBe(2);
  });

  it('omits results beyond the size limit, which can be requested again', async () => {
    const keys = Array.from({ length: 6 }, (_, i) => `large${i}`);
    const value = 'x'.repeat(3 * MiB);
    for (const key of keys) await redis.client.set(key, value);
    await redis.client.set('small', 's');
    const statuses = async (...names: string[]) => (await mget(...names)).map(({ status, code }) => code ?? status);
    const full = [200, 200, 200, 200, 200, 'answer-too-large', 'answer-too-large'];
    expect(await statuses(...keys, 'small')).toEqual(full);
    // Now from the cache.
    expect(await statuses(...keys, 'small')).toEqual(full);
    expect(await values('large5')).toEqual([value]);
    const escaped = '\u0001'.repeat(3 * MiB);
    await redis.client.set('escaped', escaped);
    expect(await statuses('small', 'escaped', 'small')).toEqual([200, 'answer-too-large', 200]);
  });

  it('is counted as reads of keys', async () => {
    await redis.client.set('counted', 'value');
    const counted = async (outcome: string): Promise<number> => {
      const name = `redis_http_cache_proxy_requests_total{transport="http",outcome="${outcome}"}`;
      const lines = (await proxy.get('/metrics')).text.split('\n');
      return Number(
        lines
          .find((line) => line.startsWith(name))
          ?.split(' ')
          .at(-1),
      );
    };
    const before = await Promise.all(['hit', 'miss', 'collapsed', 'not-found'].map(counted));
    await mget('counted', 'counted', 'nobody');
    await mget('counted');
    const after = await Promise.all(['hit', 'miss', 'collapsed', 'not-found'].map(counted));
    expect(after.map((count, i) => count - before[i])).toEqual([1, 1, 1, 1]);
  });

  it('requires a token, and returns allowed keys only', async () => {
    const open = proxy;
    await redis.client.mset('user:1', 'one', 'secret', 'hidden');
    proxy = await TestProxy.start({ REDIS_URL: redis.url, ACCESS_TOKEN: 'reader', KEY_ALLOWLIST: 'user:*' });
    try {
      expectProblem(await post('{"keys":["user:1"]}'), 401, 'unauthorized');
      const response = await post('{"keys":["secret","user:1"]}', { ...JSON_TYPE, authorization: 'Bearer reader' });
      expect(response.json.results).toMatchObject([
        { status: 403, code: 'key-not-allowed' },
        { status: 200, value: 'one' },
      ]);
    } finally {
      await proxy.stop();
      proxy = open;
    }
  });

  it('returns cached keys and an error for each other key while Redis is unavailable', async () => {
    await redis.client.mset('held', 'value');
    await mget('held');
    redis.server?.signal('SIGSTOP');
    const [held, ...others] = await mget('held', 'cold a', 'cold b');
    expect(held).toMatchObject({ status: 200, value: 'value', cacheStatus: 'hit' });
    for (const other of others) expect(other).toMatchObject({ status: 504, code: 'redis-timeout' });

    const busy = [mget('busy a'), mget('busy b')];
    await loadsInFlight(2);
    expect(await mget('cold c', 'held')).toMatchObject([{ status: 503, code: 'overloaded' }, { status: 200 }]);
    await Promise.all(busy);

    await redis.server?.stop('SIGKILL');
    expect(await mget('cold a', 'held')).toMatchObject([{ status: 503, code: 'redis-unavailable' }, { status: 200 }]);
  });
});
