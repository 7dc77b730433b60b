import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const NO_REUSE_PORT = new URL('../support/no-reuse-port.mjs', import.meta.url).href;

describeOwn('platform without reusePort', () => {
  let redis: TestRedis;
  let proxy: TestProxy;

  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.set('key', 'value');
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      RESP_PORT: 0,
      PROXY_THREADS: 3,
      NODE_OPTIONS: `--import ${NO_REUSE_PORT}`,
    });
  });
  afterAll(async () => {
    await proxy.stop();
    await redis.stop();
  });

  async function valueOverResp(): Promise<string | null> {
    const port = Number(/listening for the Redis protocol on [^"]*:(\d+)"/.exec(proxy.child?.output ?? '')?.[1]);
    const client = new Redis(port, '127.0.0.1');
    try {
      return await client.get('key');
    } finally {
      client.disconnect();
    }
  }

  it('runs one thread, which serves both listeners', async () => {
    expect(await proxy.key('key')).toMatchObject({ status: 200, text: 'value' });
    expect(await valueOverResp()).toBe('value');
    expect((await proxy.get('/metrics')).text).toMatch(/^redis_http_cache_proxy_threads 1$/m);
  });

  it('logs one warning if more threads are configured', () => {
    const warnings = proxy.log().filter(({ level }) => level === 'warn');
    expect(warnings.map(({ message }) => message)).toEqual([
      `PROXY_THREADS: using 1 thread, not 3: threads cannot share a port on this platform (${process.platform})`,
    ]);
  });

  it('listens again after a crash of the thread', async () => {
    await proxy.inject(0, 'terminate');
    await until('it serves again', async () => {
      const response = await proxy.key('key').catch(() => undefined);
      return response?.status === 200 || undefined;
    });
    expect(await valueOverResp()).toBe('value');
  });
});
