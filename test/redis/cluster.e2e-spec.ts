import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import calculateSlot from 'cluster-key-slot';
import { TestCluster, type TestNode } from '../support/cluster.ts';
import type { TestResponse } from '../support/http-client.ts';
import { SteadyLoad } from '../support/load.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { type Settings, TestProxy } from '../support/proxy.ts';
import { BUSY_MS, Stopwatch } from '../support/stopwatch.ts';

const SETTINGS: Settings = { REDIS_MODE: 'cluster', PROXY_THREADS: 2, ADMIN_TOKEN: 'admin' };

const key = (slot: number, name = 'key'): string => `{${tagOf(slot)}}:${name}`;
const tags = new Map<number, string>();
let numbersTried = 0;
/** A key of the slot. */
function tagOf(slot: number): string {
  for (; ; numbersTried++) {
    const tag = tags.get(slot);
    if (tag !== undefined) return tag;
    const tried = calculateSlot(String(numbersTried));
    if (!tags.has(tried)) tags.set(tried, String(numbersTried));
  }
}

const startProxy = (cluster: TestCluster, settings: Settings = {}): Promise<TestProxy> =>
  TestProxy.start({ ...SETTINGS, REDIS_NODES: cluster.addresses, ...settings }, '/', true);

async function mget(proxy: TestProxy, keys: readonly string[]): Promise<readonly Record<string, unknown>[]> {
  const headers = { 'content-type': 'application/json' };
  const response = await proxy.request('/v1/mget', { method: 'POST', headers, body: JSON.stringify({ keys }) });
  return response.json.results as Record<string, unknown>[];
}

let proxy: TestProxy | undefined;
const read = (keys: readonly string[]): Promise<TestResponse>[] => keys.map((name) => (proxy as TestProxy).key(name));
afterEach(async () => {
  await proxy?.stop();
  proxy = undefined;
});

