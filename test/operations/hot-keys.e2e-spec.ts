import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { RespSocket, request, respPort } from '../support/resp.ts';
import { TestRedis } from '../support/redis.ts';

interface HotKeys {
  readonly windowSeconds: number;
  readonly readsPerSecond: number;
  readonly sampled: number;
  readonly keys: readonly {
    readonly key: string | { readonly base64: string };
    readonly keyBytes?: number;
    readonly readsPerSecond: number;
    readonly errorPerSecond: number;
  }[];
}

const READER = { authorization: 'Bearer reader' };
const BINARY = Buffer.from([0xff, 0x00, 0xfe]);
const LONG = `${'ü'.repeat(200)}`;

describeOwn('hot keys', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let without: TestProxy;
  beforeAll(async () => {
    redis = await TestRedis.start();
    const settings = { REDIS_URL: redis.url, ADMIN_TOKEN: 'operator', ACCESS_TOKEN: 'reader' };
    [proxy, without] = await Promise.all([
      TestProxy.start({ ...settings, PROXY_THREADS: 2, RESP_PORT: 0 }),
      TestProxy.start({ ...settings, CACHE_HOT_KEYS: 'off' }),
    ]);
    await redis.client.mset('over all', 'value', 'first', '1', 'second', '2', 'third', '3', LONG, 'long');
    await redis.client.set(BINARY, 'binary');
    await redis.client.hset('hash', { field: 'value' });
  });
  afterAll(async () => {
    await Promise.all([proxy?.stop(), without?.stop()]);
    await redis?.stop();
  });

  const hotKeys = async (limit?: number): Promise<HotKeys> => {
    const response = await proxy.admin('GET', `/v1/cache/hot-keys${limit === undefined ? '' : `?limit=${limit}`}`);
    expect(response.status).toBe(200);
    return response.json as unknown as HotKeys;
  };

  /** Reads a key, over connections to any thread, not so fast that reads are sampled: at most 128 in 0.1 s. */
  const read = async (key: string | Buffer, times: number): Promise<void> => {
    await proxy.advance(250);
    for (let i = 0; i < times; i++) await proxy.key(key, READER);
  };

  it('are those read most in the last minute, by all transports and threads, most read first', async () => {
    const reads = [
      ['first', 60],
      ['second', 40],
      [BINARY, 30],
      [LONG, 20],
      ['absent', 10],
    ] as const;
    for (const [key, times] of reads) await read(key, times);
    const mget = JSON.stringify({ keys: ['third', 'second'] });
    await proxy.advance(250);
    for (let i = 0; i < 5; i++) {
      const headers = { ...READER, 'content-type': 'application/json' };
      await proxy.request('/v1/mget', { method: 'POST', headers, body: mget });
      await proxy.get('/get/third', READER);
      await proxy.get('/v1/hashes/hash', READER);
      await proxy.get('/v1/hashes/hash/field', READER);
    }
    const { keys, sampled, windowSeconds, readsPerSecond } = await hotKeys();
    expect(sampled).toBe(1);
    const counted = keys.map(({ key, keyBytes, ...rates }) => ({
      key,
      keyBytes,
      reads: Math.round(rates.readsPerSecond * windowSeconds),
      errors: rates.errorPerSecond,
    }));
    const row = (key: string | object, count: number, keyBytes?: number) => ({
      key,
      keyBytes,
      reads: count,
      errors: 0,
    });
    expect(counted.slice(0, 4)).toEqual([
      row('first', 60),
      row('second', 45),
      row({ base64: BINARY.toString('base64') }, 30),
      row('ü'.repeat(64), 20, 400),
    ]);
    expect(counted.slice(4).sort((a, b) => JSON.stringify(a.key).localeCompare(JSON.stringify(b.key)))).toEqual([
      row('absent', 10),
      row('hash', 10),
      row('third', 10),
    ]);
    expect(Math.round(readsPerSecond * windowSeconds)).toBe(60 + 45 + 30 + 20 + 30);
    expect((await hotKeys(1)).keys.map(({ key }) => key)).toEqual(['first']);
  });

  it('include reads over the Redis protocol', async () => {
    const socket = await RespSocket.open(respPort(proxy));
    socket.send(request('AUTH', 'reader'));
    for (const total of [100, 200]) {
      await proxy.advance(250);
      socket.send(...Array.from({ length: 100 }, () => request('GET', 'over all')));
      await until('all replies', () => socket.received.split('$5\r\nvalue\r\n').length === total + 1 || undefined);
    }
    socket.socket.destroy();
    const { keys, windowSeconds } = await hotKeys(1);
    expect(keys[0].key).toBe('over all');
    expect(Math.round(keys[0].readsPerSecond * windowSeconds)).toBe(200);
  });

  it('leave the list after a minute', async () => {
    await read('first', 1);
    await proxy.advance(61_000);
    await read('third', 2);
    expect((await hotKeys()).keys.map(({ key }) => key)).toEqual(['third']);
  });

  it('are 404 hot-keys-disabled with CACHE_HOT_KEYS=off', async () => {
    const response = await without.admin('GET', '/v1/cache/hot-keys');
    expect([response.status, response.json.code]).toEqual([404, 'hot-keys-disabled']);
  });

  it.each([
    'limit=0',
    'limit=101',
    'limit=1e1',
    'limit=',
    'limit=-1',
    'limit=5&limit=6',
    'limits=5',
    'limit=5&x',
    'limit=5?',
  ])('respond 400 to the query "%s"', async (query) => {
    const response = await proxy.admin('GET', `/v1/cache/hot-keys?${query}`);
    expect([response.status, response.json.code]).toEqual([400, 'bad-request']);
  });

  it('do not hide the key of this name from purges, and are no keys', async () => {
    await redis.client.set('hot-keys', 'value');
    await read('hot-keys', 1);
    expect((await proxy.admin('DELETE', '/v1/cache/hot-keys')).json).toEqual({ purged: true });
    const { status, headers } = await proxy.admin('PUT', '/v1/cache/hot-keys');
    expect([status, headers.allow]).toEqual([405, 'GET, HEAD, DELETE']);
    for (const path of ['/v1/cache/hot%2Dkeys', '/v1/cache/hot-keys/', '/v1/cache/Hot-Keys']) {
      expect((await proxy.admin('GET', path)).status).toBe(405);
    }
  });

  it('are shown to nobody without an admin token', async () => {
    for (const headers of [{}, READER]) {
      const response = await proxy.get('/v1/cache/hot-keys', headers);
      expect([response.status, response.json.code]).toEqual([401, 'unauthorized']);
    }
    for (const path of ['/metrics', '/dashboard/snapshot']) expect((await proxy.get(path)).text).not.toContain('third');
  });
});
