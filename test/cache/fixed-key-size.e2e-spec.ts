import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { keyPrefix, removeKeys, TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const KiB = 1024;
const prefix = keyPrefix();
let redis: TestRedis;

beforeAll(async () => {
  redis = await TestRedis.start();
});
afterAll(async () => {
  await removeKeys(redis.client, prefix);
  await redis.stop();
});

/** Sets a key with a name and a value of the given bytes; returns its name. */
async function set(name: string, keyBytes: number, valueBytes: number): Promise<string> {
  const key = `${prefix}${name}`.padEnd(keyBytes, '.');
  await redis.client.set(key, Buffer.alloc(valueBytes, name));
  return key;
}

/** Returns where a response came from. */
async function origin(proxy: TestProxy, key: string): Promise<string> {
  const { status, headers } = await proxy.key(key);
  expect(status).toBe(200);
  return String(headers['cache-status']).replace(/^redis-http-cache-proxy; /, '');
}

/** Starts a proxy with these settings for the tests of a block, and empties its cache before each. */
function useProxy(settings: Record<string, number>): { readonly proxy: TestProxy } {
  const used = {} as { proxy: TestProxy };
  beforeAll(async () => {
    used.proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      ADMIN_TOKEN: 'admin',
      PROXY_THREADS: 2,
      CACHE_TTL_MS: 3_600_000,
      ...settings,
    });
  });
  beforeEach(() => used.proxy.admin('DELETE', '/v1/cache'));
  afterAll(() => used.proxy.stop());
  return used;
}

describeOwn('CACHE_CAPACITY counts keys, whatever their size', () => {
  const used = useProxy({ CACHE_CAPACITY: 5 });

  it.each([
    { what: 'empty values', keyBytes: 40, valueBytes: 0 },
    { what: 'values of a byte', keyBytes: 40, valueBytes: 1 },
    { what: 'values of 100 KiB', keyBytes: 40, valueBytes: 100 * KiB },
    { what: 'values of the largest size that is stored', keyBytes: 40, valueBytes: KiB * KiB },
    { what: 'keys of 60 KiB', keyBytes: 60 * KiB, valueBytes: 10 },
  ])('with $what, five keys are cached and the sixth evicts the first', async (sizes) => {
    const { proxy } = used;
    const keys: string[] = [];
    for (let i = 0; i < 6; i++) keys.push(await set(`${sizes.what} ${i} `, sizes.keyBytes, sizes.valueBytes));
    for (const key of keys) expect(await origin(proxy, key)).toBe('fwd=uri-miss; stored');
    const { entries, bytes } = await proxy.stats();
    expect(entries).toBe(5);
    expect(bytes).toBe(keys.slice(1).reduce((sum, key) => sum + key.length + sizes.valueBytes, 0));
    for (const key of keys.slice(1)) expect(await origin(proxy, key)).toMatch(/^hit;/);
    expect(await origin(proxy, keys[0])).toBe('fwd=uri-miss; stored');
  });

  it('mixed sizes of keys and values count the same', async () => {
    const { proxy } = used;
    const sizes = [0, 1, 127, 128, 129, 4 * KiB, 64 * KiB - 1, 300 * KiB, 3, KiB * KiB, 0, 77];
    const keys: string[] = [];
    for (const [i, size] of sizes.entries()) keys.push(await set(`mixed ${i} `, 50 + 1000 * (i % 3), size));
    for (const [i, key] of keys.entries()) {
      expect(await origin(proxy, key)).toBe('fwd=uri-miss; stored');
      expect((await proxy.stats()).entries).toBe(Math.min(i + 1, 5));
    }
    for (const key of keys.slice(-5)) expect(await origin(proxy, key)).toMatch(/^hit;/);
  });
});

describeOwn('CACHE_MAX_BYTES bounds the bytes of keys and values', () => {
  const used = useProxy({ CACHE_CAPACITY: 1000, CACHE_MAX_BYTES: 100 * KiB, CACHE_MAX_VALUE_BYTES: 200 * KiB });

  it('and evicts the least recently read keys until the new one fits', async () => {
    const { proxy } = used;
    const evictedBefore = (await evictions(proxy)).bytes;
    const keys: string[] = [];
    for (let i = 0; i < 4; i++) keys.push(await set(`budget ${i} `, 100, 24 * KiB));
    for (const key of keys) await origin(proxy, key);
    expect(await proxy.stats()).toMatchObject({ entries: 4, bytes: 4 * (100 + 24 * KiB) });
    expect(await origin(proxy, keys[0])).toMatch(/^hit;/);

    // 40 KiB more evict two keys of 24 KiB: the least recently read ones.
    const large = await set('large ', 100, 40 * KiB);
    expect(await origin(proxy, large)).toBe('fwd=uri-miss; stored');
    expect(await proxy.stats()).toMatchObject({ entries: 3, bytes: 2 * (100 + 24 * KiB) + 100 + 40 * KiB });
    expect(await evictions(proxy)).toMatchObject({ bytes: evictedBefore + 2, capacity: 0 });
    for (const key of [keys[0], keys[3], large]) expect(await origin(proxy, key)).toMatch(/^hit;/);
    expect(await origin(proxy, keys[1])).toBe('fwd=uri-miss; stored');
  });

  it('and is never exceeded, whatever is read', async () => {
    const { proxy } = used;
    for (let i = 0; i < 60; i++) {
      await origin(proxy, await set(`random ${i} `, 60, (i * 7919) % (30 * KiB)));
      const { bytes, maxBytes } = await proxy.stats();
      expect(bytes).toBeLessThanOrEqual(maxBytes);
    }
    expect((await proxy.stats()).maxBytes).toBe(100 * KiB);
  });

  it('a single larger item is served without being stored and evicts nothing', async () => {
    const { proxy } = used;
    const small = await set('small ', 60, 10);
    const huge = await set('huge ', 60, 100 * KiB);
    await origin(proxy, small);
    expect(await origin(proxy, huge)).toBe('fwd=uri-miss');
    expect(await origin(proxy, huge)).toBe('fwd=uri-miss');
    expect(await origin(proxy, small)).toMatch(/^hit;/);
    expect((await proxy.stats()).entries).toBe(1);
  });
});

describeOwn('CACHE_MAX_VALUE_BYTES', () => {
  const used = useProxy({ CACHE_MAX_VALUE_BYTES: 10 * KiB });

  it('is the maximum size of a stored value', async () => {
    const key = await set('just right ', 60, 10 * KiB);
    expect(await origin(used.proxy, key)).toBe('fwd=uri-miss; stored');
    expect(await origin(used.proxy, key)).toMatch(/^hit;/);
  });

  it('makes a value that is one byte larger be served from Redis every time, and counts it', async () => {
    const { proxy } = used;
    const key = await set('too large ', 60, 10 * KiB + 1);
    const before = await proxy.stats();
    await redis.forgetCalls();
    for (let i = 0; i < 3; i++) {
      const { status, body, headers } = await proxy.key(key);
      expect(status).toBe(200);
      expect(body.equals(Buffer.alloc(10 * KiB + 1, 'too large '))).toBe(true);
      expect(headers['cache-status']).toBe('redis-http-cache-proxy; fwd=uri-miss');
    }
    expect(await redis.calls('get')).toBe(3);
    expect(await proxy.stats()).toMatchObject({ entries: 0, uncacheable: before.uncacheable + 3 });
  });
});

async function evictions(proxy: TestProxy): Promise<Record<string, number>> {
  return (await proxy.admin('GET', '/v1/cache')).json.evictions as Record<string, number>;
}
