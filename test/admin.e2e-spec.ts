import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { HttpAnswer } from './support/http-client.ts';
import { describeOwn } from './support/only-own.ts';
import { until } from './support/processes.ts';
import { RUNNING, TestProxy, keyPrefix, percentEncode, removeKeys } from './support/proxy.ts';
import { TestRedis } from './support/redis.ts';

interface Stats {
  readonly [counter: string]: unknown;
  readonly entries: number;
  readonly bytes: number;
  readonly hits: number;
  readonly misses: number;
  readonly collapsed: number;
  readonly hitRatio: number | null;
  readonly loads: number;
  readonly loadErrors: number;
  readonly evictions: Readonly<Record<'capacity' | 'bytes' | 'expired' | 'purged', number>>;
  readonly uncacheable: number;
  readonly uptimeSeconds: number;
}

const ROUTES = [
  ['GET', '/v1/cache'],
  ['DELETE', '/v1/cache'],
  ['DELETE', '/v1/cache/key'],
] as const;

const isOn = RUNNING === undefined || Boolean(process.env.ADMIN_TOKEN);
const describeAdmin = isOn ? describe : describe.skip;
const why = isOn ? '' : ' (skipped: needs the ADMIN_TOKEN of the running proxy)';

const prefix = keyPrefix();
let redis: TestRedis;
let proxy: TestProxy;

beforeAll(async () => {
  redis = await TestRedis.start();
  proxy = await TestProxy.use({
    REDIS_URL: redis.url,
    PROXY_THREADS: 2,
    ADMIN_TOKEN: 'first,second',
    REDIS_COMMAND_TIMEOUT_MS: 5000,
  });
});
afterAll(async () => {
  await proxy?.stop();
  await removeKeys(redis.client, prefix);
  await redis?.stop();
});

async function stats(): Promise<Stats> {
  return (await proxy.admin('GET', '/v1/cache')).json as unknown as Stats;
}

function expectProblem({ status, headers, json }: HttpAnswer, expected: number, code: string): void {
  expect([status, json.code, headers['content-type']]).toEqual([expected, code, 'application/problem+json']);
}

describeAdmin(`the admin API lets nobody in who has no token${why}`, () => {
  it.each(ROUTES)('%s %s without one is answered 401, and how to authenticate', async (method, path) => {
    const answer = await proxy.ask(path, { method });
    expectProblem(answer, 401, 'unauthorized');
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="admin"');
  });

  it.each([
    ['another token', 'Bearer other'],
    ['a part of the token', 'Bearer firs'],
    ['the token and more', 'Bearer firstt'],
    ['all tokens as one', 'Bearer first,second'],
    ['an empty token', 'Bearer '],
    ['no scheme', 'first'],
    ['another scheme', 'Basic first'],
    ['a token in another case', 'Bearer FIRST'],
  ])('%s is no token', async (_, authorization) => {
    for (const [method, path] of ROUTES) {
      expectProblem(await proxy.ask(path, { method, headers: { authorization } }), 401, 'unauthorized');
    }
  });

  it('and does nothing for them', async () => {
    const key = `${prefix}untouched`;
    await redis.client.set(key, 'value');
    await proxy.key(key);
    for (const path of ['/v1/cache', `/v1/cache/${key}`]) await proxy.ask(path, { method: 'DELETE' });
    expect((await proxy.key(key)).headers['cache-status']).toContain('; hit;');
  });

  it.each([
    ['/v1/cache', 'POST', 'GET, HEAD, DELETE'],
    ['/v1/cache/key', 'GET', 'DELETE'],
  ])('%s answers 405 to %s, and says what is allowed', async (path, method, allowed) => {
    const answer = await proxy.admin(method, path);
    expectProblem(answer, 405, 'method-not-allowed');
    expect(answer.headers.allow).toBe(allowed);
  });
});

describeOwn('ADMIN_TOKEN', () => {
  it.each(['first', 'second'])('may list several, of which each is one (%s)', async (token) => {
    for (const scheme of ['Bearer', 'bearer']) {
      const answer = await proxy.get('/v1/cache', { authorization: `${scheme} ${token}` });
      expect(answer.status).toBe(200);
    }
  });

  describe('unset', () => {
    let closed: TestProxy;
    beforeAll(async () => {
      closed = await TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: 1 });
    });
    afterAll(async () => {
      await closed?.stop();
    });

    it.each(ROUTES)(
      'turns the admin API off: %s %s is answered 404 admin-disabled, to anybody',
      async (method, path) => {
        for (const authorization of ['', 'Bearer ', 'Bearer undefined']) {
          expectProblem(await closed.ask(path, { method, headers: { authorization } }), 404, 'admin-disabled');
        }
      },
    );
  });
});

