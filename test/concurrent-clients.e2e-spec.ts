import { Agent } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { keyPrefix, removeKeys, TestProxy } from './support/proxy.ts';
import { TestRedis } from './support/redis.ts';

const prefix = keyPrefix();
let redis: TestRedis;
let proxy: TestProxy;
let agent: Agent;

beforeAll(async () => {
  redis = await TestRedis.start();
  proxy = await TestProxy.use({ REDIS_URL: redis.url, PROXY_THREADS: 4 });
  agent = new Agent({ keepAlive: true, maxSockets: 400 });
});
afterAll(async () => {
  agent.destroy();
  await proxy.stop();
  await removeKeys(redis.client, prefix);
  await redis.stop();
});

const crowd = (key: string, count: number) =>
  Promise.all(Array.from({ length: count }, () => proxy.ask(`/v1/keys/${encodeURIComponent(key)}`, { agent })));

describe('concurrent clients', () => {
  it('who ask for one cold key, 200 at once, make one read of Redis, and all get the value', async () => {
    const key = `${prefix}cold`;
    await redis.client.set(key, 'value');
    await redis.forgetCalls();
    const answers = await crowd(key, 200);
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`))).toEqual(new Set(['200 value']));
    expect(await redis.calls('get')).toBe(1);
  });

  it('over 400 connections to all threads make one read of Redis, ten rounds out of ten', async () => {
    for (let round = 0; round < 10; round++) {
      const key = `${prefix}round${round}`;
      await redis.client.set(key, key);
      await redis.forgetCalls();
      const answers = await crowd(key, 400);
      expect(new Set(answers.map(({ status, text }) => `${status} ${text}`))).toEqual(new Set([`200 ${key}`]));
      expect(await redis.calls('get')).toBe(1);
    }
  });
});
