import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { SteadyLoad } from '../support/load.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { type ThreadFault, TestProxy, keyPrefix } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const prefix = keyPrefix();
const keys = Array.from({ length: 50 }, (_, i) => `${prefix}${i}`);
const valueOf = (key: string): string => `value of ${key} `.repeat(1 + (Number(key.slice(prefix.length)) % 7) * 40);

describeOwn('crash of a worker thread', () => {
  let redis: TestRedis;
  let proxy: TestProxy;

  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.mset(Object.fromEntries(keys.map((key) => [key, valueOf(key)])));
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      PROXY_THREADS: 4,
      ADMIN_TOKEN: 'admin',
      CACHE_CAPACITY: 30,
      NODE_OPTIONS: '--max-old-space-size=100',
      // The crashing thread keeps a core busy; delays of the other threads must not count as failures.
      REDIS_COMMAND_TIMEOUT_MS: 10_000,
      REDIS_CONNECT_TIMEOUT_MS: 10_000,
    });
  });
  afterAll(async () => {
    await proxy.stop();
    await redis.stop();
  });

  async function metric(name: string): Promise<number> {
    // The thread that serves the request may be the one that crashes.
    const { text } = await proxy.get('/metrics').catch(() => ({ text: '' }));
    return Number(new RegExp(`^redis_http_cache_proxy_${name} (\\S+)$`, 'm').exec(text)?.[1]);
  }

  /** Crashes a thread under load, and returns the results of the clients. */
  async function crashUnderLoad(...faults: ThreadFault[]): Promise<SteadyLoad> {
    const before = await metric('thread_restarts_total');
    const load = new SteadyLoad(proxy, keys, 16, ({ status, text }, key) =>
      status === 200 && text !== valueOf(key) ? 'wrong value' : String(status),
    );
    await until('the clients are served', () => (load.total > 200 ? true : undefined));
    for (const fault of faults) await proxy.inject(1, fault);
    await until('the thread was replaced', async () =>
      (await metric('thread_restarts_total')) > before && (await metric('redis_connections')) === 4 ? true : undefined,
    );
    const served = load.total;
    await until('the clients are still served', () => (load.total > served + 200 ? true : undefined));
    await load.stop();
    return load;
  }

  it.each(['terminate', 'throw', 'exhaust memory'] as const)(
    'restarts the thread after "%s": other threads keep serving, no value is wrong, only its own connections are reset',
    async (fault) => {
      const load = await crashUnderLoad(fault);
      expect([...load.outcomes.keys()]).toEqual(['200']);
      expect([...load.failures.keys()].filter((code) => !/ECONNRESET|EPIPE|ECONNREFUSED/.test(code))).toEqual([]);
      const crash = { level: 'error', message: expect.stringContaining('exited (code') };
      await eventually(() => proxy.log(), expect.arrayContaining([expect.objectContaining(crash)]));
    },
  );

  it('flushes the cache if the thread held the cache lock, and keeps serving', async () => {
    // A thread that has crashed before may have held the lock by chance.
    const before = await metric('cache_recoveries_total');
    const load = await crashUnderLoad('stall in critical section', 'terminate');
    expect([...load.outcomes.keys()]).toEqual(['200']);
    await eventually(() => metric('cache_recoveries_total'), before + 1);
    const flush = { level: 'warn', message: expect.stringContaining('cache flushed') };
    await eventually(() => proxy.log(), expect.arrayContaining([expect.objectContaining(flush)]));
    const { entries, capacity } = await proxy.stats();
    expect(entries).toBe(capacity);
  });

  it('removes its connections and loads from the counts', async () => {
    for (const name of ['loads_in_flight', 'loads_queued']) {
      await until(`${name} is 0`, async () => ((await metric(name)) === 0 ? true : undefined));
    }
    await until('only the request for the metrics is connected', async () =>
      (await metric('connections')) <= 2 ? true : undefined,
    );
  });
});
