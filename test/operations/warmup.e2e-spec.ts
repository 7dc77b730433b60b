import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { eventually } from '../support/eventually.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

describeOwn('CACHE_WARMUP_FILE', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let directory: string;
  let file: string;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'warmup-'));
    file = join(directory, 'keys');
    redis = await TestRedis.start();
  });
  afterEach(async () => {
    await proxy.stop();
    await redis.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const start = async (settings = {}, whenReady = true): Promise<TestProxy> => {
    const common = { REDIS_URL: redis.url, ADMIN_TOKEN: 'admin', SHUTDOWN_GRACE_MS: 60_000 };
    return (proxy = await TestProxy.start({ ...common, CACHE_WARMUP_FILE: file, ...settings }, '/', whenReady));
  };
  const end = async (): Promise<void> => {
    proxy.child?.signal('SIGTERM');
    expect(await proxy.child?.exit).toBe(0);
  };
  const messages = (): string[] => proxy.log().map(({ message }) => String(message));
  const logged = (pattern: RegExp): Promise<string> =>
    until(`a log line ${pattern}`, () => messages().find((message) => pattern.test(message)));
  const cacheStatus = async (path: string): Promise<string> =>
    String((await proxy.get(path)).headers['cache-status']).split('; ')[1];
  const readiness = async () => {
    const { json } = await proxy.get('/health/ready');
    return json as { readonly status: string; readonly warmup?: string; readonly reasons?: readonly string[] };
  };

  it('keeps keys and queries of all kinds, in their order of use, over a restart, and reads them once', async () => {
    const { client } = redis;
    await client.mset(Object.fromEntries(['a', 'b', 'c', 'new', 'newer'].map((key) => [key, `value of ${key}`])));
    await client.hset('hash', { field: 'x' });
    await client.rpush('list', '1', '2');
    await client.zadd('sorted', 1, 'one');
    const settings = {
      CACHE_CAPACITY: 8,
      PROXY_THREADS: 2,
      CACHE_TTL_MS: 3_600_000,
      CACHE_NEGATIVE_TTL_MS: 3_600_000,
    };
    const paths = [
      ...['/v1/keys/a', '/v1/hashes/hash', '/v1/hashes/hash/field', '/v1/lists/list?stop=0'],
      ...['/v1/sorted-sets/sorted?withScores=true', '/v1/keys/absent', '/v1/keys/b', '/v1/keys/c'],
    ];
    await start(settings);
    await eventually(async () => (await readiness()).status, 'ok');
    for (const path of paths) await proxy.get(path);
    expect(await cacheStatus('/v1/hashes/hash')).toBe('hit');
    await end();
    await logged(/ written \(entries: 8, /);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'latin1')).not.toContain('value of');

    await start(settings);
    await logged(/^warm-up complete: 7 of 8 entries loaded, 1 missing in /);
    await eventually(async () => await readiness(), expect.objectContaining({ status: 'ok', warmup: 'complete' }));
    expect(await proxy.stats()).toMatchObject({ entries: 8, loads: 8, hits: 0, misses: 0 });
    // The least recently used ones make room first: the first one that was read, and the third, as the second was read again.
    for (const key of ['new', 'newer']) await proxy.key(key);
    const { loads } = await proxy.stats();
    for (const path of paths.filter((_, i) => i !== 0 && i !== 2)) {
      expect([path, (await proxy.get(path)).headers['cache-status']]).toEqual([
        path,
        expect.stringContaining('; hit; '),
      ]);
    }
    expect((await proxy.stats()).loads).toBe(loads);
    for (const path of [paths[0], paths[2]]) expect(await cacheStatus(path)).toBe('fwd=uri-miss');
    const { text } = await proxy.get('/metrics');
    expect(text).toContain('redis_http_cache_proxy_warmup{state="complete"} 1');
    expect(text).toContain('redis_http_cache_proxy_warmup_entries_total{result="loaded"} 7');

    // A thread that is restarted has nothing to load.
    await proxy.inject(0, 'terminate');
    // Connections that it has not accepted are reset.
    const metrics = () => proxy.get('/metrics').catch(() => undefined);
    await eventually(async () => (await metrics())?.text.includes('thread_restarts_total 1\n'), true);
    await proxy.ready();
    expect(messages().filter((message) => message.startsWith('warm-up of '))).toHaveLength(1);
  });

  it('makes readiness wait, at most as long as CACHE_WARMUP_WAIT_MS, and is kept until its keys have been loaded', async () => {
    await redis.client.mset({ a: '1', b: '2' });
    await start();
    for (const key of ['a', 'b']) await proxy.key(key);
    await end();
    const before = readFileSync(file);
    await redis.server?.stop('SIGKILL');

    await start({ CACHE_WARMUP_WAIT_MS: 3_600_000 }, false);
    await logged(/^warm-up paused: Redis is not reachable$/);
    await eventually(readiness, {
      ...{ status: 'unavailable', warmup: 'paused', redis: 'unavailable', coherence: 'ttl' },
      ...{ fastPath: expect.anything(), redisProtocol: 'off' },
      reasons: [expect.stringMatching(/^Redis: /), 'warm-up: 0 of 2 entries'],
    });
    await end();
    expect(readFileSync(file)).toEqual(before);

    // Nothing is stored before the invalidation stream is established.
    await start({ CACHE_WARMUP_WAIT_MS: 3_600_000, CACHE_COHERENCE: 'tracking' }, false);
    await logged(/^warm-up paused: the invalidation stream is not established$/);
    redis = await redis.restart();
    await redis.client.mset({ a: '1', b: '2' });
    await logged(/^warm-up complete: 2 of 2 entries loaded in /);
    await eventually(async () => (await readiness()).warmup, 'complete');
    await end();

    await redis.server?.stop('SIGKILL');
    await start({ CACHE_WARMUP_WAIT_MS: 1 }, false);
    await logged(/^warm-up paused: Redis is not reachable$/);
    await eventually(async () => (await readiness()).reasons, [expect.stringMatching(/^Redis: /)]);
  });

  it('is ignored with a warning if it is damaged, and replaced at shutdown', async () => {
    writeFileSync(file, 'redis-http-cache-proxy warm-up 1\nand then something else');
    await start();
    await logged(/^CACHE_WARMUP_FILE \/.* is incomplete or damaged; ignored$/);
    await eventually(readiness, expect.objectContaining({ status: 'ok', warmup: 'stopped' }));
    await proxy.key('a');
    await end();
    await logged(/ written \(entries: 0, /);
    await start();
    await logged(/^warm-up complete: 0 of 0 entries loaded in /);
  });

  it('is left as it is, with a warning at start and at shutdown, if it was not written by the proxy', async () => {
    writeFileSync(file, 'the file of another program');
    await start();
    await logged(/ cannot be written \(it was not written by this proxy\): the next start will not be warm$/);
    await logged(/^CACHE_WARMUP_FILE \/.* was not written by this proxy; ignored$/);
    await end();
    await logged(/ could not be written \(it was not written by this proxy\)$/);
    expect(readFileSync(file, 'utf8')).toBe('the file of another program');
  });

  it('is reported at start and at shutdown if it cannot be written, and nothing else fails', async () => {
    file = join(directory, 'absent', 'keys');
    await start();
    await logged(/^CACHE_WARMUP_FILE \/.* cannot be written \(ENOENT\): the next start will not be warm$/);
    expect((await proxy.key('a')).status).toBe(404);
    await end();
    await logged(/^CACHE_WARMUP_FILE \/.* could not be written \(ENOENT\)$/);
  });

  it('is written after SHUTDOWN_GRACE_MS has passed, too', async () => {
    await redis.client.set('a', '1');
    await start({ REDIS_COMMAND_TIMEOUT_MS: 60_000, SHUTDOWN_GRACE_MS: 200 });
    await proxy.key('a');
    redis.server?.signal('SIGSTOP');
    const cut = proxy.key('b').catch(() => undefined);
    await eventually(async () => (await proxy.get('/metrics')).text.includes('loads_in_flight 1\n'), true);
    proxy.child?.signal('SIGTERM');
    expect(await proxy.child?.exit).toBe(1);
    await cut;
    redis.server?.signal('SIGCONT');
    await logged(/ written \(entries: 1, /);
  });
});
