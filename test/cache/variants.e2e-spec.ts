import zlib from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import type { TestResponse } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const TTL_MS = 60_000;
const WINDOW_MS = 30_000;
const CODINGS = ['gzip', 'br'] as const;
const DECODE = { gzip: zlib.gunzipSync, br: zlib.brotliDecompressSync } as const;

const textOf = (version: string) => `${version}: ${'some text that repeats '.repeat(200)}`;

/** What a client sees: the version of the text, its coding, and how the cache served it. */
function seen({ status, body, headers }: TestResponse): unknown[] {
  const coding = headers['content-encoding'] as keyof typeof DECODE | undefined;
  const text = String(coding === undefined ? body : DECODE[coding](body));
  const cacheStatus = String(headers['cache-status']).replace('redis-http-cache-proxy; ', '');
  return [status, text.slice(0, text.indexOf(':')), coding, cacheStatus];
}

/** The forms of a value: stored plain and sent compressed, or stored as gzip and sent decompressed. */
const FORMS = {
  compressed: { store: (text: string) => text, headers: { 'accept-encoding': 'gzip' }, coding: 'gzip' },
  decompressed: { store: (text: string) => zlib.gzipSync(text), headers: {}, coding: undefined },
} as const;

/** The settings that differ between proxies, each of which several tests share. */
const PROXIES = {
  default: { CACHE_NEGATIVE_TTL_MS: TTL_MS, PROXY_THREADS: 2 },
  tracking: { CACHE_COHERENCE: 'tracking' },
  background: { CACHE_STALE_WHILE_REVALIDATE_MS: WINDOW_MS, CACHE_REFRESH_AHEAD: 0.5, PROXY_THREADS: 2 },
  small: { CACHE_STALE_WHILE_REVALIDATE_MS: WINDOW_MS, CACHE_CAPACITY: 2 },
  'stale on error': { CACHE_STALE_IF_ERROR_MS: WINDOW_MS, REDIS_COMMAND_TIMEOUT_MS: 1000 },
  'little memory': { PROXY_MAX_BUFFERED_BYTES: 16 * 2 ** 20, CACHE_MAX_VALUE_BYTES: 2 * 2 ** 20 },
} as const;

/** Their tests expect exact ages. Those of eviction need a running clock, by whose time entries are ordered by their last use. */
const WITH_STOPPED_CLOCK: readonly string[] = ['background', 'stale on error'] satisfies (keyof typeof PROXIES)[];

let redis: TestRedis;
const proxies = new Map<string, TestProxy>();
let proxy: TestProxy;
let keys = 0;

async function use(name: keyof typeof PROXIES): Promise<void> {
  const started =
    proxies.get(name) ??
    (await TestProxy.start({
      REDIS_URL: redis.url,
      ADMIN_TOKEN: 'operator',
      CACHE_TTL_MS: TTL_MS,
      REDIS_COMMAND_TIMEOUT_MS: 60_000,
      HTTP_CONTENT_TYPE: 'text/plain',
      HTTP_COMPRESSION: CODINGS.join(','),
      HTTP_CONTENT_ENCODINGS: 'decompressed:*=gzip',
      ...PROXIES[name],
    }));
  if (!proxies.has(name) && WITH_STOPPED_CLOCK.includes(name)) await started.stopClock();
  proxies.set(name, started);
  proxy = started;
}

