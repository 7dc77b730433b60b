import { Agent } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestResponse } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { keyPrefix, removeKeys, TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

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

const readConcurrently = (key: string, count: number) =>
  Promise.all(Array.from({ length: count }, () => proxy.request(`/v1/keys/${encodeURIComponent(key)}`, { agent })));

describe('concurrent clients', () => {
  it('200 concurrent requests for one cold key cause one Redis read and all receive the value', async () => {
    const key = `${prefix}cold`;
    await redis.client.set(key, 'value');
    await redis.forgetCalls();
    const responses = await readConcurrently(key, 200);
    expect(new Set(responses.map(({ status, text }) => `${status} ${text}`))).toEqual(new Set(['200 value']));
    expect(await redis.calls('get')).toBe(1);
  });

  it('400 connections to all threads cause one Redis read, in ten of ten rounds', async () => {
    for (let round = 0; round < 10; round++) {
      const key = `${prefix}round${round}`;
      await redis.client.set(key, key);
      await redis.forgetCalls();
      const responses = await readConcurrently(key, 400);
      expect(new Set(responses.map(({ status, text }) => `${status} ${text}`))).toEqual(new Set([`200 ${key}`]));
      expect(await redis.calls('get')).toBe(1);
    }
  });
});

describeOwn('200 clients waiting for one key while Redis is slow', () => {
  let slowProxy: TestProxy;
  const read200Times = (key: string) =>
    Promise.all(Array.from({ length: 200 }, () => slowProxy.request(`/v1/keys/${encodeURIComponent(key)}`, { agent })));

  beforeAll(async () => {
    slowProxy = await TestProxy.start({
      REDIS_URL: redis.url,
      PROXY_THREADS: 4,
      ADMIN_TOKEN: 'admin',
      // Long enough for all of them to arrive.
      REDIS_COMMAND_TIMEOUT_MS: 8000,
    });
  });
  afterAll(async () => {
    await slowProxy?.stop();
  });

  /** Sends 200 requests while Redis is stopped; it continues once all wait if `resume`, otherwise after the responses. */
  async function readWhileStopped(key: string, resume: boolean): Promise<TestResponse[]> {
    await redis.forgetCalls();
    const before = await slowProxy.stats();
    redis.server?.signal('SIGSTOP');
    try {
      const responses = read200Times(key);
      await until('all of them wait', async () => {
        const { misses, collapsed } = await slowProxy.stats();
        return (misses === before.misses + 1 && collapsed === before.collapsed + 199) || undefined;
      });
      if (resume) redis.server?.signal('SIGCONT');
      return await responses;
    } finally {
      redis.server?.signal('SIGCONT');
    }
  }

  const kinds = (responses: readonly TestResponse[]) =>
    new Set(responses.map(({ status, text }) => (status === 200 ? text : String(status))));

  it('receive the value of one read; one response reports stored, the others collapsed', async () => {
    const key = `${prefix}slow`;
    await redis.client.set(key, 'value');
    const responses = await readWhileStopped(key, true);
    expect(kinds(responses)).toEqual(new Set(['value']));
    const collapsed = responses.filter(({ headers }) => String(headers['cache-status']).endsWith('; collapsed'));
    expect(collapsed).toHaveLength(199);
    expect(await redis.calls('get')).toBe(1);
  });

  it('receive 404 from one read', async () => {
    expect(kinds(await readWhileStopped(`${prefix}slow-nobody`, true))).toEqual(new Set(['404']));
    expect(await redis.calls('get')).toBe(1);
  });

  it('receive 409 from one read of a value that is not a string', async () => {
    await redis.client.rpush(`${prefix}slow-list`, 'a');
    expect(kinds(await readWhileStopped(`${prefix}slow-list`, true))).toEqual(new Set(['409']));
    expect(await redis.calls('get')).toBe(1);
  });

  it('receive the time-out of one read; the next request reads again', async () => {
    const key = `${prefix}too-slow`;
    await redis.client.set(key, 'value');
    expect(kinds(await readWhileStopped(key, false))).toEqual(new Set(['504']));
    expect(await redis.calls('get')).toBe(1);
    await slowProxy.ready();
    expect((await slowProxy.key(key)).text).toBe('value');
  });
});
