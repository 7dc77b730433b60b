import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { untilCoherence } from '../support/coherence.ts';
import { eventually } from '../support/eventually.ts';
import { SteadyLoad } from '../support/load.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { type Settings, TestProxy } from '../support/proxy.ts';
import { TestSentinels, type TestServer, untilReplicating } from '../support/sentinels.ts';

const SETTINGS: Settings = {
  REDIS_MODE: 'sentinel',
  REDIS_SENTINEL_NAME: 'main',
  PROXY_THREADS: 2,
  // However slow this machine is.
  REDIS_COMMAND_TIMEOUT_MS: 10_000,
};
const MAX_TEST_MS = 180_000;

describeOwn('replicas that sentinels name', () => {
  let redis: TestSentinels;
  /** The master and the replicas, which are the same servers after a failover, in any order. */
  let servers: TestServer[];
  let proxy: TestProxy;

  beforeAll(async () => {
    redis = await TestSentinels.start({ replicas: 2 });
    servers = [redis.master, ...redis.replicas];
    await redis.master.client.mset('key', 'value', 'other', 'value');
    await redis.master.client.wait(2, 10_000);
  }, MAX_TEST_MS);
  afterEach(() => proxy.stop());
  afterAll(() => redis.stop());

  const start = async (settings: Settings): Promise<void> => {
    proxy = await TestProxy.start({ ...SETTINGS, REDIS_NODES: redis.addresses, ...settings }, '/', true);
  };
  const messages = (): string[] => proxy.log().map(({ message }) => String(message));

  /** Waits for the next selection after the first `known` ones; returns the server that is read, if any. */
  async function selected(known: number): Promise<TestServer | undefined> {
    const lines = await until('a server is selected', () => {
      const lines = messages().filter((message) => message.startsWith('keys of main '));
      // At first a replica may not be in order yet.
      const all = lines.slice(lines.findIndex((line) => line.includes('from replica')));
      if (all.length === 0 || !all[0].includes('from replica')) return undefined;
      return all.length > known ? all : undefined;
    });
    const [, port] = /from replica 127\.0\.0\.1:(\d+)/.exec(lines[known]) ?? [];
    return port === undefined ? undefined : serverAt(Number(port));
  }

  const serverAt = (port: number): TestServer => servers.find((server) => server.port === port) as TestServer;
  const others = (read: TestServer | undefined): TestServer[] =>
    servers.filter((server) => server !== read && server !== redis.master);

  /** Number of times that each server has executed GET. */
  const reads = (...of: readonly TestServer[]): Promise<number[]> =>
    Promise.all(
      of.map(async ({ client }) => Number(/cmdstat_get:calls=(\d+)/.exec(await client.info('commandstats'))?.[1] ?? 0)),
    );

  /** Connects a replica to its master, or disconnects it until further notice. */
  async function setLink(replica: TestServer, isUp: boolean): Promise<void> {
    await replica.client.config('SET', 'masterauth', isUp ? '' : 'wrong');
    await replica.client.config('SET', 'masteruser', isUp ? '' : 'nobody');
    if (!isUp) await replica.client.call('CLIENT', 'KILL', 'TYPE', 'master');
  }

  /** Whether the proxy's connection for a purpose leads to a server. */
  async function isConnected(purpose: 'invalidations' | 'purges', { client }: TestServer): Promise<boolean> {
    return String(await client.client('LIST')).includes(`name=redis-http-cache-proxy:${purpose}`);
  }

  /** Waits until that connection leads to a server, and to none of the others. */
  async function untilConnected(
    purpose: 'invalidations' | 'purges',
    to: TestServer,
    ...notTo: readonly TestServer[]
  ): Promise<void> {
    await until(`the connection for ${purpose}`, async () => {
      const others = await Promise.all(notTo.map((server) => isConnected(purpose, server)));
      return ((await isConnected(purpose, to)) && !others.includes(true)) || undefined;
    });
  }

  async function kill(server: TestServer): Promise<void> {
    server.server.signal('SIGKILL');
    await server.server.exit;
  }

  async function restart(server: TestServer): Promise<TestServer> {
    server.client.disconnect();
    const restarted = await redis.restart(server);
    servers[servers.indexOf(server)] = restarted;
    await untilReplicating(restarted);
    // The proxy reads no replica that the sentinels take for down.
    await redis.untilListed(restarted);
    return restarted;
  }

  async function untilCached(key: string, value: string): Promise<void> {
    await until(`${key} is cached with ${value}`, async () => {
      const { text, headers } = await proxy.key(key);
      return (text === value && String(headers['cache-status']).includes('; hit')) || undefined;
    });
  }

  it(
    'with REDIS_READ_FROM=replica: one of them is read, never the master; without one reads fail, and recover',
    async () => {
      await start({ REDIS_READ_FROM: 'replica', CACHE_TTL_MS: 1, CACHE_PURGE_CHANNEL: 'purges' });
      const read = (await selected(0)) as TestServer;
      const [other] = others(read);
      // A message on the channel arrives there after the writes before it.
      await untilConnected('purges', read, redis.master);
      const [before, otherBefore, masterBefore] = await reads(read, other, redis.master);
      for (let i = 0; i < 50; i++) expect((await proxy.key(`nobody ${i}`)).status).toBe(404);
      const [after, otherAfter, masterAfter] = await reads(read, other, redis.master);
      expect(after - before).toBeGreaterThanOrEqual(50);
      // The checks of both, once a second.
      expect(otherAfter - otherBefore + masterAfter - masterBefore).toBeLessThan(50);
      expect((await proxy.get('/metrics')).text).toMatch(/redis_read_sources\{role="replica"\} 1\n/);

      // A replica does not expire keys, but replies as if it did.
      await redis.master.client.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0');
      await redis.master.client.set('expiring', 'soon', 'PX', 1500);
      await redis.master.client.wait(2, 10_000);
      await until('it has expired', async () => (await proxy.key('expiring')).status === 404 || undefined);
      await redis.master.client.call('DEBUG', 'SET-ACTIVE-EXPIRE', '1');

      // A replica without its master is left for another one, and is read while there is no other one, unless it refuses.
      await setLink(read, false);
      expect(await selected(1)).toBe(other);
      await until('the other one is read', async () => (await proxy.key('key')).status === 200 || undefined);
      await untilConnected('purges', other);
      await kill(other);
      expect(await selected(2)).toBe(read);
      await until('it is read again', async () => (await proxy.key('key')).status === 200 || undefined);
      await read.client.config('SET', 'replica-serve-stale-data', 'no');
      expect(await selected(3)).toBe(undefined);
      await until('reads fail', async () => (await proxy.key('key')).status === 503 || undefined);
      // A thread that has not noticed yet reports the reply of the replica.
      await eventually(
        async () => (await proxy.get('/health/ready')).json,
        expect.objectContaining({
          status: 'unavailable',
          redisRole: 'none',
          reasons: ['Redis: no replica can be read'],
        }),
      );
      expect(messages().findLast((message) => message.startsWith('keys of main '))).toMatch(
        /^keys of main cannot be loaded, no server can be read: .*: MASTERDOWN/,
      );
      await setLink(read, true);
      expect(await selected(4)).toBe(read);
      await read.client.config('SET', 'replica-serve-stale-data', 'yes');
      await until('reads succeed', async () => (await proxy.key('key')).status === 200 || undefined);
      await restart(other);
    },
    MAX_TEST_MS,
  );

  it(
    'with REDIS_READ_FROM=prefer-replica: the loss of each costs no read, one is read again once it is back, and all are tracked',
    async () => {
      const settings = { REDIS_READ_FROM: 'prefer-replica', CACHE_COHERENCE: 'tracking', CACHE_TTL_MS: 3_600_000 };
      await start(settings);
      await untilCoherence(proxy, 'tracking');
      const read = (await selected(0)) as TestServer;
      const [other] = others(read);
      const { client } = redis.master;
      let version = 0;
      const expectInvalidation = async (): Promise<void> => {
        await untilCached('key', version === 0 ? 'value' : `version ${version}`);
        await client.set('key', `version ${++version}`);
        await untilCached('key', `version ${version}`);
      };
      // Misses, since a missing key is not cached.
      const load = new SteadyLoad(proxy, ['nobody', 'none'], 8, undefined, 5);
      try {
        await expectInvalidation();
        await untilConnected('invalidations', read, redis.master);
        await kill(read);
        expect(await selected(1)).toBe(other);
        await expectInvalidation();
        await untilConnected('invalidations', other, redis.master);
        await kill(other);
        expect(await selected(2)).toBe(undefined);
        const during = load.total;
        await until('the master is read', () => load.total > during + 100 || undefined);
        // What was cached of the replica has expired, and loads of the master are cached once its messages are received.
        await expectInvalidation();
        await untilConnected('invalidations', redis.master);
        await eventually(
          async () => (await proxy.get('/health/ready')).json,
          expect.objectContaining({ status: 'ok', redisRole: 'master' }),
        );
        const back = await restart(other);
        expect(await selected(3)).toBe(back);
        const [before] = await reads(back);
        await until('it is read', async () => (await reads(back))[0] > before + 100 || undefined);
        await expectInvalidation();
      } finally {
        await load.stop();
      }
      expect([[...load.outcomes.keys()], load.failures.size]).toEqual([['404'], 0]);
      expect(messages()).toContain('tracking active; cached values are at most 750 ms plus replication lag stale');
      await restart(read);
    },
    MAX_TEST_MS,
  );

  it(
    'are left when the sentinels promote one: writes to the new master become visible, and replicas are read',
    async () => {
      const settings = { REDIS_READ_FROM: 'replica', CACHE_COHERENCE: 'tracking', CACHE_TTL_MS: 3_600_000 };
      await start(settings);
      await untilCoherence(proxy, 'tracking');
      await until('the key is read', async () => (await proxy.key('key')).status === 200 || undefined);
      await redis.failOver();
      await redis.switched();
      const master = await until('the new master takes writes', async () => {
        for (const server of others(undefined)) {
          if ((await server.client.set('key', 'after the failover').catch(() => undefined)) === 'OK') return server;
        }
        return undefined;
      });
      await untilCached('key', 'after the failover');
      const [before] = await reads(master);
      await master.client.set('key', 'later');
      await untilCached('key', 'later');
      for (let i = 0; i < 50; i++) expect((await proxy.key(`nobody ${i}`)).status).toBe(404);
      expect((await reads(master))[0] - before).toBeLessThan(50);
    },
    MAX_TEST_MS,
  );
});
