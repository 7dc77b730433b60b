import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type HttpAnswer, ask } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { type Child, until } from '../support/processes.ts';
import { launch, TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const COMMAND_TIMEOUT_MS = 300;
/** The command time-out, and what a busy machine takes beside. */
const IN_TIME_MS = COMMAND_TIMEOUT_MS + 700;
/** "Back by itself within a second or so": the longest pause between two attempts to connect, and some. */
const BACK_MS = 2_000;

function expectProblem(answer: HttpAnswer, status: number, code: string): void {
  expect(answer.json).toMatchObject({ status, code });
  expect(answer.status).toBe(status);
  expect(answer.headers).toMatchObject({
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    'cache-status': expect.stringMatching(/^redis-http-cache-proxy; fwd=uri-miss(; collapsed)?$/),
  });
}

const crowd = (proxy: TestProxy, key: string, count: number) =>
  Promise.all(Array.from({ length: count }, () => proxy.key(key)));

/** Waits until every thread of the proxy reads Redis again, and sees to it that this takes no longer than it may. */
async function expectBackSoon(proxy: TestProxy): Promise<void> {
  const start = performance.now();
  await proxy.recovered();
  expect(performance.now() - start).toBeLessThan(BACK_MS);
}

describeOwn('while Redis is gone', () => {
  let redis: TestRedis;
  let proxy: TestProxy;

  beforeAll(async () => {
    redis = await TestRedis.start();
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      PROXY_THREADS: 2,
      CACHE_TTL_MS: 60_000,
      CACHE_NEGATIVE_TTL_MS: 60_000,
    });
    await redis.client.mset('held', 'value of held', 'cold', 'value of cold');
    await proxy.key('held');
    await redis.server?.stop('SIGKILL');
  });
  afterAll(async () => {
    await proxy?.stop();
    await redis?.stop();
  });

  it('keys in the cache are served as ever', async () => {
    for (const answer of await crowd(proxy, 'held', 50)) {
      expect([answer.status, answer.text]).toEqual([200, 'value of held']);
      expect(answer.headers['cache-status']).toContain('; hit;');
    }
    expect((await proxy.key('held', { 'if-none-match': '*' })).status).toBe(304);
  });

  it('other keys are 503 redis-unavailable at once, with the time after which to ask again; never 404', async () => {
    const start = performance.now();
    const answers = [...(await crowd(proxy, 'cold', 20)), ...(await crowd(proxy, 'nobody', 20))];
    expect(performance.now() - start).toBeLessThan(1000);
    for (const answer of answers) {
      expectProblem(answer, 503, 'redis-unavailable');
      expect(answer.headers['retry-after']).toBe('1');
    }
  });

  it('the proxy is live, and not ready', async () => {
    expect((await proxy.get('/health/live')).status).toBe(200);
    const ready = await proxy.get('/health/ready');
    expect(ready.status).toBe(503);
    expect(ready.json).toMatchObject({ status: 'unavailable', redis: 'unavailable' });
  });

  it('an entry that expires is not replaced by a failure: it is 503 until Redis is back', async () => {
    await proxy.advance(60_000);
    expectProblem(await proxy.key('held'), 503, 'redis-unavailable');
  });

  it('the log tells it once', () => {
    expect(proxy.log().filter(({ message }) => String(message).startsWith('Redis is not reachable'))).toHaveLength(1);
  });

  it('and when it is back the proxy is, by itself, within a second or so, and no failure was remembered', async () => {
    redis = await redis.restart();
    await redis.client.mset('held', 'new value of held', 'cold', 'value of cold', 'nobody', 'somebody');
    await expectBackSoon(proxy);
    const answers = await Promise.all(['held', 'cold', 'nobody'].map((key) => proxy.key(key)));
    expect(answers.map(({ status, text }) => `${status} ${text}`)).toEqual([
      '200 new value of held',
      '200 value of cold',
      '200 somebody',
    ]);
    await until('the log tells it', () =>
      proxy.log().some(({ message }) => message === 'Redis is reachable') ? true : undefined,
    );
  });
});