describeOwn('a cluster', () => {
  let cluster: TestCluster;
  const SLOTS_ALL_OVER = Array.from({ length: 64 }, (_, i) => i * 256 + 17);

  beforeAll(async () => {
    cluster = await TestCluster.start();
    for (const slot of SLOTS_ALL_OVER) await cluster.firstMasterOf(slot).client.set(key(slot), `in ${slot}`);
  });
  afterAll(() => cluster.stop());

  const callsOf = async (command: string): Promise<number[]> => {
    const infos = await Promise.all(cluster.nodes.map(({ client }) => client.info('commandstats')));
    return infos.map((info) => Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(info)?.[1] ?? 0));
  };

  it('is read with only some nodes configured, each key from the master of its slot, never from a replica', async () => {
    await Promise.all(cluster.nodes.map(({ client }) => client.config('RESETSTAT')));
    const unreachableSeed = { REDIS_NODES: `127.0.0.1:1,${cluster.replicas[1].address}` };
    proxy = await startProxy(cluster, unreachableSeed);
    for (const slot of SLOTS_ALL_OVER) expect((await proxy.key(key(slot))).text).toBe(`in ${slot}`);
    const [missing, expiring] = [key(1, 'nobody'), key(9000, 'expiring')];
    await cluster.firstMasterOf(9000).client.set(expiring, 'soon', 'PX', 20_000);
    expect((await proxy.key(missing)).status).toBe(404);
    expect(
      Number(/max-age=(\d+)/.exec(String((await proxy.key(expiring)).headers['cache-control']))?.[1]),
    ).toBeLessThan(20);
    expect((await proxy.get('/health/ready')).status).toBe(200);
    const masters = [...SLOTS_ALL_OVER, 1, 9000].map((slot) => cluster.firstMasterOf(slot));
    const reads = cluster.nodes.map((node) => masters.filter((master) => master === node).length);
    // Each thread reads the probe key when it connects, and readiness once more.
    const isProbed = cluster.nodes.map(
      (node) => node === cluster.firstMasterOf(calculateSlot('redis-http-cache-proxy:probe')),
    );
    for (const command of ['get', 'pttl']) {
      const calls = await callsOf(command);
      expect(calls.filter((_, node) => !isProbed[node])).toEqual(reads.filter((_, node) => !isProbed[node]));
      const probes = calls[isProbed.indexOf(true)] - reads[isProbed.indexOf(true)];
      expect(probes).toBeGreaterThan(0);
      expect(probes).toBeLessThanOrEqual(4);
    }
  });

  it('is read with one write per node for a multi-key read across slots', async () => {
    const keys = SLOTS_ALL_OVER.map((slot) => key(slot));
    proxy = await startProxy(cluster);
    const before = await Promise.all(cluster.masters.map(({ client }) => client.info('stats')));
    const startedAt = performance.now();
    const results = await mget(proxy, [...keys, key(5, 'nobody')]);
    expect(results.map(({ value }) => value)).toEqual([...SLOTS_ALL_OVER.map((slot) => `in ${slot}`), undefined]);
    expect(results.at(-1)).toMatchObject({ status: 404, code: 'key-not-found' });
    const after = await Promise.all(cluster.masters.map(({ client }) => client.info('stats')));
    const reads = (info: string): number => Number(/total_reads_processed:(\d+)/.exec(info)?.[1]);
    const seconds = (performance.now() - startedAt) / 1000;
    // Redis has read from its clients: the one write, this command, and commands of other connections of the test; once a second
    // also from its replica.
    for (const [i, info] of after.entries()) expect(reads(info) - reads(before[i])).toBeLessThan(10 + 2 * seconds);
  });

  it('is read from the new node after MOVED, and from then on', async () => {
    const slot = 100;
    const [from, to] = cluster.masters;
    await from.client.set(key(slot, 'moved'), 'before');
    proxy = await startProxy(cluster);
    expect((await proxy.key(key(slot, 'moved'))).text).toBe('before');
    await migrate(slot, from, to, [key(slot, 'moved')]);
    await settle(cluster, slot, to);
    await to.client.set(key(slot, 'moved'), 'after');
    await proxy.admin('DELETE', '/v1/cache');
    expect((await proxy.key(key(slot, 'moved'))).text).toBe('after');
    await proxy.admin('DELETE', '/v1/cache');
    expect(await mget(proxy, [key(slot, 'moved'), key(slot, 'nobody')])).toMatchObject([
      { value: 'after', cacheStatus: 'stored' },
      { status: 404 },
    ]);
  });

  it('is read from both nodes of a migrating slot; keys that have been migrated are not cached', async () => {
    const slot = 200;
    const [from, to] = cluster.masters;
    const [moved, long, staying, absent] = ['moved', 'long', 'staying', 'nobody'].map((name) => key(slot, name));
    await from.client.mset(moved, 'has moved', long, 'x'.repeat(1001), staying, 'stays');
    proxy = await startProxy(cluster, { REDIS_MAX_VALUE_BYTES: 1000 });
    await migrate(slot, from, to, [moved, long]);
    for (let i = 0; i < 2; i++) {
      const [one, other, none] = await Promise.all(read([moved, staying, absent]));
      expect([one.text, other.text, none.status]).toEqual(['has moved', 'stays', 404]);
      expect(one.headers['cache-status']).toBe('redis-http-cache-proxy; fwd=uri-miss');
    }
    expect((await proxy.key(long)).json.code).toBe('value-too-large');
    expect(await mget(proxy, [moved, staying, absent])).toMatchObject([
      { value: 'has moved' },
      { value: 'stays', cacheStatus: 'hit' },
      { status: 404 },
    ]);
    await settle(cluster, slot, to, [staying], from);
    await proxy.admin('DELETE', '/v1/cache');
    expect(await mget(proxy, [moved, staying])).toMatchObject([{ value: 'has moved' }, { value: 'stays' }]);
  });

  it('may grow by a node that is not configured', async () => {
    const slot = 16_000;
    const [, , from] = cluster.masters;
    await from.client.set(key(slot), 'somewhere');
    proxy = await startProxy(cluster);
    const added = await cluster.add();
    try {
      await migrate(slot, from, added, [key(slot)]);
      expect((await proxy.key(key(slot))).text).toBe('somewhere');
      await settle(cluster, slot, added);
      expect((await proxy.key(key(slot))).text).toBe('somewhere');
      await migrate(slot, added, from, [key(slot)]);
      await settle(cluster, slot, from);
    } finally {
      added.client.disconnect();
      await added.server.stop('SIGKILL');
    }
  });
});

