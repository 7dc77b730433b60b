import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { createClient, createClientPool } from 'redis';
import { holdTracking, metric } from '../support/coherence.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { RespSocket, request, respPort } from '../support/resp.ts';

describeOwn('client-side caching of client libraries', () => {
  let redis: TestRedis;
  let proxy: TestProxy;

  beforeAll(async () => {
    redis = await TestRedis.start();
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      RESP_PORT: 0,
      PROXY_THREADS: 2,
      CACHE_COHERENCE: 'tracking',
      ACCESS_TOKEN: 'token',
    });
    // A client cannot start to track keys while the invalidation stream is lost.
    await redis.client.set('key', 'value');
    await holdTracking(proxy, 'key', { authorization: 'Bearer token' });
  });
  beforeEach(async () => {
    await redis.client.mset('key', 'value', 'other', 'second');
  });
  afterAll(async () => {
    await proxy?.stop();
    await redis?.stop();
  });

  const options = () => ({ url: `redis://default:token@127.0.0.1:${respPort(proxy)}`, RESP: 3 as const });

  it('node-redis with clientSideCache: hits ask the proxy nothing, and writes are visible', async () => {
    const client = createClient({ ...options(), clientSideCache: { ttl: 0, maxEntries: 0, evictPolicy: 'LRU' } });
    client.on('error', () => undefined);
    await client.connect();
    try {
      const reads = async () => {
        const { text } = await proxy.get('/metrics');
        const counts = [...text.matchAll(/^redis_http_cache_proxy_requests_total\{transport="resp",.*\} (\d+)$/gm)];
        return counts.reduce((sum, [, count]) => sum + Number(count), 0);
      };
      // The key may still be invalidated by the write before the test.
      await until('the key is cached', async () => {
        const before = await reads();
        expect(await client.get('key')).toBe('value');
        return (await reads()) === before || undefined;
      });
      expect(await client.mGet(['key', 'other'])).toEqual(['value', 'second']);
      await redis.client.hset('hash', 'field', 'old');
      await redis.client.zadd('zset', 1, 'member');
      for (const score of [1, 2, 3]) {
        await until('the hash is read', async () => (await client.hGetAll('hash')).field === 'old' || undefined);
        await until('the set is read', async () => (await client.zScore('zset', 'member')) === score || undefined);
        await redis.client.hset('hash', 'field', 'new');
        await until('the hash is new', async () => (await client.hGet('hash', 'field')) === 'new' || undefined);
        await until('the hash is new', async () => (await client.hGetAll('hash')).field === 'new' || undefined);
        await redis.client.zincrby('zset', 1, 'member');
        await redis.client.hset('hash', 'field', 'old');
      }
      for (const value of ['new', 'newer', 'newest']) {
        await redis.client.set('key', value);
        await until(`the key is ${value}`, async () => (await client.get('key')) === value || undefined);
        expect(await client.get('key')).toBe(value);
      }
      await redis.client.del('key');
      await until('the key is gone', async () => (await client.get('key')) === null || undefined);
      await redis.client.flushall();
      await until('everything is gone', async () => (await client.get('other')) === null || undefined);
    } finally {
      client.destroy();
    }
  });

  it('a pool of node-redis with clientSideCache', async () => {
    const pool = createClientPool(options(), {
      minimum: 2,
      maximum: 5,
      clientSideCache: { ttl: 0, maxEntries: 100, evictPolicy: 'LRU' },
    });
    pool.on('error', () => undefined);
    await pool.connect();
    try {
      for (const value of ['new', 'newer']) {
        await redis.client.set('key', value);
        await until(`the key is ${value}`, async () => (await pool.get('key')) === value || undefined);
      }
    } finally {
      pool.destroy();
    }
  });

  it('node-redis with emitInvalidate', async () => {
    const client = createClient({ ...options(), emitInvalidate: true });
    const invalidated: (string | null)[] = [];
    client.on('error', () => undefined).on('invalidate', (key: Buffer | null) => invalidated.push(key && String(key)));
    await client.connect();
    try {
      await client.get('other');
      await redis.client.set('other', 'new');
      await until('the key is invalidated', () => invalidated.includes('other') || undefined);
      await redis.client.flushall();
      await until('everything is invalidated', () => invalidated.includes(null) || undefined);
    } finally {
      client.destroy();
    }
  });

  it('redis-py 8 with CacheConfig: its handshake, and a version from which it caches', async () => {
    const socket = await RespSocket.open(respPort(proxy));
    socket.send(request('HELLO', '3', 'AUTH', 'default', 'token'));
    const hello = await socket.replies(1);
    const [, major, minor] = /\$7\r\nversion\r\n\$\d+\r\n(\d+)\.(\d+)\./.exec(hello) ?? [];
    expect(Number(major) * 100 + Number(minor)).toBeGreaterThanOrEqual(704);
    expect(hello).toContain('$6\r\nserver\r\n$5\r\nredis\r\n');
    socket.send(request('CLIENT', 'MAINT_NOTIFICATIONS', 'ON'));
    expect(await socket.replies(1)).toMatch(/^-ERR unknown subcommand/);
    socket.send(request('CLIENT', 'SETINFO', 'LIB-NAME', 'redis-py'), request('CLIENT', 'SETINFO', 'LIB-VER', '8.1.0'));
    socket.send(request('CLIENT', 'TRACKING', 'ON'));
    await socket.expect('+OK\r\n+OK\r\n+OK\r\n');
    socket.socket.destroy();
  });

  it('clients are counted until they disconnect', async () => {
    await until('no client is left', async () => (await metric(proxy, 'tracking_clients')) === 0 || undefined);
  });
});

describeOwn('GUI clients and monitoring tools', () => {
  let redis: TestRedis;
  let proxy: TestProxy;

  beforeAll(async () => {
    redis = await TestRedis.start();
    proxy = await TestProxy.start({ REDIS_URL: redis.url, RESP_PORT: 0 });
  });
  afterAll(async () => {
    await proxy?.stop();
    await redis?.stop();
  });

  it.each([
    ['CLIENT', 'SETNAME', 'redisinsight-browser'],
    ['CLIENT', 'LIST'],
    ['INFO'],
    ['INFO', 'keyspace'],
    ['INFO', 'server', 'modules'],
    ['CONFIG', 'GET', 'databases'],
    ['CONFIG', 'GET', '*'],
    ['CONFIG', 'GET', 'cluster-enabled'],
    ['COMMAND'],
    ['COMMAND', 'DOCS'],
    ['COMMAND', 'INFO', 'json.get', 'get'],
    ['MODULE', 'LIST'],
    ['ACL', 'WHOAMI'],
    ['DBSIZE'],
    ['ROLE'],
    ['TIME'],
    ['PING'],
    ['READONLY'],
    ['SELECT', '0'],
  ])('do not fail with %s %s when they connect', async (...command) => {
    const socket = await RespSocket.open(respPort(proxy));
    socket.send(request(...command));
    expect(await socket.replies(1)).toMatch(/^[^-]/);
    socket.socket.destroy();
  });
});
