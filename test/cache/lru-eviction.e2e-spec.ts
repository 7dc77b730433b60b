import { Agent } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { keyPrefix, removeKeys, RUNNING, TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

/** Maximum capacity that a test can fill in reasonable time. */
const LARGEST_CAPACITY = 20_000;
const AT_ONCE = 64;

/** Why the running proxies are not suitable; undefined if they are, or if the test starts its own. */
function reasonToSkip(): string | undefined {
  if (RUNNING === undefined) return undefined;
  if (!process.env.ADMIN_TOKEN) return 'needs the ADMIN_TOKEN of the running proxy, to empty its cache';
  if (Number(process.env.CACHE_CAPACITY ?? 10_000) > LARGEST_CAPACITY) return 'the running proxy holds too many keys';
  return undefined;
}

const prefix = keyPrefix();
const reason = reasonToSkip();
const describeLru = reason === undefined ? describe : describe.skip;

describeLru(`the least recently used key goes first${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let capacity: number;
  const agent = new Agent({ keepAlive: false });

  beforeAll(async () => {
    redis = await TestRedis.start();
    proxy = await TestProxy.use({
      REDIS_URL: redis.url,
      PROXY_THREADS: 4,
      CACHE_CAPACITY: 3,
      CACHE_TTL_MS: 3_600_000,
      ADMIN_TOKEN: 'admin',
    });
    capacity = (await proxy.stats()).capacity;
    const pipeline = redis.client.pipeline();
    for (let i = 0; i < 2 * capacity; i++) pipeline.set(key(i), `value of ${i}`);
    await pipeline.exec();
  });
  afterAll(async () => {
    await proxy?.stop();
    await removeKeys(redis.client, prefix);
    await redis.stop();
  });

  const key = (i: number) => `${prefix}${i}`;

  /** Reads a key over a new connection, so that any thread may serve it; returns whether it was a hit. */
  async function read(i: number): Promise<boolean> {
    const { status, text, headers } = await proxy.request(`/v1/keys/${encodeURIComponent(key(i))}`, { agent });
    expect(`${status} ${text}`).toBe(`200 value of ${i}`);
    return /; hit;/.test(String(headers['cache-status']));
  }

  async function evictions(): Promise<Record<string, number>> {
    return (await proxy.admin('GET', '/v1/cache')).json.evictions as Record<string, number>;
  }

  /** Flushes the cache and fills it with keys 0 to capacity - 1, of which 0, 1 and 2 are the oldest, in this order. */
  async function fill(): Promise<void> {
    await proxy.admin('DELETE', '/v1/cache');
    for (let i = 0; i < 3; i++) expect(await read(i)).toBe(false);
    for (let i = 3; i < capacity; i += AT_ONCE) {
      const count = Math.min(AT_ONCE, capacity - i);
      await Promise.all(Array.from({ length: count }, (_, j) => read(i + j)));
    }
  }

  it('exactly CACHE_CAPACITY keys are cached', async () => {
    await fill();
    expect((await proxy.stats()).entries).toBe(capacity);
    for (let i = 0; i < 3; i++) expect(await read(i)).toBe(true);
  });

  it('one more key evicts the least recently read key, and no other', async () => {
    await fill();
    const before = await evictions();
    expect(await read(capacity)).toBe(false);
    expect((await proxy.stats()).entries).toBe(capacity);
    expect(await evictions()).toEqual({ ...before, capacity: before.capacity + 1 });
    expect(await read(1)).toBe(true);
    expect(await read(2)).toBe(true);
    expect(await read(capacity)).toBe(true);
    expect(await read(0)).toBe(false);
  });

  it('the order is by last read, not by store', async () => {
    await fill();
    expect(await read(0)).toBe(true);
    expect(await read(capacity)).toBe(false);
    expect(await read(0)).toBe(true);
    expect(await read(2)).toBe(true);
    expect(await read(1)).toBe(false);
  });

  it('a key that is read repeatedly is never evicted, however many other keys are stored', async () => {
    await fill();
    for (let i = capacity; i < capacity + Math.min(capacity, 50); i++) {
      expect(await read(0)).toBe(true);
      expect(await read(i)).toBe(false);
    }
    expect(await read(0)).toBe(true);
    expect((await proxy.stats()).entries).toBe(capacity);
  });

  it('responses with 304 and HEAD count as reads', async () => {
    const { etag } = (await proxy.key(key(0))).headers;
    await fill();
    expect((await proxy.key(key(0), { 'if-none-match': String(etag) })).status).toBe(304);
    expect((await proxy.request(`/v1/keys/${encodeURIComponent(key(1))}`, { method: 'HEAD' })).status).toBe(200);
    expect(await read(capacity)).toBe(false);
    expect(await read(0)).toBe(true);
    expect(await read(1)).toBe(true);
    expect(await read(2)).toBe(false);
  });
});
