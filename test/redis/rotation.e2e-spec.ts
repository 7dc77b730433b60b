import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { TestCluster } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { SteadyLoad } from '../support/load.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { type Settings, TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { Relay } from '../support/relay.ts';
import { RespSocket, request, respPort } from '../support/resp.ts';
import { TestSentinels } from '../support/sentinels.ts';

/** Reads may wait for new credentials as long as Redis may take to reply, which is long on a busy machine. */
const SETTINGS: Settings = { PROXY_THREADS: 2, REDIS_COMMAND_TIMEOUT_MS: 30_000, CACHE_TTL_MS: 1, RESP_PORT: 0 };
const [OLD, NEW, NEWEST] = ['old-password', 'new-password', 'newest-password'];

let directory: string;
let proxy: TestProxy | undefined;
let load: SteadyLoad | undefined;
let stopServers: () => Promise<void>;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'test-rotation-'));
  load = undefined;
});
afterEach(async () => {
  await load?.stop();
  const code = await proxy?.stop();
  await stopServers();
  rmSync(directory, { recursive: true });
  expect(`${proxy?.child?.output}${proxy?.child?.errors}`).not.toMatch(/(?:old|new|newest)-password|wrong-pass/);
  expect(code).toBe(0);
  proxy = undefined;
});

const file = (name = 'password'): string => join(directory, name);

function write(text: string, name = 'password'): void {
  writeFileSync(file(`${name}.new`), text);
  renameSync(file(`${name}.new`), file(name));
}

async function start(settings: Settings, keys = ['key']): Promise<TestProxy> {
  proxy = await TestProxy.start({ ...SETTINGS, ...settings }, '/', true);
  load = new SteadyLoad(proxy, keys, 8, undefined, 5);
  return proxy;
}

const lines = (text: string): number => proxy?.child?.output.split(text).length ?? 1;
const untilLogged = (text: string): Promise<true> => until(text, () => (lines(text) > 1 ? true : undefined));

/** Returns how often a loss was logged as `text` with its reason, except for the reason `timeout`, which a busy machine causes. */
const losses = (text: string): number =>
  proxy?.child?.output.match(new RegExp(`${text} \\((?!timeout\\))`, 'g'))?.length ?? 0;
const STREAM_LOST = 'invalidation stream lost';
const NOT_SUBSCRIBED = 'not subscribed to CACHE_PURGE_CHANNEL';

/**
 * Waits for another line with `text` after the first `known`. There may be more of them: on a busy machine a subscription may be
 * lost because of a late reply to PING.
 */
const untilLoggedAgain = (text: string, known: number): Promise<true> =>
  until(`${text}, again`, () => lines(text) > known || undefined);

/** Waits until so many further requests have had responses. */
async function underLoad(count = 200): Promise<void> {
  const before = load?.total ?? 0;
  await until('there is load', () => ((load?.total ?? 0) > before + count ? true : undefined));
}

/** Expects that no read has failed so far. */
function expectNoFailedRead(): void {
  expect([Object.fromEntries(load?.outcomes ?? []), load?.failures.size]).toEqual([{ 200: expect.any(Number) }, 0]);
}

/** Ends all connections but that of the client, those of the subscribers included. */
async function killConnections(client: Redis): Promise<void> {
  for (const type of ['normal', 'pubsub']) await client.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes');
}

/** Returns the users of the proxy's connections, of each name. */
async function usersOf(client: Redis): Promise<string[]> {
  const list = String(await client.client('LIST')).split('\n');
  return list
    .filter((line) => line.includes('redis-http-cache-proxy'))
    .map((line) => / user=(\S+)/.exec(line)?.[1] ?? '');
}

