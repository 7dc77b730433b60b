import { afterEach, it } from '@jest/globals';
import calculateSlot from 'cluster-key-slot';
import { TestCluster, type TestNode } from '../support/cluster.ts';
import { holdTracking, metric, untilCoherence, untilMetric } from '../support/coherence.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { type Settings, TestProxy } from '../support/proxy.ts';
import { TestSentinels } from '../support/sentinels.ts';

const SETTINGS: Settings = { PROXY_THREADS: 2, CACHE_COHERENCE: 'tracking', CACHE_TTL_MS: 3_600_000 };
const MAX_TEST_MS = 180_000;

let proxy: TestProxy;
let stop: () => Promise<void>;

afterEach(async () => {
  await proxy?.stop();
  await stop();
});

/** Waits until the key is cached with this value. */
async function untilCached(key: string, value: string): Promise<void> {
  await until(`${key} is held with ${value}`, async () => {
    const { text, headers } = await proxy.key(key);
    return (text === value && String(headers['cache-status']).includes('; hit;')) || undefined;
  });
}

async function untilValue(key: string, value: string): Promise<void> {
  await until(`${key} is ${value}`, async () => (await proxy.key(key)).text === value || undefined);
}

describeOwn('tracking a cluster', () => {
  /** One key per master. */
  const KEYS = [0, 1, 2].map((third) => {
    for (let i = 0; ; i++) if (Math.floor((calculateSlot(`key ${i}`) * 3) / 16_384) === third) return `key ${i}`;
  });
  let cluster: TestCluster;
  const ownerOf = (key: string): TestNode => cluster.firstMasterOf(calculateSlot(key));

  async function start(replicas: number): Promise<void> {
    cluster = await TestCluster.start(3, replicas, ['--cluster-require-full-coverage', 'no']);
    stop = () => cluster.stop();
    for (const key of KEYS) await ownerOf(key).client.set(key, 'old');
    proxy = await TestProxy.start({ ...SETTINGS, REDIS_MODE: 'cluster', REDIS_NODES: cluster.addresses }, '/', true);
    await untilCoherence(proxy, 'tracking');
    for (const key of KEYS) await untilCached(key, 'old');
  }

  it(
    'covers each master, and one that a slot has moved to',
    async () => {
      await start(0);
      // Otherwise a heartbeat that is late makes the new values visible.
      await holdTracking(proxy, KEYS[0]);
      for (const key of KEYS) await untilCached(key, 'old');
      for (const key of KEYS) {
        await ownerOf(key).client.set(key, 'new');
        await untilValue(key, 'new');
        await untilCached(key, 'new');
      }
      await untilMetric(proxy, 'coherence_invalidations_total', KEYS.length);
      const [key] = KEYS;
      const [from, to] = [ownerOf(key), cluster.masters[2]];
      const slot = calculateSlot(key);
      await to.client.cluster('SETSLOT', slot, 'IMPORTING', from.id);
      await from.client.cluster('SETSLOT', slot, 'MIGRATING', to.id);
      await from.client.migrate('127.0.0.1', to.port, key, 0, 5000);
      for (const { client } of [to, ...cluster.masters]) await client.cluster('SETSLOT', slot, 'NODE', to.id);
      await untilCached(key, 'new');
      await to.client.set(key, 'newer');
      await untilValue(key, 'newer');
      await untilMetric(proxy, 'coherence_invalidations_total', KEYS.length + 1);
    },
    MAX_TEST_MS,
  );

  it(
    'covers the replica that takes over',
    async () => {
      await start(3);
      const [key] = KEYS;
      const replica = cluster.replicas[cluster.masters.indexOf(ownerOf(key))];
      await until('the replica has it', async () => (await replica.client.dbsize()) > 0 || undefined);
      await cluster.detectFailures();
      const losses = await metric(proxy, 'coherence_losses_total');
      ownerOf(key).server.signal('SIGKILL');
      await untilMetric(proxy, 'coherence_losses_total', losses + 1);
      await until('the replica takes over', () => replica.client.set(key, 'new').catch(() => undefined));
      await untilCoherence(proxy, 'tracking');
      await untilValue(key, 'new');
      await untilCached(key, 'new');
      await replica.client.set(key, 'newer');
      await untilValue(key, 'newer');
      await untilValue(KEYS[1], 'old');
    },
    MAX_TEST_MS,
  );
});

describeOwn('tracking a master of sentinels', () => {
  it(
    'covers the master and its successor',
    async () => {
      const redis = await TestSentinels.start();
      stop = () => redis.stop();
      await redis.master.client.set('key', 'old');
      await redis.master.client.wait(1, 5000);
      const sentinel = { REDIS_MODE: 'sentinel', REDIS_SENTINEL_NAME: redis.name, REDIS_NODES: redis.addresses };
      proxy = await TestProxy.start({ ...SETTINGS, ...sentinel }, '/', true);
      await untilCoherence(proxy, 'tracking');
      await untilCached('key', 'old');
      await redis.master.client.set('key', 'new');
      await redis.master.client.wait(1, 5000);
      await untilValue('key', 'new');
      await untilCached('key', 'new');
      const losses = await metric(proxy, 'coherence_losses_total');
      await redis.failOver();
      await redis.switched();
      await untilMetric(proxy, 'coherence_losses_total', losses + 1);
      await until('the new master takes writes', () => redis.replica.client.set('key', 'newer').catch(() => undefined));
      await untilValue('key', 'newer');
      await untilCoherence(proxy, 'tracking');
      await untilCached('key', 'newer');
      await redis.replica.client.set('key', 'newest');
      await untilValue('key', 'newest');
    },
    MAX_TEST_MS,
  );
});
