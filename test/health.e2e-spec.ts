import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { describeOwn } from './support/only-own.ts';
import { until } from './support/processes.ts';
import { TestProxy } from './support/proxy.ts';
import { TestRedis } from './support/redis.ts';

let redis: TestRedis;
let proxy: TestProxy;

beforeAll(async () => {
  redis = await TestRedis.start();
  proxy = await TestProxy.use({ REDIS_URL: redis.url, PROXY_THREADS: 2, ADMIN_TOKEN: 'admin' });
});
afterAll(async () => {
  await proxy?.stop();
  await redis?.stop();
});

describe('health', () => {
  it.each<[string, object]>([
    ['/health/live', { status: 'ok' }],
    ['/health/ready', { status: 'ok', redis: 'ok', coherence: 'ttl' }],
  ])('%s answers 200 and JSON to everybody, for the moment alone', async (path, body) => {
    const answer = await proxy.get(path);
    expect([answer.status, answer.json]).toEqual([200, body]);
    expect(answer.headers).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-store' });
    expect(answer.headers.etag).toBeUndefined();
  });

  it.each(['/health/live', '/health/ready'])('HEAD %s answers the same without a body', async (path) => {
    const [get, head] = [await proxy.get(path), await proxy.ask(path, { method: 'HEAD' })];
    expect([head.status, head.body.length]).toEqual([200, 0]);
    expect(head.headers['content-length']).toBe(get.headers['content-length']);
  });
});

describeOwn('readiness', () => {
  const ready = async (status: number) =>
    until(`ready answers ${status}`, async () => {
      const answers = await Promise.all(Array.from({ length: 10 }, () => proxy.get('/health/ready')));
      return answers.every((answer) => answer.status === status) ? answers[0] : undefined;
    });

  it('asks Redis each time, and is not taken from the cache', async () => {
    await redis.forgetCalls();
    for (let i = 0; i < 5; i++) await proxy.get('/health/ready');
    expect(await redis.calls('ping')).toBe(5);
    expect(await redis.calls('get')).toBe(0);
  });

  it('goes with Redis and comes back with it, again and again, while the process stays live', async () => {
    for (let round = 0; round < 3; round++) {
      await redis.server?.stop('SIGKILL');
      expect((await ready(503)).json).toEqual({ status: 'unavailable', redis: 'unavailable', coherence: 'ttl' });
      expect((await proxy.get('/health/live')).status).toBe(200);
      redis = await redis.restart();
      expect((await ready(200)).json).toEqual({ status: 'ok', redis: 'ok', coherence: 'ttl' });
    }
  });
});
