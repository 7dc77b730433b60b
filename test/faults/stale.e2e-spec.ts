import { expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { Relay } from '../support/relay.ts';
import { Stopwatch } from '../support/stopwatch.ts';

const COMMAND_TIMEOUT_MS = 300;
const TTL_MS = 60_000;
const READS = 60;

describeOwn('an expired value, while the circuit is open', () => {
  it('is served stale at once, without waiting for the command timeout', async () => {
    const redis = await TestRedis.start();
    const relay = await Relay.to(redis.port);
    const proxy = await TestProxy.start({
      REDIS_URL: `redis://127.0.0.1:${relay.port}`,
      REDIS_COMMAND_TIMEOUT_MS: COMMAND_TIMEOUT_MS,
      CACHE_TTL_MS: TTL_MS,
      CACHE_STALE_IF_ERROR_MS: 10 * TTL_MS,
      PROXY_THREADS: 1,
    });
    const circuits = async (state: string): Promise<number> => {
      const { text } = await proxy.get('/metrics');
      return Number(new RegExp(`^redis_http_cache_proxy_circuit\\{state="${state}"\\} (\\d)$`, 'm').exec(text)?.[1]);
    };
    try {
      await redis.client.set('held', 'value of held');
      await until('the key is cached', async () => (await proxy.key('held')).status === 200 || undefined);
      await until('the circuit is closed', async () => (await circuits('closed')) === 1 || undefined);
      await proxy.advance(TTL_MS + 1000);
      // Replies are so late that the thread notices the time-out first, but the connection is not silent, so it stays open.
      relay.delayMs = 4 * COMMAND_TIMEOUT_MS;
      for (let i = 0; (await circuits('open')) === 0 && i < 20; i++) {
        const { status, text } = await proxy.key('held');
        expect([status, text]).toEqual([200, 'value of held']);
      }
      const watch = new Stopwatch();
      for (let i = 0; i < READS; i++) {
        const response = await proxy.key('held');
        expect([response.status, response.text]).toEqual([200, 'value of held']);
        expect(response.headers['cache-status']).toContain('detail=stale-if-error');
      }
      // Only the probes wait.
      expect(watch.stop()).toBeLessThan((READS * COMMAND_TIMEOUT_MS) / 2);
      relay.delayMs = 0;
      await redis.client.set('held', 'new value');
      await until('the new value is loaded', async () =>
        (await proxy.key('held')).text === 'new value' ? true : undefined,
      );
      await until('the circuit is closed', async () => (await circuits('closed')) === 1 || undefined);
    } finally {
      await proxy.stop();
      await relay.stop();
      await redis.stop();
    }
  });
});
