import { readFileSync } from 'node:fs';
import { afterEach, expect, it } from '@jest/globals';
import { TestCluster } from '../support/cluster.ts';
import { untilCoherence } from '../support/coherence.ts';
import type { TestResponse } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { type Settings, TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { TestSentinels } from '../support/sentinels.ts';

const page = readFileSync(new URL('../../docs/redis.md', import.meta.url), 'utf8');
/** As documented. */
const basic = /^ACL SETUSER proxy on >… ~\* (.*)$/m.exec(page)?.[1].split(' ') ?? [];
function permissionsFor(what: string): string[] {
  const [, permissions] = new RegExp(`^\\| ${what} \\| \`(.*)\` \\|$`, 'm').exec(page) ?? [];
  return permissions.replaceAll('\\|', '|').split(' ');
}

let proxy: TestProxy | undefined;
let stop: (() => Promise<void>) | undefined;
afterEach(async () => {
  await proxy?.stop();
  await stop?.();
  proxy = stop = undefined;
});

const start = async (settings: Settings): Promise<TestProxy> =>
  (proxy = await TestProxy.start({ PROXY_THREADS: 1, ...settings }, '/', true));

async function startRedis(...permissions: string[]): Promise<TestRedis> {
  const redis = await TestRedis.start();
  stop = () => redis.stop();
  await redis.client.call('ACL', 'SETUSER', 'proxy', 'on', '>secret', '~*', ...permissions);
  return redis;
}

/** Expects that Redis rejected nothing and that the proxy printed only log lines. */
async function expectNoRefusal(redis: Pick<TestRedis, 'client'>): Promise<void> {
  expect(await redis.client.call('ACL', 'LOG')).toEqual([]);
  expect(proxy?.child?.errors).toBe('');
}

describeOwn('an account with the permissions in docs/redis.md', () => {
  it('suffices for a single Redis', async () => {
    const redis = await startRedis(...basic);
    await redis.client.set('key', 'value');
    await start({ REDIS_URL: `redis://proxy:secret@127.0.0.1:${redis.port}`, RESP_PORT: 0 });
    expect((await proxy?.key('key'))?.text).toBe('value');
    expect((await proxy?.get('/health/ready'))?.status).toBe(200);
    await expectNoRefusal(redis);
  });

  it('suffices for another database and for tracking', async () => {
    const redis = await startRedis(...basic, ...permissionsFor('a database other than 0'));
    await redis.client.call('ACL', 'SETUSER', 'proxy', ...permissionsFor('`CACHE_COHERENCE=tracking`'));
    await redis.client.select(5);
    await redis.client.set('key', 'value');
    await start({ REDIS_URL: `redis://proxy:secret@127.0.0.1:${redis.port}/5`, CACHE_COHERENCE: 'tracking' });
    await until('it is tracking', async () => {
      const response = await proxy?.get('/health/ready');
      return response?.json.coherence === 'tracking' || undefined;
    });
    expect((await proxy?.key('key'))?.text).toBe('value');
    await redis.client.set('key', 'new');
    await until('the write is seen', async () => (await proxy?.key('key'))?.text === 'new' || undefined);
    await expectNoRefusal(redis);
  });

  it('suffices for the purge channel, which must be allowed', async () => {
    const redis = await startRedis(...basic, ...permissionsFor('`CACHE_PURGE_CHANNEL=purges`'));
    await redis.client.set('key', 'value');
    await start({ REDIS_URL: `redis://proxy:secret@127.0.0.1:${redis.port}`, CACHE_PURGE_CHANNEL: 'purges' });
    const isSubscribed = async () => (await redis.client.pubsub('NUMSUB', 'purges')).at(-1) === 1 || undefined;
    await until('it is subscribed', isSubscribed);
    await expectNoRefusal(redis);
    // Redis closes the connections of an account that may not use their channel any more.
    await redis.client.call('ACL', 'SETUSER', 'proxy', 'resetchannels');
    const refused = 'not subscribed to CACHE_PURGE_CHANNEL (NOPERM); purges are missed';
    await until('it is refused', () => proxy?.log().some(({ message }) => message === refused) || undefined);
    await redis.client.call('ACL', 'SETUSER', 'proxy', '&purges');
    await until('it is subscribed again', isSubscribed);
  });

  it('suffices for a cluster, also during a migration, for tracking it, and for its replicas', async () => {
    const cluster = await TestCluster.start(2, 2);
    stop = () => cluster.stop();
    const tracking = ['`CACHE_COHERENCE=tracking`', '`CACHE_COHERENCE=tracking` with a cluster'].flatMap(
      permissionsFor,
    );
    const permissions = [...basic, ...permissionsFor('a cluster'), ...tracking];
    for (const { client } of cluster.nodes)
      await client.call('ACL', 'SETUSER', 'proxy', 'on', '>secret', '~*', ...permissions);
    const [from, to] = cluster.masters;
    // Slot 5061.
    await from.client.set('bar', 'value');
    const of = { REDIS_MODE: 'cluster', REDIS_NODES: cluster.addresses, REDIS_URL: 'redis://proxy:secret@any' };
    await untilCoherence(await start({ ...of, CACHE_COHERENCE: 'tracking' }), 'tracking');
    await to.client.cluster('SETSLOT', 5061, 'IMPORTING', from.id);
    await from.client.cluster('SETSLOT', 5061, 'MIGRATING', to.id);
    await from.client.migrate('127.0.0.1', to.port, 'bar', 0, 5000);
    expect((await proxy?.key('bar'))?.text).toBe('value');
    await proxy?.stop();
    const forReplicas = permissionsFor('REDIS_READ_FROM with a cluster');
    for (const { client } of cluster.nodes) await client.call('ACL', 'SETUSER', 'proxy', ...forReplicas);
    await start({ ...of, REDIS_READ_FROM: 'replica' });
    expect((await proxy?.key('foo'))?.status).toBe(404);
    for (const node of cluster.nodes) await expectNoRefusal(node);
  });

  it.each([
    ['sentinels and their master', []],
    ['sentinels, their master and its replicas', ['an account at the sentinels with REDIS_READ_FROM']],
  ])('suffices for %s', async (_, further) => {
    const sentinels = await TestSentinels.start();
    stop = () => sentinels.stop();
    const { master, sentinels: three } = sentinels;
    for (const { client } of [master, sentinels.replica]) {
      await client.call('ACL', 'SETUSER', 'proxy', 'on', '>secret', '~*', ...basic);
    }
    const permissions = ['an account at the sentinels', ...further].flatMap(permissionsFor);
    for (const { client } of three) await client.call('ACL', 'SETUSER', 'proxy', 'on', '>secret', ...permissions);
    await master.client.set('key', 'value');
    await master.client.wait(1, 10_000);
    await start({
      REDIS_READ_FROM: further.length > 0 ? 'replica' : 'master',
      ...{ REDIS_MODE: 'sentinel', REDIS_NODES: sentinels.addresses, REDIS_SENTINEL_NAME: sentinels.name },
      ...{ REDIS_URL: 'redis://proxy:secret@any', REDIS_SENTINEL_USERNAME: 'proxy', REDIS_SENTINEL_PASSWORD: 'secret' },
    });
    expect((await proxy?.key('key'))?.text).toBe('value');
    for (const redis of [master, sentinels.replica, ...three]) await expectNoRefusal(redis);
  });
});

describeOwn('an account without the permission', () => {
  const logged = (text: string) => proxy?.log().filter(({ message }) => String(message).includes(text)).length;
  const readiness = async () => {
    await proxy?.advance(1000);
    const { status, json } = (await proxy?.get('/health/ready')) as TestResponse;
    return [status, json.reasons];
  };

  it.each(['pttl', 'get'])('to %s: readiness names it, and one log line, until it is granted', async (command) => {
    const redis = await startRedis(...basic, `-${command}`);
    await start({ REDIS_URL: `redis://proxy:secret@127.0.0.1:${redis.port}` });
    await until('it is logged', () => logged(`lacks +${command} (NOPERM)`) === 1 || undefined);
    expect(await readiness()).toEqual([503, [`Redis: the account lacks +${command} (NOPERM)`]]);
    expect((await proxy?.key('key'))?.status).toBe(503);
    expect((await proxy?.get('/health/live'))?.status).toBe(200);
    expect(logged('lacks')).toBe(1);
    await redis.client.call('ACL', 'SETUSER', 'proxy', `+${command}`);
    expect(await readiness()).toEqual([200, undefined]);
    expect((await proxy?.key('key'))?.status).toBe(404);
    await until('it is logged', () => logged('has the required permissions') === 1 || undefined);
  });

  it('to read other keys is ready, but not without +pttl', async () => {
    const redis = await startRedis('resetkeys', '~app:*', ...basic);
    await start({ REDIS_URL: `redis://proxy:secret@127.0.0.1:${redis.port}` });
    expect(await readiness()).toEqual([200, undefined]);
    await redis.client.call('ACL', 'SETUSER', 'proxy', '-pttl');
    expect(await readiness()).toEqual([503, ['Redis: the account lacks +pttl (NOPERM)']]);
    await redis.client.call('ACL', 'SETUSER', 'proxy', '+pttl');
    expect(await readiness()).toEqual([200, undefined]);
    await until('it is logged', () => logged('has the required permissions') === 1 || undefined);
  });

  it('to a command other than GET is ready, only reads with it fail, and one log line names it', async () => {
    const redis = await startRedis(...basic, '+hget');
    await redis.client.hset('hash', 'field', 'value');
    await redis.client.set('key', 'value');
    await start({ REDIS_URL: `redis://proxy:secret@127.0.0.1:${redis.port}` });
    for (let i = 0; i < 5; i++) {
      const response = await proxy?.get('/v1/hashes/hash');
      expect([response?.status, response?.json.code]).toEqual([503, 'redis-unavailable']);
      expect((await proxy?.get('/v1/hashes/hash/field'))?.text).toBe('value');
      expect((await proxy?.key('key'))?.text).toBe('value');
    }
    expect(await readiness()).toEqual([200, undefined]);
    await until('it is logged', () => logged('lacks +hgetall (NOPERM): reads that need it fail') === 1 || undefined);
    expect(logged('lacks')).toBe(1);
    await redis.client.call('ACL', 'SETUSER', 'proxy', '+hgetall');
    expect((await proxy?.get('/v1/hashes/hash'))?.json).toEqual({ field: 'value' });
  });

  it('to PTTL is ready with CACHE_RESPECT_KEY_TTL=false', async () => {
    const redis = await startRedis(...basic, '-pttl');
    await redis.client.set('key', 'value');
    await start({ REDIS_URL: `redis://proxy:secret@127.0.0.1:${redis.port}`, CACHE_RESPECT_KEY_TTL: 'false' });
    expect(await readiness()).toEqual([200, undefined]);
    expect((await proxy?.key('key'))?.text).toBe('value');
    expect(logged('lacks')).toBe(0);
  });

  it('to track writes falls back to TTL expiry, and the log names it', async () => {
    const redis = await startRedis(...basic, ...permissionsFor('`CACHE_COHERENCE=tracking`'), '-client|tracking');
    await start({ REDIS_URL: `redis://proxy:secret@127.0.0.1:${redis.port}`, CACHE_COHERENCE: 'tracking' });
    await until('it is logged', () => logged('lacks +client|tracking') === 1 || undefined);
    expect(await readiness()).toEqual([200, undefined]);
  });
});

describeOwn('a key that the account may not read', () => {
  it('is a 503, or with the same patterns in KEY_ALLOWLIST a 403; other keys are not affected', async () => {
    const redis = await startRedis('resetkeys', '~app:*', ...basic);
    await redis.client.mset('app:key', 'value', 'other', 'secret');
    const REDIS_URL = `redis://proxy:secret@127.0.0.1:${redis.port}`;
    await start({ REDIS_URL, CACHE_TTL_MS: 1 });
    for (let i = 0; i < 10; i++) {
      const response = await proxy?.key('other');
      expect([response?.status, response?.json.code]).toEqual([503, 'redis-unavailable']);
    }
    expect((await proxy?.key('app:key'))?.text).toBe('value');
    await proxy?.stop();
    await start({ REDIS_URL, KEY_ALLOWLIST: 'app:*' });
    const responses = await Promise.all(['other', 'app:key'].map((key) => (proxy as TestProxy).key(key)));
    expect(responses.map(({ status }) => status)).toEqual([403, 200]);
  });
});