describeOwn('the credentials of Redis change while the proxy is under load', () => {
  let redis: TestRedis;

  beforeEach(async () => {
    redis = await TestRedis.start();
    stopServers = () => redis.stop();
    await redis.client.set('key', 'value');
    await redis.client.config('SET', 'requirepass', OLD);
    write(OLD);
  });

  const tracked = { CACHE_COHERENCE: 'tracking', CACHE_PURGE_CHANNEL: 'purges' };

  it('first in Redis, which ends all connections: no read fails, and tracking is resumed', async () => {
    await start({ REDIS_URL: redis.url, REDIS_PASSWORD_FILE: file(), ...tracked });
    await untilLogged('tracking active');
    await untilLogged('subscribed to CACHE_PURGE_CHANNEL');
    const socket = await RespSocket.open(respPort(proxy as TestProxy));
    await underLoad();
    for (const password of [NEW, NEWEST]) {
      const known = lines('tracking active');
      const subscribed = lines('subscribed to CACHE_PURGE_CHANNEL again');
      const failures = await loginFailures();
      await redis.client.config('SET', 'requirepass', password);
      await killConnections(redis.client);
      await until('Redis rejects the former password', async () => (await loginFailures()) > failures || undefined);
      // Commands that read no value wait, too.
      socket.send(request('TTL', 'key'), request('TYPE', 'key'), request('STRLEN', 'key'));
      write(password);
      await socket.expect(':-1\r\n+string\r\n:5\r\n');
      await untilLoggedAgain('tracking active', known);
      await untilLoggedAgain('subscribed to CACHE_PURGE_CHANNEL again', subscribed);
      await underLoad();
    }
    socket.socket.destroy();
    expectNoFailedRead();
    expect(lines('REDIS_PASSWORD_FILE reloaded: another password') - 1).toBe(2);
  });

  it('first in the file: connections, also new ones, keep the former password until Redis accepts the new one', async () => {
    const running = await start({ REDIS_URL: redis.url, REDIS_PASSWORD_FILE: file(), ...tracked });
    await untilLogged('tracking active');
    write(NEW);
    await untilLogged('Redis rejects the changed credentials (WRONGPASS); connections keep the previous ones');
    await underLoad();
    const known = lines('tracking active');
    await killConnections(redis.client);
    await untilLoggedAgain('tracking active', known);
    await underLoad();
    await redis.client.config('SET', 'requirepass', NEW);
    await untilLogged('Redis accepts the changed credentials');
    await underLoad();
    expectNoFailedRead();
    // Subscribers are replaced without a loss of the stream, which was lost only with its connection.
    expect(losses(STREAM_LOST)).toBeLessThanOrEqual(1);
    expect((await running.get('/health/ready')).status).toBe(200);
  });

  it('with both users valid for a while: all connections change users, and nothing is lost', async () => {
    const acl = (name: string, ...rules: string[]) =>
      redis.client.call('ACL', 'SETUSER', name, 'reset', 'on', `>${name}-password`, '~*', '&*', '+@all', ...rules);
    await acl('old');
    await acl('new');
    write('old', 'user');
    const files = { REDIS_USERNAME_FILE: file('user'), REDIS_PASSWORD_FILE: file() };
    const running = await start({
      REDIS_URL: redis.url,
      ...files,
      ...tracked,
      CACHE_TTL_MS: 60_000,
      ADMIN_TOKEN: 'admin',
    });
    await untilLogged('tracking active');
    await untilLogged('subscribed to CACHE_PURGE_CHANNEL');
    expect(new Set(await usersOf(redis.client))).toEqual(new Set(['old']));
    write(NEW);
    write('new', 'user');
    await until('all are the new user', async () => {
      const users = await usersOf(redis.client);
      return (users.length === 4 && users.every((user) => user === 'new')) || undefined;
    });
    await redis.client.call('ACL', 'DELUSER', 'old');
    await eventually(async () => (await running.stats()).entries, 1);
    await redis.client.set('key', 'changed');
    await until('the write is seen', async () => (await running.key('key')).text === 'changed' || undefined);
    await until('a purge is applied', async () => {
      await redis.client.publish('purges', 'key');
      const { text } = await running.get('/metrics');
      return /purge_messages_total\{result="applied"\} [1-9]/.test(text) || undefined;
    });
    await underLoad();
    expectNoFailedRead();
    expect([losses(STREAM_LOST), losses(NOT_SUBSCRIBED)]).toEqual([0, 0]);
    expect(lines('REDIS_USERNAME_FILE, REDIS_PASSWORD_FILE reloaded: another user, another password')).toBe(2);
  });

  it('and replies NOAUTH on an authenticated connection: it is authenticated again, and no read fails', async () => {
    const relay = await Relay.to(redis.port);
    try {
      await start({ REDIS_URL: `redis://127.0.0.1:${relay.port}`, REDIS_PASSWORD_FILE: file() });
      await underLoad();
      // Sent on the connections that read keys, RESET ends their sessions; its reply must not reach the proxy.
      relay.inject('*1\r\n$5\r\nRESET\r\n', '+RESET\r\n');
      await until('Redis has replied NOAUTH', async () => (await loginFailures()) > 0 || undefined);
      await underLoad();
      expectNoFailedRead();
    } finally {
      await proxy?.stop();
      await relay.stop();
    }
  });

  it('in a symbolic link to another folder, as in Kubernetes, and in place, after an empty and a partial file', async () => {
    for (const [folder, password] of [
      ['..1', OLD],
      ['..2', NEW],
    ]) {
      mkdirSync(file(folder));
      writeFileSync(join(file(folder), 'redis'), password);
    }
    symlinkSync('..1', file('..data'));
    symlinkSync(join('..data', 'redis'), file('redis'));
    await start({ REDIS_URL: redis.url, REDIS_PASSWORD_FILE: file('redis'), ADMIN_TOKEN: 'admin' });
    await underLoad();
    await redis.client.config('SET', 'requirepass', NEW);
    symlinkSync('..2', file('..data_tmp'));
    renameSync(file('..data_tmp'), file('..data'));
    await untilLogged('Redis accepts the changed credentials');
    for (const text of ['', 'wrong-pass']) {
      writeFileSync(join(file('..2'), 'redis'), text);
      await untilLogged(
        text === '' ? 'REDIS_PASSWORD_FILE: is empty; keeping' : 'Redis rejects the changed credentials',
      );
    }
    // Also a restarted thread uses the former password while Redis rejects that in the file.
    await proxy?.inject(0, 'terminate');
    await until('the thread is restarted', () => /worker \d exited/.test(proxy?.child?.output ?? '') || undefined);
    await proxy?.ready();
    await redis.client.config('SET', 'requirepass', OLD);
    writeFileSync(join(file('..2'), 'redis'), OLD);
    await until('it is used', () => lines('Redis accepts the changed credentials') >= 3 || undefined);
    await underLoad();
    expect(Object.fromEntries(load?.outcomes ?? [])).toEqual({ 200: expect.any(Number) });
  });

  it('is still rejected: reads fail fast once the time for a reply has passed, with the reason in the log', async () => {
    await start({ REDIS_URL: redis.url, REDIS_PASSWORD_FILE: file(), REDIS_COMMAND_TIMEOUT_MS: 500 });
    await redis.client.config('SET', 'requirepass', NEW);
    await killConnections(redis.client);
    await untilLogged('Redis is still not reachable (WRONGPASS)');
    await until('reads fail', () => (load?.outcomes.get('503') ?? 0) > 100 || undefined);
    // Its last result is reused for a second.
    await until(
      'it is not ready',
      async () => (await (proxy as TestProxy).get('/health/ready')).status === 503 || undefined,
    );
    write(NEW);
    await untilLogged('Redis is reachable');
    await until('the value', async () => (await proxy?.key('key'))?.text === 'value' || undefined);
  });
});

