import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { BOUND_MS, holdTracking, untilCoherence } from '../support/coherence.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { respPort } from '../support/resp.ts';

const FIELDS = 100_000;
const BATCH = 1000;
const WRITES = 3000;

interface CacheStats {
  readonly entries: number;
  readonly loads: number;
  readonly evictions: { readonly purged: number };
  readonly coherence: { readonly flushes: number; readonly losses: number };
}

describeOwn(`while tracking, with ${FIELDS} fields of one hash cached,`, () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let client: Redis;

  beforeAll(async () => {
    redis = await TestRedis.start();
    for (let from = 0; from < FIELDS; from += BATCH) {
      await redis.client.hset('hash', Object.fromEntries(batch(from).map((field) => [field, 'old'])));
    }
    await redis.client.set('other', 'value');
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      RESP_PORT: 0,
      PROXY_THREADS: 2,
      CACHE_COHERENCE: 'tracking',
      CACHE_CAPACITY: 2 * FIELDS,
      CACHE_TTL_MS: 3_600_000,
      REDIS_COMMAND_TIMEOUT_MS: 10_000,
      ADMIN_TOKEN: 'admin',
    });
    await untilCoherence(proxy, 'tracking');
    client = new Redis({ port: respPort(proxy) });
  }, 120_000);
  afterAll(async () => {
    client.disconnect();
    await proxy.stop();
    await redis.stop();
  });

  const stats = async (): Promise<CacheStats> =>
    (await proxy.get('/v1/cache', { Authorization: 'Bearer admin' })).json as unknown as CacheStats;

  async function readAll(): Promise<void> {
    for (let from = 0; from < FIELDS; from += BATCH) {
      await Promise.all(batch(from).map((field) => client.hget('hash', field)));
    }
  }

  it('a write ends all of them, and the other entries stay', async () => {
    // Otherwise entries that are not confirmed for a moment are loaded once more.
    await holdTracking(proxy, 'other');
    const { loads } = await stats();
    await readAll();
    await readAll();
    expect(await stats()).toMatchObject({ entries: FIELDS + 1, loads: loads + FIELDS });
    await proxy.startClock();
    await until(
      'entries are trusted',
      async () => /; hit; /.test(String((await proxy.key('other')).headers['cache-status'])) || undefined,
    );

    await redis.client.hset('hash', 'field:0', 'new');
    await until('the entries have ended', async () => (await stats()).evictions.purged === FIELDS || undefined);
    expect(await client.hget('hash', 'field:0')).toBe('new');
    expect(await stats()).toMatchObject({ entries: 2, coherence: { flushes: 0, losses: 0 } });
  }, 300_000);

  it(`${WRITES} writes, 1,000 in a second, while clients read, are seen within ${BOUND_MS} ms`, async () => {
    await readAll();
    const acknowledgedAt = [-Infinity];
    let over = false;
    const write = async (): Promise<void> => {
      const start = performance.now();
      await redis.client.hset('hash', 'field:0', '0');
      for (let write = 1; write <= WRITES; write++) {
        while (performance.now() < start + write) await setImmediate();
        await redis.client.hset('hash', 'field:0', String(write));
        acknowledgedAt[write] = performance.now();
      }
      over = true;
    };
    let longest = 0;
    let reads = 0;
    const read = async (): Promise<void> => {
      while (!over) {
        const start = performance.now();
        const any = Array.from({ length: 20 }, () => `field:${Math.floor(Math.random() * FIELDS)}`);
        const [value] = await Promise.all(['field:0', ...any].map((field) => client.hget('hash', field)));
        reads++;
        const next = acknowledgedAt[Number(value) + 1];
        if (next !== undefined) longest = Math.max(longest, start - next);
      }
    };
    const writing = write();
    await until('the first write is acknowledged', () => acknowledgedAt.length > 1 || undefined);
    await until(
      'a number is read',
      async () => /^\d+$/.test(String(await client.hget('hash', 'field:0'))) || undefined,
    );
    await Promise.all([writing, read(), read()]);
    expect(reads).toBeGreaterThan(0);
    expect(longest).toBeLessThanOrEqual(BOUND_MS);
    await until(
      'the last one is read',
      async () => (await client.hget('hash', 'field:0')) === String(WRITES) || undefined,
    );
    expect(await stats()).toMatchObject({ coherence: { flushes: 0, losses: 0 } });
  }, 300_000);
});

function batch(from: number): string[] {
  return Array.from({ length: BATCH }, (_, i) => `field:${from + i}`);
}
