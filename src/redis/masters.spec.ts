import { describe, expect, it } from '@jest/globals';
import { TestCluster, type TestNode } from '../../test/support/cluster.ts';
import { until } from '../../test/support/processes.ts';
import { TestRedis } from '../../test/support/redis.ts';
import { loadSettings } from '../config/load-settings.ts';
import { type ReadServer, Masters } from './masters.ts';

const mastersFor = (environment: Record<string, string>) => new Masters(loadSettings(environment, '/nowhere').redis);

describe('Masters', () => {
  it('reports the single Redis by its address or socket, or the master of the sentinels, immediately', () => {
    const seen: string[] = [];
    const note = (all: readonly ReadServer[]): void => void seen.push(all.map(({ name }) => name).join());
    mastersFor({ REDIS_URL: 'redis://db:7000' }).watch(note);
    mastersFor({ REDIS_URL: 'valkey://[::1]' }).watch(note);
    mastersFor({ REDIS_URL: 'unix:///run/redis.sock' }).watch(note);
    const ofSentinels = mastersFor({ REDIS_MODE: 'sentinel', REDIS_NODES: '127.0.0.1:1', REDIS_SENTINEL_NAME: 'main' });
    ofSentinels.watch(note);
    ofSentinels.close();
    expect(seen).toEqual(['db:7000', '[::1]:6379', '/run/redis.sock', 'main']);
  });

  it('reports the master of the sentinels anew after a failover, to be resolved by the sentinel that knows of it', async () => {
    const sentinel = await TestRedis.start();
    const nodes = `127.0.0.1:1,127.0.0.1:${sentinel.port}`;
    const masters = mastersFor({ REDIS_MODE: 'sentinel', REDIS_NODES: nodes, REDIS_SENTINEL_NAME: 'main' });
    const reported: ReadServer[] = [];
    try {
      masters.watch(([master]) => reported.push(master));
      await until('the failover is reported', async () => {
        // A stand-in for a sentinel, which would send it once.
        await sentinel.client.publish('+switch-master', 'main 10.0.0.1 6379 10.0.0.2 6379');
        return reported.length > 1 || undefined;
      });
      expect(reported.map(({ identity }) => identity).slice(0, 2)).toEqual(['main', 'main 10.0.0.2:6379']);
      const ports = reported.map(({ options }) => options?.sentinels?.map(({ port }) => port));
      expect(ports.slice(0, 2)).toEqual([
        [1, sentinel.port],
        [sentinel.port, 1],
      ]);
    } finally {
      masters.close();
      await sentinel.stop();
    }
  });

  it('reports the masters of a cluster once known, and again when slots move or another node has an address', async () => {
    const cluster = await TestCluster.start(2, 1);
    let masters: Masters | undefined;
    try {
      const [one, other] = cluster.masters;
      const [replica] = cluster.replicas;
      const seen: string[][] = [];
      masters = mastersFor({ REDIS_MODE: 'cluster', REDIS_NODES: `127.0.0.1:1,${one.address}` });
      const reported: string[][] = [];
      masters.watch((all) => {
        seen.push(all.map(({ name }) => name));
        reported.push(all.map(({ identity }) => identity));
      });
      const last = (...nodes: TestNode[]) =>
        until('they are reported', () => {
          const names = seen.at(-1)?.toSorted().join();
          return names === nodes.map(({ address }) => address).toSorted().join() || undefined; // prettier-ignore
        });
      await last(one, other);
      for (const { client } of [other, one]) await client.cluster('SETSLOT', 0, 'NODE', other.id);
      await until('a slot is reported', () => seen.length === 2 || undefined);
      // Otherwise it would claim the slot, and no master would vote for it.
      await until('the replica knows', async () => {
        const view = String(await replica.client.cluster('NODES'));
        return new RegExp(`^${other.id} .* connected 0 `, 'm').test(view) || undefined;
      });
      await replica.client.cluster('FAILOVER');
      await last(replica, other);
      expect(seen).toHaveLength(3);

      // A master that is missing from an incomplete slot map is kept.
      await other.client.config('RESETSTAT');
      for (const { client } of [one, replica]) await client.cluster('FORGET', other.id);
      await until('it is asked itself', async () => {
        const info = await other.client.info('commandstats');
        return info.includes('cmdstat_cluster|slots') || undefined;
      });
      expect(seen.filter((names) => !names.includes(other.address))).toEqual([]);

      const count = seen.length;
      const identities = reported.at(-1) ?? [];
      masters.replace({ address: other.address, id: 'that of one that is known to have gone' });
      expect(seen).toHaveLength(count);
      // The second of two reports is delayed: the first may precede the take-over of the address.
      for (let i = 0; i < 2; i++) masters.replace({ address: other.address, id: other.id });
      expect(reported.at(-1)?.filter((identity) => !identities.includes(identity))).toEqual([
        `${other.address} ${other.id} 1`,
      ]);
      await until(
        'the other report is heeded',
        () => reported.at(-1)?.includes(`${other.address} ${other.id} 2`) || undefined,
      );
    } finally {
      masters?.close();
      await cluster.stop();
    }
  });
});
