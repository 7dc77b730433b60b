import type { AddressInfo } from 'node:net';
import { expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { Relay, startLoadingRedis } from '../support/relay.ts';

describeOwn('a Redis that is loading its data', () => {
  it('does not keep the proxy from starting; reads are 503 until it is done', async () => {
    const redis = await startLoadingRedis();
    const { port } = redis.address() as AddressInfo;
    const settings = { REDIS_URL: `redis://127.0.0.1:${port}`, REDIS_CONNECT_TIMEOUT_MS: 200, PROXY_THREADS: 1 };
    const proxy = await TestProxy.start(settings, '/', false);
    try {
      expect((await proxy.get('/health/live')).status).toBe(200);
      expect((await proxy.get('/health/ready')).status).toBe(503);
      expect(await proxy.key('key')).toMatchObject({ status: 503, json: { code: 'redis-unavailable' } });
    } finally {
      await proxy.stop();
      redis.close();
    }
  });
});

describeOwn('a connection to Redis that went dead without a word', () => {
  it('is given up for a new one', async () => {
    const redis = await TestRedis.start();
    const relay = await Relay.to(redis.port);
    const proxy = await TestProxy.start({
      REDIS_URL: `redis://127.0.0.1:${relay.port}`,
      REDIS_COMMAND_TIMEOUT_MS: 200,
      PROXY_THREADS: 1,
    });
    try {
      await redis.client.set('key', 'value');
      const connections = relay.accepted;
      relay.silence();
      expect(await proxy.key('key')).toMatchObject({ status: 504, json: { code: 'redis-timeout' } });
      const answer = await until('a new connection', async () => {
        const next = await proxy.key('key');
        return next.status === 200 ? next : undefined;
      });
      expect(answer.text).toBe('value');
      expect(relay.accepted).toBe(connections + 1);
    } finally {
      await proxy.stop();
      await relay.stop();
      await redis.stop();
    }
  });
});