describeOwn('a cluster that loses a master', () => {
  it('serves the other slots, and all slots once the replica has taken over', async () => {
    const cluster = await TestCluster.start(3, 3, ['--cluster-require-full-coverage', 'no']);
    let load: SteadyLoad | undefined;
    try {
      const slots = Array.from({ length: 30 }, (_, i) => i * 546 + 3);
      for (const slot of slots) await cluster.firstMasterOf(slot).client.set(key(slot), key(slot));
      await until('the replicas have all', async () => {
        const counts = await Promise.all(cluster.replicas.map(({ client }) => client.dbsize()));
        return counts.reduce((sum, count) => sum + count) === slots.length || undefined;
      });
      // The other masters reply all the time, however slow this machine is.
      proxy = await startProxy(cluster, { CACHE_TTL_MS: 1, CACHE_CAPACITY: 1, REDIS_COMMAND_TIMEOUT_MS: 10_000 });
      const [lost, ...others] = cluster.masters;
      const ofLost = slots.filter((slot) => cluster.firstMasterOf(slot) === lost);
      const classify = ({ status, text }: TestResponse, requestedKey: string): string =>
        `${ofLost.some((slot) => key(slot) === requestedKey) ? 'lost' : 'other'} ${status === 200 && text !== requestedKey ? 'false' : status}`;
      load = new SteadyLoad(proxy, slots.map((slot) => key(slot)), 8, classify, 10); // prettier-ignore
      await until('there is load', () => (load as SteadyLoad).total > 100 || undefined);
      await cluster.detectFailures();
      lost.server.signal('SIGKILL');
      await until('it is missed', () => load?.outcomes.get('lost 503'));
      expect((await proxy.get('/health/ready')).status).toBe(200);
      await until('the replica takes over', () => hasTakenOver(others[0], cluster.replicas[0]));
      const watch = new Stopwatch();
      await until('its slots are back', async () => {
        const outcomes = await Promise.all(read(ofLost.map((slot) => key(slot))));
        return outcomes.every(({ status }) => status === 200) || undefined;
      });
      expect(watch.stop()).toBeLessThan(1000 + BUSY_MS);
      await load.stop();
      const outcomes = [...load.outcomes.keys()].filter((name) => !/^(lost|other) 200$/.test(name));
      expect(outcomes.every((name) => /^lost 50[34]$/.test(name))).toBe(true);
      expect(load.failures.size).toBe(0);
      await proxy.ready();
    } finally {
      await load?.stop();
      await cluster.stop();
    }
  });

  it('with cluster-require-full-coverage results in 503 (CLUSTERDOWN), never 404', async () => {
    const cluster = await TestCluster.start(3, 0);
    try {
      proxy = await startProxy(cluster);
      await cluster.detectFailures();
      cluster.masters[2].server.signal('SIGKILL');
      await until('the cluster is down', async () => {
        const info = await cluster.masters[0].client.cluster('INFO');
        return info.includes('cluster_state:fail') || undefined;
      });
      const outcomes = await Promise.all(read([1, 16_000].map((slot) => key(slot, 'nobody'))));
      expect(outcomes.map(({ status, json }) => [status, json.code])).toEqual([
        [503, 'redis-unavailable'],
        [503, 'redis-unavailable'],
      ]);
    } finally {
      await cluster.stop();
    }
  });
});

/** Starts to migrate a slot and migrates some of its keys. */
async function migrate(slot: number, from: TestNode, to: TestNode, keys: readonly string[]) {
  await to.client.cluster('SETSLOT', slot, 'IMPORTING', from.id);
  await from.client.cluster('SETSLOT', slot, 'MIGRATING', to.id);
  for (const name of keys) await from.client.migrate('127.0.0.1', to.port, name, 0, 5000);
}

/** Migrates the other keys and assigns the slot. */
async function settle(cluster: TestCluster, slot: number, to: TestNode, keys: readonly string[] = [], from = to) {
  for (const name of keys) await from.client.migrate('127.0.0.1', to.port, name, 0, 5000);
  for (const { client } of [to, ...cluster.masters]) await client.cluster('SETSLOT', slot, 'NODE', to.id);
}

/** Whether `witness` knows that a replica is the master. */
async function hasTakenOver(witness: TestNode, replica: TestNode): Promise<true | undefined> {
  const nodes = (await witness.client.cluster('NODES')) as string;
  return nodes.split('\n').some((line) => line.startsWith(replica.id) && /\bmaster\b/.test(line)) || undefined;
}
