import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { brokenWrites } from '../support/broken-writes.ts';
import { exchange } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

/** A proxy whose writes of one buffer throw or are lost. */
const startBroken = (redis: TestRedis, how: 'throw' | 'drop'): Promise<TestProxy> =>
  TestProxy.start({
    ...{ REDIS_URL: redis.url, RESP_PORT: 0, PROXY_THREADS: 1 },
    ...brokenWrites(how),
  });

const respUrl = (proxy: TestProxy): string => {
  const [, port] = /redis:[^"]+:(\d+)"/.exec(proxy.child?.output ?? '') ?? [];
  return `http://127.0.0.1:${port}`;
};

describeOwn('a proxy that cannot write its responses', () => {
  let redis: TestRedis;
  let proxy: TestProxy;

  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.set('key', 'value');
    proxy = await startBroken(redis, 'throw');
  });
  afterAll(async () => {
    await proxy?.stop();
    await redis?.stop();
  });

  const metrics = async (): Promise<(name: string) => number> => {
    const { text } = await proxy.get('/metrics');
    return (name) =>
      Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`redis_http_cache_proxy_${name} `))
          ?.split(' ')[1],
      );
  };

  it('counts them on the fast path, and counts no read as served', async () => {
    const before = await metrics();
    for (let i = 0; i < 3; i++) {
      expect(await exchange(proxy.url, 'GET /v1/keys/key HTTP/1.1\r\nHost: x\r\n\r\n')).toBe('');
    }
    const after = await metrics();
    const failures = 'response_failures_total{listener="http"}';
    expect(after(failures) - before(failures)).toBe(3);
    for (const outcome of ['hit', 'miss']) {
      expect(after(`requests_total{transport="http",outcome="${outcome}"}`)).toBe(0);
    }
  });

  it('counts each of several pipelined hits in one write', async () => {
    const before = await metrics();
    await exchange(proxy.url, 'GET /v1/keys/key HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(5));
    const failures = 'response_failures_total{listener="http"}';
    expect((await metrics())(failures) - before(failures)).toBe(5);
  });

  it('counts them in the Redis protocol, and counts no read as served', async () => {
    const before = await metrics();
    for (const command of ['GET key\r\n', 'STRLEN key\r\n', 'MGET key other\r\n', 'PING\r\n']) {
      expect(await exchange(respUrl(proxy), command)).toBe('');
    }
    const after = await metrics();
    const failures = 'response_failures_total{listener="resp"}';
    expect(after(failures) - before(failures)).toBeGreaterThanOrEqual(4);
    for (const outcome of ['hit', 'miss', 'not-found']) {
      expect(after(`requests_total{transport="resp",outcome="${outcome}"}`)).toBe(0);
    }
  });

  it('is neither ready nor live, and both responses name the failing protocol', async () => {
    const [ready, live] = [await proxy.get('/health/ready'), await proxy.get('/health/live')];
    expect([ready.status, ready.json]).toEqual([
      503,
      {
        ...{ status: 'unavailable', redis: 'ok', coherence: 'ttl', fastPath: 'failed', redisProtocol: 'failed' },
        reasons: [expect.stringMatching(/^fast path: .*closed/), expect.stringMatching(/^Redis protocol: .*closed/)],
      },
    ]);
    const failed = { status: 'unavailable', fastPath: 'failed', redisProtocol: 'failed' };
    expect([live.status, live.json]).toEqual([503, failed]);
    const metric = await metrics();
    expect(['fast-path', 'redis-protocol'].map((part) => metric(`self_check_failures{part="${part}"}`))).toEqual([
      1, 1,
    ]);
  });

  it('logs the error', async () => {
    await proxy.child?.printed('injected by the test');
  });
});

describeOwn('a proxy whose responses get lost', () => {
  it('is neither ready nor live, without a client or a probe having read a key', async () => {
    const redis = await TestRedis.start();
    const proxy = await startBroken(redis, 'drop');
    try {
      await until('it is found out', async () => (await proxy.get('/health/live')).status === 503 || undefined);
      await proxy.child?.printed('the fast path does not serve reads (no response within 1000 ms)');
      const { status, json } = await proxy.get('/health/ready');
      expect([status, json.fastPath, json.redisProtocol]).toEqual([503, 'failed', 'failed']);
    } finally {
      await proxy.stop();
      await redis.stop();
    }
  });
});