describeOwn('the password of Redis is rotated', () => {
  it('on all nodes of a cluster, which end all connections: no read fails', async () => {
    const cluster = await TestCluster.start(2, 0);
    stopServers = () => cluster.stop();
    const rotate = async (password: string) => {
      for (const { client } of cluster.nodes) await client.config('SET', 'requirepass', password);
    };
    // Slots 5061 and 12182.
    for (const [i, key] of ['bar', 'foo'].entries()) await cluster.masters[i].client.set(key, 'value');
    await rotate(OLD);
    write(OLD);
    const mode = { REDIS_MODE: 'cluster', REDIS_NODES: cluster.addresses, REDIS_PASSWORD_FILE: file() };
    await start({ ...mode, CACHE_COHERENCE: 'tracking' }, ['foo', 'bar']);
    await untilLogged('tracking active');
    await underLoad();
    const known = lines('tracking active');
    await rotate(NEW);
    for (const { client } of cluster.nodes) await killConnections(client);
    await until('nodes reject the former password', async () => (await loginFailures()) > 1 || undefined);
    write(NEW);
    await untilLoggedAgain('tracking active', known);
    await underLoad();
    expectNoFailedRead();
  });

  it('on the master of sentinels and on the sentinels, which end all connections: no read fails', async () => {
    const sentinels = await TestSentinels.start({ password: OLD });
    stopServers = () => sentinels.stop();
    const { master, replica } = sentinels;
    await master.client.set('key', 'value');
    write(OLD, 'sentinel');
    writeFileSync(file('url'), 'redis://any');
    const names = { REDIS_MODE: 'sentinel', REDIS_NODES: sentinels.addresses, REDIS_SENTINEL_NAME: sentinels.name };
    await start({ ...names, REDIS_URL_FILE: file('url'), REDIS_SENTINEL_PASSWORD_FILE: file('sentinel') });
    await underLoad();
    // The sentinels must not report the master as down.
    for (const { client } of sentinels.sentinels) {
      await client.call('SENTINEL', 'SET', sentinels.name, 'auth-pass', NEW);
      await client.call('SENTINEL', 'CONFIG', 'SET', 'sentinel-pass', NEW);
      await client.call('ACL', 'SETUSER', 'default', 'resetpass', `>${NEW}`);
    }
    await replica.client.config('SET', 'masterauth', NEW);
    await master.client.config('SET', 'requirepass', NEW);
    for (const { client } of [...sentinels.sentinels, master]) await killConnections(client);
    await until('they reject the former credentials', async () => (await loginFailures()) > 1 || undefined);
    write(NEW, 'sentinel');
    write(`redis://:${NEW}@any`, 'url');
    await untilLogged('REDIS_URL_FILE reloaded: another password');
    await untilLogged('REDIS_SENTINEL_PASSWORD_FILE reloaded: another password');
    for (const { client } of sentinels.sentinels) {
      await until('each thread waits for failovers again', async () => {
        const subscribers = String(await client.client('LIST')).match(/ sub=1 /g) ?? [];
        return subscribers.length === SETTINGS.PROXY_THREADS || undefined;
      });
    }
    await underLoad();
    expectNoFailedRead();
    expect(proxy?.child?.errors).toBe('');
  });
});

async function loginFailures(): Promise<number> {
  const { text } = await (proxy as TestProxy).get('/metrics');
  return Number(/^redis_http_cache_proxy_redis_login_failures_total (\d+)$/m.exec(text)?.[1]);
}
