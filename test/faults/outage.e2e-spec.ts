import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { type TestResponse, sendRequest } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { type Child, until } from '../support/processes.ts';
import { launch, TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { BUSY_MS, Stopwatch } from '../support/stopwatch.ts';

/** Three of them are shorter than the silence after which a connection is closed, two seconds. */
const COMMAND_TIMEOUT_MS = 400;
const TTL_MS = 3_600_000;
/** Maximum duration of a recovery: the longest pause between two attempts to connect. */
const MAX_RECOVERY_MS = 1_000;

function expectProblem(response: TestResponse, status: number, code: string): void {
  expect(response.json).toMatchObject({ status, code });
  expect(response.status).toBe(status);
  expect(response.headers).toMatchObject({
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    'cache-status': expect.stringMatching(/^redis-http-cache-proxy; fwd=uri-miss(; collapsed)?$/),
  });
}

const readConcurrently = (proxy: TestProxy, key: string, count: number) =>
  Promise.all(Array.from({ length: count }, () => proxy.key(key)));

/** Waits until every thread of the proxy reads Redis again, within {@link MAX_RECOVERY_MS}. */
async function expectRecovery(proxy: TestProxy): Promise<void> {
  const watch = new Stopwatch();
  await proxy.recovered();
  expect(watch.stop()).toBeLessThan(MAX_RECOVERY_MS + BUSY_MS);
}

describeOwn('with a command timeout of half a minute,', () => {
  let redis: TestRedis;
  let proxy: TestProxy;

  beforeAll(async () => {
    redis = await TestRedis.start();
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      PROXY_THREADS: 2,
      CACHE_TTL_MS: TTL_MS,
      CACHE_NEGATIVE_TTL_MS: TTL_MS,
      REDIS_COMMAND_TIMEOUT_MS: 30_000,
    });
    await redis.client.mset('held', 'cached value', 'cold', 'value of cold', 'slow', 'value of slow');
    await proxy.key('held');
  });
  afterAll(async () => {
    await proxy?.stop();
    await redis?.stop();
  });

  it('cached keys are served without waiting, while other requests wait for Redis', async () => {
    redis.server?.signal('SIGSTOP');
    let isWaiting = true;
    const slow = proxy.key('slow').finally(() => (isWaiting = false));
    try {
      await until('the load is in flight', async () => {
        const { text } = await proxy.get('/metrics');
        return /^redis_http_cache_proxy_loads_in_flight 1$/m.test(text) || undefined;
      });
      const responses = await readConcurrently(proxy, 'held', 20);
      expect(new Set(responses.map(({ text }) => text))).toEqual(new Set(['cached value']));
      expect(isWaiting).toBe(true);
    } finally {
      redis.server?.signal('SIGCONT');
    }
    expect((await slow).text).toBe('value of slow');
  });

  describe('while Redis is down', () => {
    beforeAll(async () => {
      await redis.server?.stop('SIGKILL');
    });

    it('cached keys are served as hits', async () => {
      for (const response of await readConcurrently(proxy, 'held', 50)) {
        expect([response.status, response.text]).toEqual([200, 'cached value']);
        expect(response.headers['cache-status']).toContain('; hit;');
      }
      expect((await proxy.key('held', { 'if-none-match': '*' })).status).toBe(304);
    });

    it('other keys get 503 redis-unavailable with Retry-After at once, never 404', async () => {
      const watch = new Stopwatch();
      const responses = [
        ...(await readConcurrently(proxy, 'cold', 20)),
        ...(await readConcurrently(proxy, 'nobody', 20)),
      ];
      // Much less than the command timeout.
      expect(watch.stop()).toBeLessThan(BUSY_MS);
      for (const response of responses) {
        expectProblem(response, 503, 'redis-unavailable');
        expect(response.headers['retry-after']).toBe('1');
      }
    });

    it('the proxy is live, but not ready', async () => {
      expect((await proxy.get('/health/live')).status).toBe(200);
      const ready = await proxy.get('/health/ready');
      expect(ready.status).toBe(503);
      expect(ready.json).toMatchObject({ status: 'unavailable', redis: 'unavailable' });
    });

    it('a key whose entry expires gets 503 until Redis is back', async () => {
      await proxy.advance(TTL_MS);
      expectProblem(await proxy.key('held'), 503, 'redis-unavailable');
    });

    it('the outage is logged once', async () => {
      const lines = () => proxy.log().filter(({ message }) => String(message).startsWith('Redis is not reachable'));
      await eventually(lines, [expect.anything()]);
    });

    it('reads succeed again within two seconds after Redis is back, and no failure was cached', async () => {
      redis = await redis.restart();
      await redis.client.mset('held', 'new cached value', 'cold', 'value of cold', 'nobody', 'somebody');
      await expectRecovery(proxy);
      const responses = await Promise.all(['held', 'cold', 'nobody'].map((key) => proxy.key(key)));
      expect(responses.map(({ status, text }) => `${status} ${text}`)).toEqual([
        '200 new cached value',
        '200 value of cold',
        '200 somebody',
      ]);
      await until('the recovery is logged', () =>
        proxy.log().some(({ message }) => message === 'Redis is reachable') ? true : undefined,
      );
    });
  });
});

