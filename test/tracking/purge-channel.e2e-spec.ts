import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import calculateSlot from 'cluster-key-slot';
import { TestCluster } from '../support/cluster.ts';
import { metric, untilMetric } from '../support/coherence.ts';
import { eventually } from '../support/eventually.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { type Settings, TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { TestSentinels } from '../support/sentinels.ts';

const CHANNEL = 'cache purges';
const SETTINGS: Settings = { PROXY_THREADS: 2, CACHE_TTL_MS: 3_600_000, CACHE_PURGE_CHANNEL: CHANNEL };
/** Metric of the messages that were applied. */
const APPLIED = 'purge_messages_total{result="applied"}';
const MAX_TEST_MS = 180_000;

let proxies: TestProxy[] = [];
let stop: (() => Promise<void>) | undefined;

async function stopAll(): Promise<void> {
  await Promise.all(proxies.map((proxy) => proxy.stop()));
  await stop?.();
}

async function startProxies(...settings: Settings[]): Promise<void> {
  proxies = [];
  for (const own of settings) proxies.push(await TestProxy.start({ ...SETTINGS, ...own }, '/', true));
  for (const proxy of proxies) await untilSubscribed(proxy);
}

async function untilSubscribed(proxy: TestProxy): Promise<void> {
  await until('it is subscribed', async () => (await metric(proxy, 'purge_channel_subscribed')) === 1 || undefined);
}

/** Caches keys in a proxy. A load that began before the subscription is not stored. */
async function cache(proxy: TestProxy, ...keys: string[]): Promise<void> {
  for (const key of keys) await until(`${key} is cached`, async () => (await isCached(proxy, key)) || undefined);
}

/** Whether a key was cached; it is afterwards. */
async function isCached(proxy: TestProxy, key: string): Promise<boolean> {
  return String((await proxy.key(key)).headers['cache-status']).includes('; hit;');
}

const valuesOf = (keys: readonly string[]): Promise<string[][]> =>
  Promise.all(proxies.map((proxy) => Promise.all(keys.map(async (key) => (await proxy.key(key)).text))));

/** Waits until all proxies return these values. */
async function untilValues(expected: Readonly<Record<string, string>>): Promise<void> {
  const all = JSON.stringify(proxies.map(() => Object.values(expected)));
  await until(`the values are ${all}`, async () =>
    JSON.stringify(await valuesOf(Object.keys(expected))) === all ? true : undefined,
  );
}

