import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import calculateSlot from 'cluster-key-slot';
import { TestCluster, type TestNode } from '../support/cluster.ts';
import { untilCoherence } from '../support/coherence.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { type Settings, TestProxy } from '../support/proxy.ts';
import { Relay } from '../support/relay.ts';
import { BUSY_MS, Stopwatch } from '../support/stopwatch.ts';

const MAX_MS = 180_000;
const SETTINGS: Settings = {
  REDIS_MODE: 'cluster',
  // Each thread has its own connections.
  PROXY_THREADS: 2,
  CACHE_TTL_MS: 3_600_000,
  ADMIN_TOKEN: 'admin',
  // However slow this machine is.
  REDIS_COMMAND_TIMEOUT_MS: 10_000,
};
const TRACKING: Settings = { ...SETTINGS, CACHE_COHERENCE: 'tracking' };

/** A key of each half of the slots. */
const [KEY, OTHER] = [0, 1].map((half) => {
  for (let i = 0; ; i++) if (Math.floor((calculateSlot(`key ${i}`) * 2) / 16_384) === half) return `key ${i}`;
});

describeOwn(
  'a cluster master replaced under its own address, whose former process lives on and redirects there',
  () => {
    /** Relays the address that both announce; connections stay with the process that they were opened to. */
    let relay: Relay;
    let cluster: TestCluster;
    let master: TestNode;
    let successor: TestNode;
    let proxy: TestProxy;

    beforeAll(async () => {
      relay = await Relay.to(0);
      cluster = await TestCluster.start(2, 1, [], undefined, [relay]);
      [master, successor] = [cluster.masters[0], cluster.replicas[0]];
      await cluster.masters[1].client.set(OTHER, 'other');
    }, MAX_MS);

    beforeEach(async () => {
      await master.client.set(KEY, 'before');
      await master.client.wait(1, 10_000);
    }, MAX_MS);

    afterEach(async () => {
      await proxy.stop();
      // The replaced process becomes the next successor.
      await successor.client.config('SET', 'masterauth', '');
      await until('the former process follows', async () => {
        const info = await successor.client.info('replication');
        return info.includes('master_link_status:up') || undefined;
      });
    }, MAX_MS);

    afterAll(async () => {
      await cluster.stop();
      await relay.stop();
    });

    async function start(settings: Settings): Promise<void> {
      proxy = await TestProxy.start({ ...settings, REDIS_NODES: cluster.addresses }, '/', true);
    }

    /** Directs new connections to this node. */
    const relayTo = ({ port }: TestNode): void => void (relay.target = port);

    /** Assigns the slots to the successor on all nodes. The former process keeps running but receives no more writes. */
    async function takeOver(): Promise<void> {
      await master.client.config('SET', 'masterauth', 'which is not it');
      await successor.client.cluster('FAILOVER', 'TAKEOVER');
      [master, successor] = [successor, master];
      await until('all nodes know', async () => {
        const views = await Promise.all(cluster.nodes.map(({ client }) => client.cluster('NODES')));
        const known = new RegExp(`^${master.id} \\S+ (myself,)?master `, 'm');
        return views.every((view) => known.test(String(view))) || undefined;
      });
      await until('it takes writes', () => master.client.set(KEY, 'after').catch(() => undefined));
      expect(await successor.client.get(KEY).catch(String)).toMatch(
        `MOVED ${calculateSlot(KEY)} 127.0.0.1:${relay.port}`,
      );
    }

    const untilValue = (key: string, text: string): Promise<unknown> =>
      until(`${key} is ${text}`, async () => (await proxy.key(key)).text === text || undefined);

    async function untilCached(key: string, text: string): Promise<void> {
      await until(`${key} is cached as ${text}`, async () => {
        const { text: value, headers } = await proxy.key(key);
        return (value === text && String(headers['cache-status']).includes('; hit;')) || undefined;
      });
    }

    const warnings = (): unknown[] => proxy.log().flatMap(({ level, message }) => (level === 'warn' ? [message] : []));

    it(
      'misses of its keys are read from its successor within two seconds, with one log line',
      async () => {
        await start(SETTINGS);
        await untilValue(KEY, 'before');
        await untilValue(OTHER, 'other');
        relayTo(successor);
        await takeOver();
        await proxy.admin('DELETE', '/v1/cache');
        const watch = new Stopwatch();
        await untilValue(KEY, 'after');
        expect(watch.stop()).toBeLessThan(1000 + BUSY_MS);
        const keys = Array.from({ length: 200 }, (_, i) => proxy.key(`{${KEY}} ${i}`));
        expect(new Set((await Promise.all(keys)).map(({ status }) => status))).toEqual(new Set([404]));
        expect((await proxy.key(OTHER)).text).toBe('other');
        const lines = (): unknown[] => warnings().filter((message) => /replaced/.test(String(message)));
        await until('it is logged', () => lines().length > 0 || undefined);
        expect(lines()).toEqual([
          `the Redis node at 127.0.0.1:${relay.port} was replaced by another one at the same address; connecting to that one`,
        ]);
      },
      MAX_MS,
    );

    it(
      'hits of its keys stay within the staleness bound, even without a miss',
      async () => {
        await start(TRACKING);
        await untilCoherence(proxy, 'tracking');
        await untilCached(KEY, 'before');
        relayTo(successor);
        await takeOver();
        await untilValue(KEY, 'after');
        await untilCached(KEY, 'after');
        await master.client.set(KEY, 'later');
        await untilValue(KEY, 'later');
      },
      MAX_MS,
    );

    it(
      'while its address still leads to the former process, connections are not opened in a loop; later both are replaced',
      async () => {
        await takeOver();
        await start(TRACKING);
        const before = relay.accepted;
        const startedAt = performance.now();
        for (let reads = 0; reads < 500; reads++) expect((await proxy.key(KEY)).status).toBe(503);
        // Connections of two threads and the feed, each after 0, 250, 750 ms and so on, and the topology probes: more if the
        // reads take long.
        const seconds = (performance.now() - startedAt) / 1000;
        expect(relay.accepted - before).toBeLessThan(100 + 20 * seconds);
        relayTo(master);
        await untilValue(KEY, 'after');
        await untilCached(KEY, 'after');
        await master.client.set(KEY, 'later');
        await untilValue(KEY, 'later');
      },
      MAX_MS,
    );
  },
);