describeOwn('a proxy that starts while Redis is down', () => {
  let redis: TestRedis;
  let proxy: Child;

  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.server?.stop('SIGKILL');
    proxy = launch({ REDIS_URL: redis.url, PROXY_THREADS: 2 });
  });
  afterAll(async () => {
    await proxy?.stop();
    await redis?.stop();
  });

  it('starts, is live but not ready, and serves keys as soon as Redis is up', async () => {
    const url = await until('the proxy listens', () => /listening on (http:[^"]+)/.exec(proxy.output)?.[1]);
    expect((await sendRequest(url, '/health/live')).status).toBe(200);
    expect((await sendRequest(url, '/health/ready')).status).toBe(503);
    expectProblem(await sendRequest(url, '/v1/keys/greeting'), 503, 'redis-unavailable');

    redis = await redis.restart();
    await redis.client.set('greeting', 'hello');
    const found = async () => {
      const { status, text } = await sendRequest(url, '/v1/keys/greeting');
      return status === 200 ? text : undefined;
    };
    expect(await until('the proxy serves', found, MAX_RECOVERY_MS + BUSY_MS)).toBe('hello');
  });
});

describeOwn('while Redis does not reply', () => {
  let redis: TestRedis;
  let proxy: TestProxy;

  beforeAll(async () => {
    redis = await TestRedis.start();
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      PROXY_THREADS: 1,
      CACHE_TTL_MS: TTL_MS,
      REDIS_COMMAND_TIMEOUT_MS: COMMAND_TIMEOUT_MS,
    });
    await redis.client.mset('held', 'cached value', 'cold', 'value of cold');
    await until('the key is cached', async () => (await proxy.key('held')).status === 200 || undefined);
  });
  beforeEach(() => redis.server?.signal('SIGSTOP'));
  // Otherwise the connection would be closed in one of the tests, sooner or later.
  afterEach(async () => {
    redis.server?.signal('SIGCONT');
    await proxy.recovered();
  });
  afterAll(async () => {
    await proxy?.stop();
    await redis?.stop();
  });

  const circuitStates = (): string[] =>
    proxy.log().flatMap(({ message }) => /^Redis circuit breaker (\w+)/.exec(String(message))?.[1] ?? []);

  it('concurrent requests for one key that is not cached get 504 redis-timeout within the command timeout', async () => {
    const start = performance.now();
    const watch = new Stopwatch();
    const responses = await readConcurrently(proxy, 'cold', 50);
    expect(performance.now() - start).toBeGreaterThan(COMMAND_TIMEOUT_MS - 50);
    expect(watch.stop()).toBeLessThan(COMMAND_TIMEOUT_MS + BUSY_MS);
    for (const response of responses) expectProblem(response, 504, 'redis-timeout');
  });

  it('requests for different keys do not wait for each other', async () => {
    const watch = new Stopwatch();
    const responses = await Promise.all(Array.from({ length: 50 }, (_, i) => proxy.key(`cold${i}`)));
    // One after the other they would take 15 seconds.
    expect(watch.stop()).toBeLessThan(COMMAND_TIMEOUT_MS + BUSY_MS);
    for (const response of responses) expect(response.json.code).toMatch(/^redis-(?:timeout|unavailable)$/);
  });

  it('the circuit opens after a few timeouts: most requests then get 503 redis-unavailable at once', async () => {
    const responses = [];
    const watch = new Stopwatch();
    for (let i = 0; i < 100; i++) responses.push(await proxy.key(`cold${i}`));
    const timedOut = responses.filter(({ status }) => status === 504);
    expect(timedOut.length).toBeLessThan(20);
    // With the circuit closed they would take 40 seconds.
    expect(watch.stop()).toBeLessThan(timedOut.length * COMMAND_TIMEOUT_MS + 3 * BUSY_MS);
    for (const response of responses) {
      if (response.status === 504) continue;
      expectProblem(response, 503, 'redis-unavailable');
      expect(response.headers['retry-after']).toBe('1');
    }
    // The circuit is closed for a moment when a new connection replaces the silent one.
    await until('it is logged', () => circuitStates().includes('opened') || undefined);
    expect(circuitStates()).toEqual(circuitStates().map((_, i) => (i % 2 === 0 ? 'opened' : 'closed')));
  });

  it('the proxy is live, but not ready', async () => {
    expect((await proxy.get('/health/live')).status).toBe(200);
    const ready = await proxy.get('/health/ready');
    expect(ready.status).toBe(503);
    expect(ready.json).toMatchObject({ status: 'unavailable', redis: expect.stringMatching('timeout|unavailable') });
  });

  it('reads succeed again once Redis replies, each key with its own value', async () => {
    expectProblem(await proxy.key('cold'), 504, 'redis-timeout');
    redis.server?.signal('SIGCONT');
    await expectRecovery(proxy);
    const pairs = Array.from({ length: 50 }, (_, i) => [`late${i}`, `value of late${i}`]);
    await redis.client.mset(pairs.flat());
    // On a busy machine single reads may time out again.
    const read = (key: string): Promise<string> =>
      until(`the value of ${key}`, async () => {
        const { status, text } = await proxy.key(key);
        return status < 500 ? text : undefined;
      });
    expect(await Promise.all(pairs.map(([key]) => read(key)))).toEqual(pairs.map(([, value]) => value));
    expect(await read('cold')).toBe('value of cold');
    await until('the recovery is logged', () => circuitStates().at(-1) === 'closed' || undefined);
  });
});