describeOwn('two proxies with CACHE_PURGE_CHANNEL', () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await TestRedis.start();
    stop = () => redis.stop();
    await startProxies({ REDIS_URL: redis.url }, { REDIS_URL: redis.url });
  });
  afterAll(stopAll);

  /** Has the proxies cache a former value of keys, which no other test reads. */
  async function cacheOld(...keys: string[]): Promise<void> {
    for (const key of keys) await redis.client.set(key, 'old');
    for (const proxy of proxies) await cache(proxy, ...keys);
    for (const key of keys) await redis.client.set(key, 'new');
    expect(await valuesOf(keys)).toEqual(proxies.map(() => keys.map(() => 'old')));
  }

  it('purge the keys, prefixes and patterns that are published, and no others', async () => {
    await cacheOld('user:1', 'user:2', 'session:1', 'session:2', 'prefix:a', 'ab');
    await redis.client.publish(CHANNEL, 'user:1');
    await untilValues({ 'user:1': 'new', 'user:2': 'old', 'session:1': 'old' });
    await redis.client.publish(CHANNEL, 'prefix:session:');
    await untilValues({ 'session:1': 'new', 'session:2': 'new', 'user:2': 'old' });
    await redis.client.publish(CHANNEL, 'key:prefix:a');
    await untilValues({ 'prefix:a': 'new', ab: 'old' });
    await redis.client.publish(CHANNEL, 'pattern:*[b2]');
    await untilValues({ ab: 'new', 'user:2': 'new' });
    for (const proxy of proxies) {
      // A message is counted when its last entry has ended.
      await eventually(() => metric(proxy, APPLIED), 4);
      expect(await metric(proxy, 'purge_messages_total{result="ignored"}')).toBe(0);
    }
  });

  it('have one subscription each, in their main threads', async () => {
    expect(await redis.client.pubsub('NUMSUB', CHANNEL)).toEqual([CHANNEL, 2]);
  });

  it('subscribe again after the subscription was lost, and expire what they may have missed', async () => {
    await cacheOld('a');
    await redis.client.client('KILL', 'TYPE', 'PUBSUB');
    // This one is missed, or arrives afterwards.
    await redis.client.publish(CHANNEL, 'a');
    await untilValues({ a: 'new' });
    for (const proxy of proxies) {
      await untilSubscribed(proxy);
      expect(await metric(proxy, 'purge_channel_losses_total')).toBe(1);
      const logged = () =>
        proxy
          .log()
          .map(({ message }) => String(message))
          .filter((line) => line.includes('CHANNEL'));
      await eventually(logged, [
        'subscribed to CACHE_PURGE_CHANNEL',
        // The connection is reset if Redis had not read the last PING.
        expect.stringMatching(
          /^not subscribed to CACHE_PURGE_CHANNEL \((?:connection|ECONNRESET|EPIPE)\); purges are missed$/,
        ),
        'subscribed to CACHE_PURGE_CHANNEL again; all entries expired',
      ]);
    }
    await redis.client.set('a', 'newer');
    await redis.client.publish(CHANNEL, 'prefix:a');
    await untilValues({ a: 'newer' });
  });

  it('apply a flood of messages, of which the last one takes effect as well', async () => {
    await cacheOld('c');
    const applied = await Promise.all(proxies.map((proxy) => metric(proxy, APPLIED)));
    const pipeline = redis.client.pipeline();
    for (let i = 0; i < 5000; i++) pipeline.publish(CHANNEL, `prefix:none:${i}:`);
    pipeline.publish(CHANNEL, 'prefix:c');
    await pipeline.exec();
    await untilValues({ c: 'new' });
    for (const [i, proxy] of proxies.entries()) {
      await untilMetric(proxy, APPLIED, applied[i] + 5001);
    }
  });
});

describeOwn('CACHE_PURGE_CHANNEL with several nodes', () => {
  afterEach(stopAll);

  it(
    'purges on all proxies, at whichever node of a cluster a message is published',
    async () => {
      const cluster = await TestCluster.start(3, 0);
      stop = () => cluster.stop();
      const owner = cluster.firstMasterOf(calculateSlot('key'));
      await owner.client.set('key', '0');
      const settings = { REDIS_MODE: 'cluster', REDIS_NODES: cluster.addresses } as const;
      await startProxies(settings, settings);
      for (const [i, { client }] of cluster.masters.entries()) {
        await untilValues({ key: String(i) });
        for (const proxy of proxies) await cache(proxy, 'key');
        await owner.client.set('key', String(i + 1));
        await client.publish(CHANNEL, i === 1 ? 'key' : 'prefix:k');
        await untilValues({ key: String(i + 1) });
      }
    },
    MAX_TEST_MS,
  );

  it(
    'follows the sentinels to a new master',
    async () => {
      const redis = await TestSentinels.start();
      stop = () => redis.stop();
      await redis.master.client.set('key', 'old');
      await startProxies({ REDIS_MODE: 'sentinel', REDIS_SENTINEL_NAME: redis.name, REDIS_NODES: redis.addresses });
      const [proxy] = proxies;
      await cache(proxy, 'key');
      await redis.master.client.set('key', 'new');
      await redis.master.client.wait(1, 5000);
      await redis.master.client.publish(CHANNEL, 'key');
      await untilValues({ key: 'new' });
    },
    MAX_TEST_MS,
  );
});
