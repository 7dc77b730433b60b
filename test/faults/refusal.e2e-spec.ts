import { type AddressInfo } from 'node:net';
import calculateSlot from 'cluster-key-slot';
import { expect, it } from '@jest/globals';
import { TestCluster } from '../support/cluster.ts';
import { type FaultScenario, itRecoversFrom } from '../support/faults.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { startLoadingRedis } from '../support/relay.ts';

const PASSWORD = 'first';

/** Replaces the replies to reads, each of which consists of a GET and a PTTL. */
function replace({ relay }: FaultScenario, reply: string): void {
  relay.tamper = (part, client) => {
    const reads = part.toString('latin1').match(/:-?\d+\r\n/g) ?? [];
    for (let i = 0; i < reads.length; i++) client.write(reply.repeat(2));
  };
}

describeOwn('cached keys are served, and misses get correct responses, while Redis refuses reads because', () => {
  itRecoversFrom('it is out of memory', {
    inject: (scenario) => replace(scenario, "-OOM command not allowed when used memory > 'maxmemory'.\r\n"),
    misses: ['503 redis-unavailable'],
    remove: ({ relay }) => (relay.tamper = undefined),
  });

  itRecoversFrom('it is a replica that has lost its master', {
    redis: ['--replica-serve-stale-data', 'no'],
    inject: async ({ redis }) => {
      // No process listens on the discard port.
      await redis.client.call('REPLICAOF', '127.0.0.1', '9');
    },
    misses: ['503 redis-unavailable'],
    remove: ({ redis }) => redis.client.call('REPLICAOF', 'NO', 'ONE'),
    log: /^Redis circuit breaker opened \(MASTERDOWN\)/,
  });

  itRecoversFrom('a script keeps it busy', {
    redis: ['--busy-reply-threshold', '50'],
    inject: async ({ redis, proxy }) => {
      redis.client.eval('while true do end', 0).catch(() => undefined);
      let requests = 0;
      await until('it is busy', async () => (await proxy.key(`nobody-${++requests}`)).status === 503 || undefined);
    },
    misses: ['503 redis-unavailable', '504 redis-timeout'],
    remove: async ({ redis }) => {
      const client = redis.client.duplicate({ enableReadyCheck: false });
      await client.call('SCRIPT', 'KILL');
      client.disconnect();
      await redis.untilReady();
    },
  });

  itRecoversFrom('the password has changed and the connections were closed', {
    prepare: (redis) => redis.client.config('SET', 'requirepass', PASSWORD),
    settings: { REDIS_PASSWORD: PASSWORD },
    inject: async ({ redis }) => {
      await redis.client.config('SET', 'requirepass', 'second');
      await redis.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    },
    misses: ['503 redis-unavailable'],
    remove: ({ redis }) => redis.client.config('SET', 'requirepass', PASSWORD),
    log: /^Redis is (?:still )?not reachable \(WRONGPASS\)$/,
  });

  itRecoversFrom('the user has lost the permission to read', {
    prepare: (redis) =>
      redis.client.call('ACL', 'SETUSER', 'reader', 'on', `>${PASSWORD}`, '~*', '+get', '+pttl', '+ping'),
    settings: { REDIS_USERNAME: 'reader', REDIS_PASSWORD: PASSWORD },
    inject: ({ redis }) => redis.client.call('ACL', 'SETUSER', 'reader', '-get'),
    misses: ['503 redis-unavailable'],
    remove: ({ redis }) => redis.client.call('ACL', 'SETUSER', 'reader', '+get'),
  });
});

describeOwn('a Redis that rejects writes', () => {
  it('is read like any other, if it is full or a replica', async () => {
    const [master, replica] = await Promise.all([TestRedis.start(), TestRedis.start()]);
    const full = await TestRedis.start('--maxmemory-policy', 'noeviction');
    const proxies = await Promise.all([replica, full].map(({ url }) => TestProxy.start({ REDIS_URL: url })));
    try {
      for (const { client } of [master, full]) await client.set('key', 'value');
      await replica.client.call('REPLICAOF', '127.0.0.1', String(master.port));
      await full.client.config('SET', 'maxmemory', '1');
      await expect(full.client.set('key', 'new')).rejects.toThrow(/^OOM/);
      await until('the replica has the key', async () =>
        (await replica.client.get('key')) === 'value' ? true : undefined,
      );
      await expect(replica.client.set('key', 'new')).rejects.toThrow(/^READONLY/);
      for (const proxy of proxies) expect((await proxy.key('key')).text).toBe('value');
    } finally {
      await Promise.all(proxies.map((proxy) => proxy.stop()));
      await Promise.all([master, replica, full].map((redis) => redis.stop()));
    }
  });
});

describeOwn('a cluster node configured as a standalone Redis', () => {
  it('serves its own keys; other keys get 503, never 404, without affecting them', async () => {
    const cluster = await TestCluster.start(3, 0);
    const [{ port, client }] = cluster.masters;
    const proxy = await TestProxy.start({ REDIS_URL: `redis://127.0.0.1:${port}`, CACHE_CAPACITY: 1 });
    try {
      const keys = Array.from({ length: 60 }, (_, i) => `key-${i}`);
      const own = keys.filter((key) => cluster.firstMasterOf(calculateSlot(key)).port === port);
      expect(own.length).toBeGreaterThan(0);
      expect(own.length).toBeLessThan(keys.length);
      for (const key of own) await client.set(key, key);
      for (const key of keys) {
        const response = await proxy.key(key);
        if (own.includes(key)) expect([response.status, response.text]).toEqual([200, key]);
        else expect([response.status, response.json.code]).toEqual([503, 'redis-unavailable']);
      }
    } finally {
      await proxy.stop();
      await cluster.stop();
    }
  });
});

describeOwn('a Redis that is loading its data', () => {
  it('does not prevent the proxy from starting; reads get 503 until it has loaded', async () => {
    const redis = await startLoadingRedis();
    const { port } = redis.address() as AddressInfo;
    const settings = { REDIS_URL: `redis://127.0.0.1:${port}`, REDIS_CONNECT_TIMEOUT_MS: 200, PROXY_THREADS: 1 };
    const proxy = await TestProxy.start(settings, '/', false);
    try {
      expect((await proxy.get('/health/live')).status).toBe(200);
      expect((await proxy.get('/health/ready')).status).toBe(503);
      expect(await proxy.key('key')).toMatchObject({ status: 503, json: { code: 'redis-unavailable' } });
    } finally {
      await proxy.stop();
      redis.close();
    }
  });
});
