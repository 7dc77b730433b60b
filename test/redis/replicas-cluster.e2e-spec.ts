import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import calculateSlot from 'cluster-key-slot';
import { TestCluster, type TestNode } from '../support/cluster.ts';
import { untilCoherence } from '../support/coherence.ts';
import { eventually } from '../support/eventually.ts';
import { SteadyLoad } from '../support/load.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { type Settings, TestProxy } from '../support/proxy.ts';

const SETTINGS: Settings = {
  REDIS_MODE: 'cluster',
  PROXY_THREADS: 2,
  // However slow this machine is.
  REDIS_COMMAND_TIMEOUT_MS: 10_000,
};
const TRACKING: Settings = { CACHE_COHERENCE: 'tracking', CACHE_TTL_MS: 3_600_000 };
const MAX_TEST_MS = 180_000;
const MASTERS = 3;

/** One key per master. */
const KEYS = Array.from({ length: MASTERS }, (_, master) => {
  for (let i = 0; ; i++) if (Math.floor((calculateSlot(`key ${i}`) * MASTERS) / 16_384) === master) return `key ${i}`;
});

describeOwn('replicas of a cluster', () => {
  let cluster: TestCluster;
  /** The first master, which has two replicas; the others have one each. */
  let master: TestNode;
  let replicas: readonly TestNode[];
  let proxy: TestProxy;

  beforeAll(async () => {
    cluster = await TestCluster.start(MASTERS, MASTERS + 1, ['--cluster-require-full-coverage', 'no']);
    [master] = cluster.masters;
    replicas = [cluster.replicas[0], cluster.replicas[MASTERS]];
    for (const key of KEYS) await ownerOf(key).client.set(key, 'value');
    await until('all have the keys', async () => {
      const sizes = await Promise.all(cluster.replicas.map(({ client }) => client.dbsize()));
      return sizes.every((size) => size === 1) || undefined;
    });
    // Otherwise a replica that is read may not be listed a moment later, and another one is.
    await cluster.replicasListed();
  }, MAX_TEST_MS);
  afterEach(() => proxy.stop());
  afterAll(() => cluster.stop());

  const ownerOf = (key: string): TestNode => cluster.firstMasterOf(calculateSlot(key));
  const start = async (settings: Settings): Promise<void> => {
    proxy = await TestProxy.start({ ...SETTINGS, REDIS_NODES: cluster.addresses, ...settings }, '/', true);
  };
  const messages = (): string[] => proxy.log().map(({ message }) => String(message));

  /** Waits for the next selection for a master after the first `known` ones; returns the replica that is read, if any. */
  async function selected(of: TestNode, known: number): Promise<TestNode | undefined> {
    const lines = await until('a server is selected', () => {
      const lines = messages().filter((message) => message.startsWith(`keys of ${of.address} `));
      // At first a replica may not be in order yet; one that is outdated is left for another.
      const first = lines.findIndex((line) => / from replica \S+$/.test(line));
      return first >= 0 && lines.length > first + known ? lines.slice(first) : undefined;
    });
    const [, address] = /from replica (\S+)/.exec(lines[known]) ?? [];
    return cluster.replicas.find((replica) => replica.address === address);
  }

  async function reads({ client }: TestNode): Promise<number> {
    return Number(/cmdstat_get:calls=(\d+)/.exec(await client.info('commandstats'))?.[1] ?? 0);
  }

  async function untilCached(key: string, value: string): Promise<void> {
    await until(`${key} is cached with ${value}`, async () => {
      const { text, headers } = await proxy.key(key);
      return (text === value && String(headers['cache-status']).includes('; hit')) || undefined;
    });
  }

  /** Connects a replica to its master, or disconnects it until further notice. */
  async function setLink({ client }: TestNode, isUp: boolean): Promise<void> {
    await client.config('SET', 'masterauth', isUp ? '' : 'wrong');
    await client.config('SET', 'masteruser', isUp ? '' : 'nobody');
    if (!isUp) await client.call('CLIENT', 'KILL', 'TYPE', 'master');
  }

  it(
    'with REDIS_READ_FROM=replica: one for each master is read, and no master',
    async () => {
      await start({ REDIS_READ_FROM: 'replica' });
      const read = await Promise.all(cluster.masters.map(async (of) => (await selected(of, 0)) as TestNode));
      expect(replicas).toContain(read[0]);
      expect(read.slice(1)).toEqual(cluster.replicas.slice(1, MASTERS));
      const before = await Promise.all(cluster.nodes.map(reads));
      for (const key of KEYS) expect((await proxy.key(key)).text).toBe('value');
      const missing = await Promise.all(Array.from({ length: 200 }, (_, i) => proxy.key(`nobody ${i}`)));
      expect(new Set(missing.map(({ status }) => status))).toEqual(new Set([404]));
      const after = await Promise.all(cluster.nodes.map(reads));
      for (const [i, node] of cluster.nodes.entries()) {
        // The checks, once a second.
        const made = after[i] - before[i];
        if (read.includes(node)) expect(made).toBeGreaterThan(40);
        else expect(made).toBeLessThan(20);
      }
      const { text } = await proxy.get('/metrics');
      expect(text).toMatch(/redis_read_sources\{role="replica"\} 3\n/);
      expect(text).toMatch(/redis_read_source_loads_total\{role="replica"\} 203\n/);
      expect(text).toMatch(/redis_read_source_loads_total\{role="master"\} 0\n/);
      await eventually(
        async () => (await proxy.get('/health/ready')).json,
        expect.objectContaining({ status: 'ok', redisRole: 'replica' }),
      );
    },
    MAX_TEST_MS,
  );

  it(
    'with REDIS_READ_FROM=prefer-replica: a replica without its master is left, then the next; no read fails, and writes invalidate',
    async () => {
      await start({ REDIS_READ_FROM: 'prefer-replica', ...TRACKING });
      await untilCoherence(proxy, 'tracking');
      const read = (await selected(master, 0)) as TestNode;
      const [other] = replicas.filter((replica) => replica !== read);
      let version = 0;
      const expectInvalidation = async (): Promise<void> => {
        for (const key of KEYS) await untilCached(key, version === 0 ? 'value' : `version ${version}`);
        version++;
        for (const key of KEYS) await ownerOf(key).client.set(key, `version ${version}`);
        for (const key of KEYS) await untilCached(key, `version ${version}`);
      };
      // Misses, since a missing key is not cached.
      const load = new SteadyLoad(proxy, Array.from({ length: 90 }, (_, i) => `nobody ${i}`), 4, undefined, 5); // prettier-ignore
      try {
        await expectInvalidation();
        await setLink(read, false);
        expect(await selected(master, 1)).toBe(other);
        await expectInvalidation();
        await setLink(other, false);
        expect(await selected(master, 2)).toBe(undefined);
        await expectInvalidation();
        await eventually(
          async () => (await proxy.get('/health/ready')).json,
          expect.objectContaining({ status: 'ok', redisRole: 'mixed' }),
        );
        await setLink(read, true);
        expect(await selected(master, 3)).toBe(read);
        await expectInvalidation();
      } finally {
        await load.stop();
      }
      expect([[...load.outcomes.keys()], load.failures.size]).toEqual([['404'], 0]);
      await setLink(other, true);
    },
    MAX_TEST_MS,
  );

  it(
    'with REDIS_READ_FROM=prefer-replica: keys are found while their slot is being moved, of which replicas know nothing',
    async () => {
      const [, source, target] = cluster.masters;
      const [, key] = KEYS;
      const slot = calculateSlot(key);
      const [moved, hash, kept] = ['moved', 'hash', 'kept'].map((name) => `{${key}} ${name}`);
      await source.client.mset(moved, 'value', kept, 'value');
      await source.client.hset(hash, 'field', 'value');
      const [replica] = cluster.replicas.slice(1);
      await until('the replica has them', async () => (await replica.client.dbsize()) === 4 || undefined);
      await start({ REDIS_READ_FROM: 'prefer-replica', CACHE_TTL_MS: 1 });
      await selected(source, 0);
      const expectKeys = async (): Promise<void> => {
        expect((await proxy.key(moved)).text).toBe('value');
        expect((await proxy.get(`/v1/hashes/${encodeURIComponent(hash)}`)).text).toBe('{"field":"value"}');
        expect((await proxy.key(kept)).text).toBe('value');
        expect((await proxy.key(`{${key}} nobody`)).status).toBe(404);
      };
      await expectKeys();
      const before = await reads(replica);
      await target.client.cluster('SETSLOT', slot, 'IMPORTING', source.id);
      await source.client.cluster('SETSLOT', slot, 'MIGRATING', target.id);
      for (const name of [moved, hash]) await source.client.migrate('127.0.0.1', target.port, name, 0, 5000);
      await until('its replica has them no more', async () => (await replica.client.dbsize()) === 2 || undefined);
      await expectKeys();
      expect(await reads(replica)).toBeGreaterThanOrEqual(before + 3);
      for (const name of [kept, key]) await source.client.migrate('127.0.0.1', target.port, name, 0, 5000);
      await target.client.cluster('SETSLOT', slot, 'NODE', target.id);
      await expectKeys();
      await source.client.cluster('SETSLOT', slot, 'NODE', target.id);
      await expectKeys();
    },
    MAX_TEST_MS,
  );

  it(
    'are read while their master is down and after one has taken over, whose writes become visible',
    async () => {
      const [key] = KEYS;
      await start({ REDIS_READ_FROM: 'replica', ...TRACKING });
      await untilCoherence(proxy, 'tracking');
      await until('the key is read', async () => (await proxy.key(key)).status === 200 || undefined);
      await cluster.detectFailures();
      master.server.signal('SIGKILL');
      const successor = await until('a replica takes over', async () => {
        for (const replica of replicas) {
          if ((await replica.client.set(key, 'after').catch(() => undefined)) === 'OK') return replica;
        }
        return undefined;
      });
      const [other] = replicas.filter((replica) => replica !== successor);
      // Before it follows the successor, no replica may be known.
      const line = `keys of ${successor.address} are loaded from replica ${other.address}`;
      await until('the other replica is read', () => messages().includes(line) || undefined);
      await untilCached(key, 'after');
      await successor.client.set(key, 'later');
      await untilCached(key, 'later');
      const [before, otherBefore] = [await reads(successor), await reads(other)];
      const missing = Array.from({ length: 50 }, (_, i) => `{${key}} ${i}`);
      for (const each of missing) expect((await proxy.key(each)).status).toBe(404);
      expect((await reads(successor)) - before).toBeLessThan(25);
      expect((await reads(other)) - otherBefore).toBeGreaterThanOrEqual(50);
    },
    MAX_TEST_MS,
  );
});
