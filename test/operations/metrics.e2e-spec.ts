import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import parse from 'parse-prometheus-text-format';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy, keyPrefix, removeKeys } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const PREFIX = 'redis_http_cache_proxy_';
const prefix = keyPrefix();
let redis: TestRedis;
let proxy: TestProxy;

beforeAll(async () => {
  redis = await TestRedis.start();
  proxy = await TestProxy.use({ REDIS_URL: redis.url, PROXY_THREADS: 4, CACHE_CAPACITY: 3 });
});
afterAll(async () => {
  await proxy.stop();
  await removeKeys(redis.client, prefix);
  await redis.stop();
});

const families = async () => parse((await proxy.get('/metrics')).text);

/** Returns the value of one of the proxy's own metrics, with the given labels. */
async function valueOf(name: string, labels: Record<string, string> = {}): Promise<number> {
  const family = (await families()).find((each) => each.name === PREFIX + name);
  const sample = family?.metrics.find((each) =>
    Object.entries(labels).every(([label, value]) => each.labels?.[label] === value),
  );
  return Number(sample?.value ?? sample?.count);
}

/** Metrics without samples, unless the settings that they are about are set. */
const ABSENT = new Set(
  ['purge_channel_subscribed', 'tls_certificate_expiry_timestamp_seconds'].map((name) => PREFIX + name),
);

describe('metrics', () => {
  it('are valid Prometheus text, each with help and type', async () => {
    const response = await proxy.get('/metrics');
    expect(response.status).toBe(200);
    expect(response.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    const parsed = parse(response.text);
    expect(parsed.length).toBeGreaterThan(30);
    for (const { name, help, type, metrics } of parsed) {
      expect(help).not.toBe('');
      expect(type).not.toBe('UNTYPED');
      if (name.startsWith(PREFIX)) expect([name, metrics.length > 0]).toEqual([name, !ABSENT.has(name)]);
      if (type === 'COUNTER') expect(name).toMatch(/_total$/);
      else expect(name).not.toMatch(/_total$/);
    }
  });

  it('pass promtool, if it is installed', async () => {
    const { text } = await proxy.get('/metrics');
    const check = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    if (check.error !== undefined) return;
    expect(check.stderr + check.stdout).toBe('');
    expect(check.status).toBe(0);
  });

  it('contain no keys', async () => {
    await proxy.key(`${prefix}secret`);
    expect((await proxy.get('/metrics')).text).not.toContain('secret');
  });
});

describeOwn('metrics of an instance', () => {
  it('are the same from every thread', async () => {
    await redis.client.set('key', 'value');
    const before = await valueOf('requests_total', { transport: 'http', outcome: 'hit' });
    await proxy.key('key');
    for (let i = 0; i < 20; i++) await proxy.key('key');
    for (let i = 0; i < 10; i++) {
      expect(await valueOf('requests_total', { transport: 'http', outcome: 'hit' })).toBe(before + 20);
    }
    expect(await valueOf('threads')).toBe(4);
    expect(await valueOf('redis_connections')).toBe(4);
    expect(await valueOf('thread_restarts_total')).toBe(0);
  });

  it('count reads by outcome, and loads', async () => {
    await redis.client.rpush('list', 'item');
    const count = (outcome: string) => valueOf('requests_total', { transport: 'http', outcome });
    const before = { notFound: await count('not-found'), type: await count('wrong-type'), bad: await count('bad-key') };
    const loads = await valueOf('loads_total');
    await proxy.key('nobody');
    await proxy.key('list');
    await proxy.get('/v1/keys/%zz');
    expect(await count('not-found')).toBe(before.notFound + 1);
    expect(await count('wrong-type')).toBe(before.type + 1);
    expect(await count('bad-key')).toBe(before.bad + 1);
    // One of them asks for the type of the list.
    expect(await valueOf('loads_total')).toBe(loads + 3);
    expect(await valueOf('load_duration_seconds')).toBe(loads + 3);
  });

  it('report entries, their limit, and evictions by cause', async () => {
    await redis.client.mset({ a: '1', b: '2', c: '3', d: '4' });
    for (const key of 'abcd') await proxy.key(key);
    expect(await valueOf('cache_entries')).toBe(3);
    expect(await valueOf('cache_capacity_entries')).toBe(3);
    expect(await valueOf('cache_evictions_total', { cause: 'capacity' })).toBeGreaterThan(0);
    expect(await valueOf('build_info')).toBe(1);
    for (const part of ['socket-write', 'socket-read', 'redis-batches']) {
      expect(await valueOf('node_internals', { part })).toBe(1);
    }
  });

  it('report the loss and the return of Redis, each logged once', async () => {
    const own = await TestRedis.start();
    const watched = await TestProxy.start({ REDIS_URL: own.url, PROXY_THREADS: 3 });
    await own.server?.stop('SIGKILL');
    const logged = (text: string) => watched.log().filter(({ message }) => String(message).startsWith(text));
    const gauge = async () => /redis_connections (\d)/.exec((await watched.get('/metrics')).text)?.[1];
    await until('the loss is seen', async () => ((await gauge()) === '0' ? true : undefined));
    const restarted = await own.restart();
    await until('the return is seen', async () => ((await gauge()) === '3' ? true : undefined));
    // Worker threads notify the main thread, which writes the log.
    await until('the return is logged', () => logged('Redis is reachable').length > 1 || undefined);
    expect(logged('Redis is not reachable')).toHaveLength(1);
    expect(logged('Redis is reachable')).toHaveLength(2);
    await watched.stop();
    await restarted.stop();
  });
});

describeOwn('log', () => {
  it('has one JSON object per line, starts with the settings without secrets, and does not log requests', async () => {
    const quiet = await TestProxy.start({
      REDIS_URL: redis.url.replace('redis://', 'redis://default:@'),
      ADMIN_TOKEN: 'hunter2',
      PROXY_THREADS: 1,
    });
    await quiet.key('key');
    await quiet.key('nobody');
    await quiet.stop();
    const lines = quiet.log();
    expect(lines.map(({ message }) => String(message).replace(/http.*/, '')).sort()).toEqual([
      'Redis is reachable',
      'SIGTERM received: draining, no new connections accepted',
      'listening on ',
      'private parts of Node.js and ioredis in use: socket-write, socket-read, redis-batches',
      'shutdown complete',
      'starting',
    ]);
    for (const line of lines) {
      expect(line).toMatchObject({ level: 'info', context: expect.any(String) });
      expect(new Date(String(line.time)).getTime()).toBeGreaterThan(Date.now() - 60_000);
    }
    expect(lines[0]).toMatchObject({ version: expect.stringMatching(/^\d+\.\d+\.\d+/), node: process.versions.node });
    expect(lines[0]).toMatchObject({ settings: { admin: { tokens: ['[secret]'] }, cache: { capacity: 10_000 } } });
    expect(quiet.child?.output).not.toContain('hunter2');
  });
});
