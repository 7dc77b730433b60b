import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { TestResponse } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

let redis: TestRedis;
let proxy: TestProxy;

async function start(settings: Readonly<Record<string, string>>): Promise<void> {
  redis = await TestRedis.start();
  await redis.client.mset('user:1', 'one', 'page:7', 'seven', 'a,b', 'comma', 'secret', 'hidden', 'users', 'hidden');
  proxy = await TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: 1, ADMIN_TOKEN: 'admin', ...settings });
}

async function stop(): Promise<void> {
  await proxy?.stop();
  await redis?.stop();
}

async function counted(outcome: string): Promise<number> {
  const line = new RegExp(
    `^redis_http_cache_proxy_requests_total\\{transport="http",outcome="${outcome}"\\} (\\d+)$`,
    'm',
  );
  return Number(line.exec((await proxy.get('/metrics')).text)?.[1]);
}

function expectProblem(response: TestResponse, status: number, code: string): void {
  expect(response.status).toBe(status);
  expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(response.headers['cache-control']).toBe('no-store');
  expect(response.json).toMatchObject({ status, code });
}

describeOwn('with ACCESS_TOKEN', () => {
  beforeAll(() => start({ ACCESS_TOKEN: 'reader,other' }));
  afterAll(stop);

  it.each(['reader', 'other'])('accepts each of the tokens: %s', async (token) => {
    const response = await proxy.key('user:1', bearer(token));
    expect([response.status, response.text]).toEqual([200, 'one']);
  });

  it.each([undefined, 'Bearer', 'Bearer guess', 'Bearer reader,other', 'Basic reader', 'reader', 'Bearer admin'])(
    'rejects %j with 401, without access to the cache or Redis',
    async (authorization) => {
      const before = [await counted('unauthorized'), await proxy.stats()] as const;
      const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
      const response = await proxy.key('user:1', headers);
      expectProblem(response, 401, 'unauthorized');
      expect(response.headers['www-authenticate']).toBe('Bearer realm="keys"');
      const after = [await counted('unauthorized'), await proxy.stats()] as const;
      expect(after[0]).toBe(before[0] + 1);
      expect([after[1].hits, after[1].misses]).toEqual([before[1].hits, before[1].misses]);
    },
  );

  it('also applies to HEAD and to requests with an invalid key', async () => {
    const head = await proxy.request('/v1/keys/user:1', { method: 'HEAD' });
    expect([head.status, head.body.length, head.headers['www-authenticate']]).toEqual([401, 0, 'Bearer realm="keys"']);
    expectProblem(await proxy.get('/v1/keys/%zz'), 401, 'unauthorized');
    expectProblem(await proxy.get('/v1/keys/%zz', bearer('reader')), 400, 'bad-key');
  });

  it('marks responses as private', async () => {
    const response = await proxy.key('user:1', bearer('reader'));
    expect(response.headers['cache-control']).toBe('private, max-age=60');
    const conditional = await proxy.key('user:1', { ...bearer('reader'), 'if-none-match': '*' });
    expect([conditional.status, conditional.headers['cache-control']]).toEqual([304, 'private, max-age=60']);
  });

  it.each(['/docs', '/openapi.json', '/health/live', '/health/ready', '/metrics'])(
    'does not apply to %s',
    async (path) => {
      expect((await proxy.get(path)).status).toBe(200);
    },
  );

  it('does not grant access to the admin API', async () => {
    expect((await proxy.get('/v1/cache', bearer('reader'))).status).toBe(401);
  });
});

describeOwn('with KEY_ALLOWLIST', () => {
  beforeAll(() => start({ KEY_ALLOWLIST: 'user:*,page:[0-9],a\\,b' }));
  afterAll(stop);

  it.each(['user:1', 'page:7', 'a,b'])('allows a matching key: %s', async (key) => {
    const response = await proxy.key(key);
    expect([response.status, response.headers['cache-control']]).toEqual([200, 'max-age=60']);
  });

  it.each(['secret', 'users', 'page:77', 'no-such-key'])(
    'another is not: 403, and never looked up: %s',
    async (key) => {
      const before = [await counted('not-allowed'), await proxy.stats()] as const;
      await redis.forgetCalls();
      expectProblem(await proxy.key(key), 403, 'key-not-allowed');
      expect((await proxy.request(`/v1/keys/${key}`, { method: 'HEAD' })).status).toBe(403);
      const after = [await counted('not-allowed'), await proxy.stats()] as const;
      expect(after[0]).toBe(before[0] + 2);
      expect([after[1].hits, after[1].misses]).toEqual([before[1].hits, before[1].misses]);
      expect(await redis.calls('get')).toBe(0);
    },
  );

  it('applies to the decoded key', async () => {
    expect((await proxy.get('/v1/keys/us%65r%3A1')).status).toBe(200);
    expect((await proxy.get('/v1/keys/%73ecret')).status).toBe(403);
    expect((await proxy.get('/v1/keys/secret?user:1')).status).toBe(403);
  });
});

describeOwn('with both', () => {
  beforeAll(() => start({ ACCESS_TOKEN: 'reader', KEY_ALLOWLIST: 'user:*' }));
  afterAll(stop);

  it('is not revealed to clients without a token', async () => {
    expectProblem(await proxy.key('secret'), 401, 'unauthorized');
    expectProblem(await proxy.key('secret', bearer('reader')), 403, 'key-not-allowed');
    expect((await proxy.key('user:1', bearer('reader'))).text).toBe('one');
  });
});
