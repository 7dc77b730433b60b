import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { RespSocket, request, respPort } from '../support/resp.ts';

const REFUSED = '-NOPERM No permissions to access a key\r\n';

describeOwn('a key that KEY_ALLOWLIST leaves out', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let client: RespSocket;
  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.mset('user:1', 'one', 'user:2', 'two', 'secret', 'hidden');
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      RESP_PORT: 0,
      PROXY_THREADS: 1,
      KEY_ALLOWLIST: 'user:*',
      ADMIN_TOKEN: 'admin',
      HTTP_CORS_ORIGINS: 'https://page.example',
    });
    client = await RespSocket.open(respPort(proxy));
  });
  afterAll(async () => {
    client.socket.destroy();
    await proxy.stop();
    await redis.stop();
  });

  /** Expects that neither the cache nor Redis is accessed. */
  async function expectNoLookup(read: () => Promise<void>): Promise<void> {
    const before = await proxy.stats();
    await redis.forgetCalls();
    await read();
    const { hits, misses, entries } = await proxy.stats();
    expect({ hits, misses, entries }).toEqual({ hits: before.hits, misses: before.misses, entries: before.entries });
    const calls = await Promise.all(
      ['get', 'mget', 'exists', 'strlen', 'ttl', 'pttl'].map((name) => redis.calls(name)),
    );
    expect(calls).toEqual([0, 0, 0, 0, 0, 0]);
  }

  describe('is not read over HTTP', () => {
    it.each<[string, string, Record<string, string>]>([
      ['GET', '/v1/keys/secret', {}],
      ['HEAD', '/v1/keys/secret', {}],
      ['GET', '/v1/keys/%73%65cret', {}],
      ['GET', '/v1/keys/secret', { 'if-none-match': '*' }],
      ['GET', '/v1/keys/secret', { 'cache-control': 'no-cache' }],
      ['GET', '/v1/keys/secret', { 'cache-control': 'only-if-cached' }],
      ['GET', '/v1/keys/secret', { 'content-length': '0' }],
      ['GET', '/v1/keys/secret', { origin: 'https://page.example' }],
      ['GET', '/v1/keys/secret?user:1', {}],
      ['GET', '/v1/keys/no-such-key', {}],
    ])('%s %s %j', async (method, path, headers) => {
      await expectNoLookup(async () => expect((await proxy.request(path, { method, headers })).status).toBe(403));
    });

    it('nor in a batch, whose other keys are read', async () => {
      const body = JSON.stringify({ keys: ['secret', { base64: Buffer.from('secret').toString('base64') }] });
      const options = { method: 'POST', headers: { 'content-type': 'application/json' } };
      await expectNoLookup(async () => {
        const { json } = await proxy.request('/v1/mget', { ...options, body });
        expect((json.results as { code: string }[]).map(({ code }) => code)).toEqual(Array(2).fill('key-not-allowed'));
      });
      const mixed = await proxy.request('/v1/mget', { ...options, body: '{"keys":["secret","user:1"]}' });
      expect(mixed.json.results).toMatchObject([{ status: 403 }, { status: 200, value: 'one' }]);
    });
  });

  describe('is not read over the Redis protocol', () => {
    it.each([
      ['GET', request('GET', 'secret')],
      ['a GET that is written in another way', Buffer.from('get  "sec\\x72et"\r\n')],
      ['MGET', request('MGET', 'user:1', 'secret')],
      ['EXISTS', request('EXISTS', 'secret', 'user:1')],
      ['STRLEN', request('STRLEN', 'secret')],
      ['TTL', request('TTL', 'secret')],
      ['PTTL', request('PTTL', 'secret')],
      ['a GET of what is not there', request('GET', 'nobody')],
    ])('%s', async (_, bytes) => {
      await expectNoLookup(() => client.send(bytes).expect(REFUSED));
    });

    it('nor among pipelined commands', async () => {
      client.send(Buffer.concat([request('GET', 'user:1'), request('GET', 'secret'), request('GET', 'user:1')]));
      await client.expect(`$3\r\none\r\n${REFUSED}$3\r\none\r\n`);
    });
  });

  it('is not in the cache, so that a purge reveals nothing', async () => {
    const [, response] = [await proxy.key('user:2'), await proxy.admin('DELETE', '/v1/cache/secret')];
    expect([response.status, response.json]).toEqual([200, { purged: false }]);
    expect((await proxy.admin('DELETE', '/v1/cache/user:2')).json).toEqual({ purged: true });
  });
});