describeAdmin(`GET /v1/cache${why}`, () => {
  it('tells what the cache holds and has done', async () => {
    const answer = await proxy.admin('GET', '/v1/cache');
    expect([answer.status, answer.headers['content-type'], answer.headers['cache-control']]).toEqual([
      200,
      'application/json',
      'no-store',
    ]);
    const count = expect.any(Number);
    expect(answer.json).toEqual({
      ...{ entries: count, capacity: count, bytes: count, maxBytes: count },
      ...{ hits: count, misses: count, collapsed: count, loads: count, loadErrors: count },
      evictions: { capacity: count, bytes: count, expired: count, purged: count },
      ...{ uncacheable: count, uptimeSeconds: count },
      hitRatio: (answer.json.hitRatio === null ? null : count) as unknown,
    });
  });

  it('counts each read as a hit or a miss, each read of Redis as a load, and the bytes of keys and values', async () => {
    await proxy.admin('DELETE', '/v1/cache');
    const [one, two] = [`${prefix}counted`, `${prefix}counted too`];
    await redis.client.mset(one, '12345', two, '');
    const before = await stats();
    for (const key of [one, one, two, one, `${prefix}nobody`]) await proxy.key(key);
    const after = await stats();
    expect(after).toMatchObject({
      entries: 2,
      bytes: one.length + 5 + two.length,
      hits: before.hits + 2,
      misses: before.misses + 3,
      loads: before.loads + 3,
      collapsed: before.collapsed,
      loadErrors: before.loadErrors,
      uncacheable: before.uncacheable,
      evictions: before.evictions,
    });
    expect(after.hitRatio).toBeCloseTo(after.hits / (after.hits + after.misses + after.collapsed), 10);
    expect(after.uptimeSeconds).toBeGreaterThanOrEqual(before.uptimeSeconds);
  });
});

describeOwn('the counts', () => {
  it('begin at zero, without a hit ratio', async () => {
    const fresh = await TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: 1, ADMIN_TOKEN: 'a' });
    const counts = (await fresh.admin('GET', '/v1/cache')).json;
    await fresh.stop();
    const zeros = { entries: 0, bytes: 0, hits: 0, misses: 0, collapsed: 0, loads: 0, loadErrors: 0, uncacheable: 0 };
    expect(counts).toEqual({
      ...zeros,
      ...{ hitRatio: null, capacity: 10_000, maxBytes: 268_435_456, uptimeSeconds: expect.any(Number) },
      evictions: { capacity: 0, bytes: 0, expired: 0, purged: 0 },
    });
  });
});

describeAdmin(`DELETE /v1/cache${why}`, () => {
  it('forgets every key, says how many there were, and leaves Redis alone', async () => {
    await proxy.admin('DELETE', '/v1/cache');
    const keys = ['a', 'b', 'c'].map((name) => `${prefix}flushed ${name}`);
    await redis.client.mset(keys.flatMap((key) => [key, 'old']));
    for (const key of keys) await proxy.key(key);
    expect((await proxy.admin('DELETE', '/v1/cache')).json).toEqual({ flushed: 3 });
    expect(await stats()).toMatchObject({ entries: 0, bytes: 0 });
    expect(await redis.client.exists(...keys)).toBe(3);
    await redis.client.set(keys[0], 'new');
    const { text, headers } = await proxy.key(keys[0]);
    expect([text, headers['cache-status']]).toEqual(['new', expect.stringContaining('stored')]);
    expect((await proxy.admin('DELETE', '/v1/cache')).json).toEqual({ flushed: 1 });
  });
});

describeAdmin(`DELETE /v1/cache/{key}${why}`, () => {
  it('forgets that key and no other, and says whether it was held', async () => {
    const [one, other] = [`${prefix}purged`, `${prefix}kept`];
    await redis.client.mset(one, 'old', other, 'value');
    for (const key of [one, other]) await proxy.key(key);
    const { purged } = (await stats()).evictions;
    expect((await proxy.admin('DELETE', `/v1/cache/${one}`)).json).toEqual({ purged: true });
    expect((await proxy.admin('DELETE', `/v1/cache/${one}`)).json).toEqual({ purged: false });
    expect((await stats()).evictions.purged).toBe(purged + 1);
    await redis.client.set(one, 'new');
    expect((await proxy.key(one)).text).toBe('new');
    expect((await proxy.key(other)).headers['cache-status']).toContain('; hit;');
  });

  it.each([
    ['a slash', Buffer.from('a/b')],
    ['an encoded slash at the end', Buffer.from('a/')],
    ['zero bytes', Buffer.from([0, 0])],
    ['bytes that are no UTF-8', Buffer.from([0xff, 0xc3, 0x28])],
    ['all 256 byte values', Buffer.from(Uint8Array.from({ length: 256 }, (_, byte) => byte))],
  ])('takes keys as reads do: %s', async (_, suffix) => {
    const key = Buffer.concat([Buffer.from(prefix), suffix]);
    await redis.client.set(key, 'value');
    await proxy.key(key);
    expect((await proxy.admin('DELETE', `/v1/cache/${percentEncode(key)}`)).json).toEqual({ purged: true });
    expect((await proxy.key(key)).headers['cache-status']).toContain('stored');
  });

  it.each([
    ['no key', ''],
    ['a key that is not percent-encoded', '%zz'],
    ['a key of 65537 bytes', 'k'.repeat(65_537)],
  ])('answers 400 bad-key to %s', async (_, key) => {
    expectProblem(await proxy.admin('DELETE', `/v1/cache/${key}`), 400, 'bad-key');
  });
});

describeOwn('while a key is read from Redis', () => {
  it.each([
    ['a purge of it', (key: string) => `/v1/cache/${key}`],
    ['a flush', () => '/v1/cache'],
  ])('%s has the last word: what was read before it is given, and not stored', async (name, path) => {
    const key = `${prefix}${name}`.replaceAll(' ', '-');
    await redis.client.set(key, 'old');
    redis.server?.signal('SIGSTOP');
    const { misses } = await stats();
    const read = proxy.key(key);
    await until('the read has begun', async () => (await stats()).misses === misses + 1 || undefined);
    await proxy.admin('DELETE', path(key));
    redis.server?.signal('SIGCONT');
    const { status, text, headers } = await read;
    expect([status, text, headers['cache-status']]).toEqual([200, 'old', 'redis-http-cache-proxy; fwd=uri-miss']);
    await redis.client.set(key, 'new');
    expect((await proxy.key(key)).text).toBe('new');
  });
});
