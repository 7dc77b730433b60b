import { afterEach, beforeEach, expect, it } from '@jest/globals';
import type { TestResponse } from '../support/http-client.ts';
import { SteadyLoad } from '../support/load.ts';
import { describeOwn } from '../support/only-own.ts';
import { type Child, until } from '../support/processes.ts';
import { type Settings, TestProxy, launch } from '../support/proxy.ts';
import { TestSentinels } from '../support/sentinels.ts';
import { BUSY_MS, Stopwatch } from '../support/stopwatch.ts';

/** Caching is not tested here. */
const SETTINGS: Settings = { REDIS_MODE: 'sentinel', PROXY_THREADS: 2, CACHE_TTL_MS: 1, REDIS_SENTINEL_NAME: 'main' };
const MAX_TEST_MS = 180_000;

let redis: TestSentinels;
let proxy: TestProxy | undefined;
let child: Child | undefined;

const startProxy = async (settings: Settings = {}): Promise<TestProxy> =>
  (proxy = await TestProxy.start({ ...SETTINGS, REDIS_NODES: redis.addresses, ...settings }, '/', true));

async function untilResponse(path: string, status: number, text: string): Promise<void> {
  await until(`${status} ${text}`, async () => {
    const response = await proxy?.get(path);
    return (response?.status === status && response.text === text) || undefined;
  });
}

afterEach(async () => {
  await proxy?.stop();
  await child?.stop();
  await redis.stop();
  proxy = child = undefined;
});

describeOwn('the master of sentinels', () => {
  beforeEach(async () => {
    redis = await TestSentinels.start();
    await redis.master.client.set('key', 'value');
    await redis.master.client.hset('hash', 'field', 'value');
    await redis.master.client.wait(1, 5000);
  }, MAX_TEST_MS);

  it(
    'is read, and after its crash the new one; pending reads fail, and the former master is not read again',
    async () => {
      const { master, replica } = redis;
      await startProxy({ REDIS_NODES: `127.0.0.1:1,${redis.addresses}` });
      const classify = ({ status, text }: TestResponse): string => (status === 200 ? text : String(status));
      const load = new SteadyLoad(proxy as TestProxy, ['key', 'key', 'key'], 8, classify, 10);
      try {
        await until('there is load', () => load.total > 100 || undefined);
        await redis.detectFailures();
        master.server.signal('SIGKILL');
        await redis.switched();
        const watch = new Stopwatch();
        const before = load.outcomes.get('value') ?? 0;
        await until('it is read again', () => (load.outcomes.get('value') ?? 0) > before + 10 || undefined);
        expect(watch.stop()).toBeLessThan(1000 + BUSY_MS);
        await replica.client.set('key', 'new');
        await proxy?.recovered();
        await untilResponse('/v1/keys/key', 200, 'new');
        await replica.client.hset('hash', 'field', 'new');
        await untilResponse('/v1/hashes/hash', 200, '{"field":"new"}');
        load.outcomes.clear();
        const restarted = await redis.restart(master);
        await until('the former master is a replica', async () => {
          const info = await restarted.client.info('replication');
          return /role:slave[^]*master_link_status:up/.test(info) || undefined;
        }); // prettier-ignore
        await restarted.client.config('RESETSTAT');
        const total = load.total;
        await until('there is load', () => load.total > total + 100 || undefined);
        expect(await restarted.client.info('commandstats')).not.toMatch(/cmdstat_get:/);
        expect([...load.outcomes.keys()]).toEqual(['new']);
      } finally {
        await load.stop();
      }
      expect(load.failures.size).toBe(0);
      expect(
        [...load.outcomes.keys()].filter((response) => !['value', 'new', '503', '504'].includes(response)),
      ).toEqual([]);
    },
    MAX_TEST_MS,
  );

  it(
    'is replaced as soon as the sentinels report another one, although it still replies',
    async () => {
      const { master, replica } = redis;
      await startProxy();
      await untilResponse('/v1/keys/key', 200, 'value');
      await redis.failOver();
      await redis.switched();
      const watch = new Stopwatch();
      await until('it is one', async () => /role:master/.test(await replica.client.info('replication')) || undefined);
      await replica.client.set('key', 'new');
      await untilResponse('/v1/keys/key', 200, 'new');
      expect(watch.stop()).toBeLessThan(1000 + BUSY_MS);
      await proxy?.recovered();
      await master.client.config('RESETSTAT');
      for (let i = 0; i < 50; i++) expect((await proxy?.key('key'))?.text).toBe('new');
      expect(await master.client.info('commandstats')).not.toMatch(/cmdstat_get:/);
    },
    MAX_TEST_MS,
  );

  it('is unavailable when no sentinel knows it or is reachable: logged, and 503', async () => {
    const cases = [
      [{ REDIS_SENTINEL_NAME: 'other' }, /not reachable \(no sentinel knows the master\)/],
      [{ REDIS_NODES: '127.0.0.1:1' }, /not reachable \(no sentinel is reachable\)/],
    ] as const;
    for (const [settings, reason] of cases) {
      // The threads wait for the first attempt to connect as long as that.
      const timeout = { REDIS_CONNECT_TIMEOUT_MS: 1000 };
      child = launch({ ...SETTINGS, REDIS_NODES: redis.addresses, ...timeout, ...settings });
      await until('it says why', () => reason.test(child?.output ?? '') || undefined);
      const base = await until('it listens', () => /listening on (http:[^"]+)"/.exec(child?.output ?? '')?.[1]);
      const response = await fetch(`${base}/v1/keys/key`);
      expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([503, 'redis-unavailable']);
      expect(await child.stop()).toBe(0);
    }
  });
});

describeOwn('sentinels with a separate account', () => {
  beforeEach(async () => {
    redis = await TestSentinels.start({ password: 's3cret' });
    await redis.master.client.set('key', 'value');
  }, MAX_TEST_MS);

  it('are queried with it, not with the account of Redis', async () => {
    child = launch({ ...SETTINGS, REDIS_NODES: redis.addresses });
    await until('it says why', () => /not reachable \(sentinels: NOAUTH\)/.test(child?.output ?? '') || undefined);
    await startProxy({ REDIS_SENTINEL_PASSWORD: 's3cret' });
    await untilResponse('/v1/keys/key', 200, 'value');
    expect(`${child.output}${proxy?.child?.output}`).not.toContain('s3cret');
  });
});