describeOwn('a proxy whose Redis is not there when it starts', () => {
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

  it('starts, is live and not ready, and serves as soon as Redis is there', async () => {
    const url = await until('the proxy listens', () => /listening on (http:[^"]+)/.exec(proxy.output)?.[1]);
    expect((await ask(url, '/health/live')).status).toBe(200);
    expect((await ask(url, '/health/ready')).status).toBe(503);
    expectProblem(await ask(url, '/v1/keys/greeting'), 503, 'redis-unavailable');

    redis = await redis.restart();
    await redis.client.set('greeting', 'hello');
    const found = async () => {
      const { status, text } = await ask(url, '/v1/keys/greeting');
      return status === 200 ? text : undefined;
    };
    expect(await until('the proxy serves', found, BACK_MS)).toBe('hello');
  });
});

describeOwn('while Redis does not answer', () => {
  let redis: TestRedis;
  let proxy: TestProxy;

  beforeAll(async () => {
    redis = await TestRedis.start();
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      PROXY_THREADS: 2,
      REDIS_COMMAND_TIMEOUT_MS: COMMAND_TIMEOUT_MS,
    });
    await redis.client.mset('held', 'value of held', 'cold', 'value of cold');
    await proxy.key('held');
    redis.server?.signal('SIGSTOP');
  });
  afterAll(async () => {
    await proxy?.stop();
    await redis?.stop();
  });

  it('all who ask for one key that is not held get 504 redis-timeout, within the time a command may take', async () => {
    const start = performance.now();
    const answers = await crowd(proxy, 'cold', 50);
    const took = performance.now() - start;
    for (const answer of answers) expectProblem(answer, 504, 'redis-timeout');
    expect(took).toBeGreaterThan(COMMAND_TIMEOUT_MS - 50);
    expect(took).toBeLessThan(IN_TIME_MS);
  });

  it('keys in the cache are served without waiting, in the midst of requests that wait', async () => {
    let waiting = true;
    const slow = proxy.key('cold').finally(() => (waiting = false));
    const answers = await crowd(proxy, 'held', 20);
    expect(waiting).toBe(true);
    expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(['value of held']));
    expectProblem(await slow, 504, 'redis-timeout');
  });

  it('requests for many keys do not wait for one another', async () => {
    const start = performance.now();
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => proxy.key(`cold${i}`)));
    expect(performance.now() - start).toBeLessThan(IN_TIME_MS);
    for (const answer of answers) expect(answer.json.code).toMatch(/^redis-(?:timeout|unavailable)$/);
  });

  it('after a few that waited in vain most are 503 redis-unavailable at once, as Redis is spared', async () => {
    const answers = [];
    const start = performance.now();
    for (let i = 0; i < 200; i++) answers.push(await proxy.key(`cold${i}`));
    const waited = answers.filter(({ status }) => status === 504);
    expect(waited.length).toBeLessThan(20);
    expect(performance.now() - start).toBeLessThan((waited.length + 5) * IN_TIME_MS);
    for (const answer of answers) {
      if (answer.status === 504) continue;
      expectProblem(answer, 503, 'redis-unavailable');
      expect(answer.headers['retry-after']).toBe('1');
    }
    // It is closed for a moment when the silent connection is given up for a new one.
    const told = proxy
      .log()
      .flatMap(({ message }) => /^the circuit to Redis is (\w+)/.exec(String(message))?.[1] ?? []);
    expect(told).toEqual(told.map((_, i) => (i % 2 === 0 ? 'open' : 'closed')));
    expect(told).toContain('open');
  });

  it('the proxy is live, and not ready', async () => {
    expect((await proxy.get('/health/live')).status).toBe(200);
    const ready = await proxy.get('/health/ready');
    expect(ready.status).toBe(503);
    expect(ready.json).toMatchObject({ status: 'unavailable', redis: expect.stringMatching('timeout|unavailable') });
  });

  it('and when it answers again the proxy does too, each key with its own value', async () => {
    redis.server?.signal('SIGCONT');
    await expectBackSoon(proxy);
    const pairs = Array.from({ length: 50 }, (_, i) => [`late${i}`, `value of late${i}`]);
    await redis.client.mset(pairs.flat());
    const answers = await Promise.all(pairs.map(([key]) => proxy.key(key)));
    expect(answers.map(({ text }) => text)).toEqual(pairs.map(([, value]) => value));
    expect((await proxy.key('cold')).text).toBe('value of cold');
    await until('the log tells it', () =>
      proxy.log().some(({ message }) => message === 'the circuit to Redis is closed') ? true : undefined,
    );
  });
});