describeOwn('Variants', () => {
  beforeAll(async () => {
    redis = await TestRedis.start();
  });
  afterEach(async () => {
    redis.server?.signal('SIGCONT');
    // A thread may still be at work.
    await eventually(() => proxy.problemInMemory(), undefined);
  });
  afterAll(async () => {
    await Promise.all([...proxies.values()].map((each) => each.stop()));
    await redis?.stop();
  });

  describe.each(Object.entries(FORMS))('that are %s', (name, { store, headers, coding }) => {
    let key: string;
    /** Loads before the test. */
    let loaded: number;
    const HIT = expect.stringMatching(/^hit; ttl=\d+$/);

    async function start(proxyName: keyof typeof PROXIES): Promise<void> {
      await use(proxyName);
      key = `${name}:${keys++}`;
      await write('old');
      loaded = (await proxy.stats()).loads;
    }
    const write = (version: string) => redis.client.set(key, store(textOf(version)));
    const read = async (more: Readonly<Record<string, string>> = {}, as: object = headers) =>
      seen(await proxy.key(key, { ...as, ...more }));
    const loads = async () => (await proxy.stats()).loads - loaded;
    const entries = async () => (await proxy.stats()).entries;
    /** Reads by the counters of the cache, and by outcome. */
    async function counted(): Promise<readonly number[]> {
      const { hits, misses, collapsed } = await proxy.stats();
      const { text } = await proxy.get('/metrics');
      const outcomes = text.matchAll(/^redis_http_cache_proxy_\w+\{transport="http",outcome="\S+"\} (\d+)$/gm);
      return [hits + misses + collapsed, [...outcomes].reduce((sum, [, count]) => sum + Number(count), 0)];
    }

    it('is made of the cached value: many readers on two threads cost one load', async () => {
      await start('default');
      const before = [await entries(), ...(await counted())];
      const all = await Promise.all(Array.from({ length: 50 }, () => read()));
      expect(new Set(all.map(([status, version, sent]) => JSON.stringify([status, version, sent])))).toEqual(
        new Set([JSON.stringify([200, 'old', coding])]),
      );
      expect(await loads()).toBe(1);
      expect(await read()).toEqual([200, 'old', coding, HIT]);
      const after = [await entries(), ...(await counted())];
      expect(after.map((count, i) => count - before[i])).toEqual([2, 51, 51]);
    });

    it('has the age and the TTL of the value', async () => {
      await start('default');
      await proxy.key(key, name === 'compressed' ? {} : { 'accept-encoding': 'gzip' });
      await proxy.advance(20_000);
      for (const age of [20, 30]) {
        const response = await proxy.key(key, headers);
        expect(seen(response)).toEqual([200, 'old', coding, HIT]);
        expect(Number(response.headers.age)).toBeGreaterThanOrEqual(age);
        const [, ttl] = /ttl=(\d+)$/.exec(String(response.headers['cache-status'])) ?? [];
        expect(Number(ttl)).toBeLessThanOrEqual(TTL_MS / 1000 - age);
        expect(response.headers['cache-control']).toBe('max-age=60');
        await proxy.advance(10_000);
      }
      await write('new');
      await proxy.advance(20_000);
      expect(await read()).toEqual([200, 'new', coding, 'fwd=uri-miss; stored']);
    });

    it.each(['no-cache', 'max-age=0'])(
      'is made anew by a request with %s, and so are all others',
      async (directive) => {
        await start('default');
        const all = [{}, { 'accept-encoding': 'gzip' }, { 'accept-encoding': 'br' }];
        for (const form of all) await read({}, form);
        await write('new');
        expect(await read({ 'cache-control': directive })).toEqual([200, 'new', coding, 'fwd=request; stored']);
        for (const form of all) expect((await read({}, form)).slice(0, 2)).toEqual([200, 'new']);
        expect(await loads()).toBe(2);
      },
    );

    it('ends if the value is loaded anew in another form', async () => {
      await start('default');
      const plain = { 'accept-encoding': name === 'compressed' ? 'identity' : 'gzip' };
      for (const form of [headers, plain]) await read({}, form);
      await write('new');
      await read({ 'cache-control': 'no-cache' }, plain);
      expect(await read()).toEqual([200, 'new', coding, HIT]);
    });

    it('is served from the cache by a request with only-if-cached, and made of the value', async () => {
      await start('default');
      const directive = { 'cache-control': 'only-if-cached' };
      expect((await proxy.key(key, { ...headers, ...directive })).status).toBe(504);
      await read({}, { 'accept-encoding': name === 'compressed' ? 'identity' : 'gzip' });
      expect(await read(directive)).toEqual([200, 'old', coding, HIT]);
      expect(await read(directive)).toEqual([200, 'old', coding, HIT]);
      expect(await loads()).toBe(1);
    });

    it('ends with a purge of the key', async () => {
      await start('default');
      for (const form of [{}, { 'accept-encoding': 'gzip' }, { 'accept-encoding': 'br' }]) await read({}, form);
      await write('new');
      expect((await proxy.admin('DELETE', `/v1/cache/${encodeURIComponent(key)}`)).json).toEqual({ purged: true });
      expect(await read()).toEqual([200, 'new', coding, 'fwd=uri-miss; stored']);
    });

    it('ends with a write to the key under tracking', async () => {
      await start('tracking');
      await eventually(async () => (await proxy.get('/health/ready')).text.includes('"tracking"'), true);
      for (let version = 0; version < 20; version++) {
        await write(`version${version}`);
        await eventually(async () => (await read())[1], `version${version}`);
      }
    });

    it('is not found for a missing key, and made once the key exists', async () => {
      await start('default');
      await redis.client.del(key);
      for (let i = 0; i < 2; i++) expect((await proxy.key(key, headers)).status).toBe(404);
      expect(await loads()).toBe(1);
      await write('new');
      await proxy.advance(TTL_MS);
      expect((await read()).slice(0, 3)).toEqual([200, 'new', coding]);
    });

    it('is served while the value is reloaded (CACHE_STALE_WHILE_REVALIDATE_MS), with Redis stopped', async () => {
      await start('background');
      await read();
      await write('new');
      await proxy.advance(TTL_MS + 3000);
      redis.server?.signal('SIGSTOP');
      const all = await Promise.all(Array.from({ length: 50 }, () => read()));
      redis.server?.signal('SIGCONT');
      for (const each of all) {
        expect(each).toEqual([
          200,
          'old',
          coding,
          expect.stringMatching(/^hit; ttl=-[34]; detail=stale-while-revalidate$/),
        ]);
      }
      await eventually(async () => (await read())[1], 'new');
      expect(await loads()).toBe(2);
    });

    it('is served while the value is reloaded, also if the value itself was evicted', async () => {
      await start('small');
      await read();
      await read();
      // The value is the least recently used entry.
      await redis.client.set('another', 'value');
      await proxy.key('another', { 'accept-encoding': 'identity' });
      await write('new');
      await proxy.advance(TTL_MS + 3000);
      expect(await read()).toEqual([200, 'old', coding, expect.stringMatching(/detail=stale-while-revalidate$/)]);
      await eventually(async () => (await read())[1], 'new');
    });

    it('is reloaded before it expires (CACHE_REFRESH_AHEAD)', async () => {
      await start('background');
      await read();
      await write('new');
      await proxy.advance(TTL_MS / 2 + 1000);
      expect(await read()).toEqual([200, 'old', coding, expect.stringMatching(/^hit; ttl=2\d$/)]);
      await eventually(async () => (await read())[1], 'new');
      expect(await loads()).toBe(2);
    });

    it('is served, or the value, while Redis is unavailable', async () => {
      await start('stale on error');
      const plain = { 'accept-encoding': name === 'compressed' ? 'identity' : 'gzip' };
      // The time-out is short.
      await until('the value is cached', async () => (await read({}, plain))[0] === 200 || undefined);
      redis.server?.signal('SIGSTOP');
      expect((await read()).slice(0, 3)).toEqual([200, 'old', coding]);
      await proxy.advance(TTL_MS + 3000);
      const STALE = expect.stringMatching(/^hit; ttl=-[34]; detail=stale-if-error$/);
      expect(await read()).toEqual([200, 'old', coding, STALE]);
      // A form that was never made.
      const other = await read({}, { 'accept-encoding': name === 'compressed' ? 'br' : 'identity' });
      expect(other).toEqual([200, 'old', undefined, STALE]);
      expect((await proxy.key(key, { ...headers, 'cache-control': 'no-cache' })).status).toBeGreaterThanOrEqual(503);
    });
  });

  it('wait for memory, and are all sent', async () => {
    await use('little memory');
    const content = Buffer.alloc(6 * 2 ** 20, 'a text that repeats ');
    const names = Array.from({ length: 12 }, (_, i) => `decompressed:large:${i}`);
    await Promise.all(
      names.map((key) => redis.client.set(key, zlib.gzipSync(Buffer.concat([content, Buffer.from(key)])))),
    );
    const responses = await Promise.all(names.map((key) => proxy.key(key)));
    for (const [i, { status, body }] of responses.entries()) {
      expect([status, body.length, String(body.subarray(content.length))]).toEqual([
        200,
        content.length + names[i].length,
        names[i],
      ]);
    }
  });

  it('are not made of values that are too large for the cache, which are sent as they are', async () => {
    await use('little memory');
    await redis.client.set('large', Buffer.alloc(2 * 2 ** 20 + 1, 'text'));
    const { headers, body } = await proxy.key('large', { 'accept-encoding': 'gzip' });
    expect([headers['content-encoding'], body.length]).toEqual([undefined, 2 * 2 ** 20 + 1]);
  });
});
