import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { SteadyLoad } from '../support/load.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { type ThreadFault, TestProxy, percentEncode } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

/** TORTURE_SECONDS makes the run longer. */
const SECONDS = Number(process.env.TORTURE_SECONDS ?? 15);
const FAULTS: readonly (readonly ThreadFault[])[] = [
  ['terminate'],
  ['throw'],
  ['stall in critical section', 'terminate'],
  ['exhaust memory'],
];

/** Values whose every part names their key, from empty to several chunks of a copy. */
const keys = Array.from({ length: 300 }, (_, i) => `key-${i}`);
const valueOf = (key: string): string => `<${key}>`.repeat(Math.floor((Number(key.slice(4)) % 20) ** 3 * 0.7));

describeOwn(`four threads, read, purged, expired and killed for ${SECONDS} s,`, () => {
  let redis: TestRedis;
  let proxy: TestProxy;

  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.mset(Object.fromEntries(keys.map((key) => [key, valueOf(key)])));
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      PROXY_THREADS: 4,
      ADMIN_TOKEN: 'admin',
      CACHE_CAPACITY: 100,
      CACHE_MAX_BYTES: 1_000_000,
      CACHE_TTL_MS: 200,
      CACHE_NEGATIVE_TTL_MS: 50,
      NODE_OPTIONS: '--max-old-space-size=100',
      // A crashing thread keeps a core busy, and the delay that it causes is not a failure.
      REDIS_COMMAND_TIMEOUT_MS: 10_000,
      REDIS_CONNECT_TIMEOUT_MS: 10_000,
    });
  });
  afterAll(async () => {
    await proxy.stop();
    await redis.stop();
  });

  /** Waits until all threads have been restarted and the metrics are as needed; returns the metrics. */
  const allThreads = (isDone: (metrics: string) => boolean): Promise<string> =>
    until('all threads are back', async () => {
      const { text } = await proxy.get('/metrics').catch(() => ({ text: '' }));
      return /redis_connections 4$/m.test(text) && isDone(text) ? text : undefined;
    });

  it(
    'return no wrong byte, lose no lock, and leave the cache consistent',
    async () => {
      const load = new SteadyLoad(proxy, ['no such key', ...keys], 24, ({ status, text }, key) =>
        status === 200 && text !== valueOf(key) ? `wrong value of ${key}` : String(status),
      );
      const end = Date.now() + SECONDS * 1000;
      // Each fault twice at least, however slow the machine is.
      for (let round = 0; Date.now() < end || round < 2 * FAULTS.length; round++) {
        const served = load.total;
        for (const fault of FAULTS[round % FAULTS.length]) await proxy.inject(round % 4, fault);
        await proxy.inject((round + 1) % 4, 'terminate');
        for (let i = 0; i < 20; i++) {
          const key = keys[(round * 31 + i) % keys.length];
          // The requested thread may be the one that crashes.
          await proxy.admin('DELETE', `/v1/cache/${percentEncode(key)}`).catch(() => undefined);
        }
        if (round % 5 === 0) await proxy.admin('DELETE', '/v1/cache').catch(() => undefined);
        await until('the clients are served on', () => (load.total > served + 100 ? true : undefined));
        // A thread that is still starting would not receive the next fault.
        await allThreads(() => true);
      }
      await load.stop();

      expect([...load.outcomes.keys()].sort()).toEqual(['200', '404']);
      const metrics = await allThreads((text) => /loads_in_flight 0$/m.test(text));
      expect(metrics).toMatch(/loads_queued 0$/m);
      expect(Number(/thread_restarts_total (\d+)$/m.exec(metrics)?.[1])).toBeGreaterThanOrEqual(FAULTS.length);
      expect(await proxy.problemInMemory()).toBeUndefined();
    },
    (SECONDS + 100) * 1000,
  );
});
