import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  coherenceOf,
  holdTracking,
  metric,
  untilCoherence,
  untilInvalidated,
  untilMetric,
} from '../support/coherence.ts';
import { eventually } from '../support/eventually.ts';
import type { TestResponse } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { type Settings, TestProxy } from '../support/proxy.ts';
import { PONGS, RedisRelay } from '../support/redis-relay.ts';
import { TestRedis } from '../support/redis.ts';

const HIT = /; hit; /;
const STORED = /fwd=\S+; stored$/;

let redis: TestRedis;
let relay: RedisRelay;
let proxy: TestProxy;

async function start(settings: Settings = {}): Promise<void> {
  redis = await TestRedis.start();
  relay = await RedisRelay.to(redis.port);
  proxy = await TestProxy.start({
    REDIS_URL: relay.url,
    // The tests control all delays, because the machine may be busy.
    REDIS_COMMAND_TIMEOUT_MS: 60_000,
    PROXY_THREADS: 2,
    CACHE_TTL_MS: 3_600_000,
    CACHE_NEGATIVE_TTL_MS: 3_600_000,
    CACHE_COHERENCE: 'tracking',
    ADMIN_TOKEN: 'admin',
    ...settings,
  });
}

async function stop(): Promise<void> {
  await proxy.stop();
  await relay.stop();
  await redis.stop();
}

const statusOf = (response: TestResponse): string => String(response.headers['cache-status']);

/**
 * Writes and waits until the invalidations of this write have been received: later ones can then be told from them. Writes again if
 * the invalidation stream was lost meanwhile.
 */
async function invalidate(write: () => Promise<unknown>, name: 'invalidations' | 'flushes', count = 1): Promise<void> {
  const total = `coherence_${name}_total`;
  for (let isReceived = false; !isReceived;) {
    const losses = await metric(proxy, 'coherence_losses_total');
    // Not by the readiness, which reads a key: replies to reads may be held back.
    await until('it is tracking', async () => (await metric(proxy, 'coherence{state="tracking"}')) === 1 || undefined);
    const before = await metric(proxy, total);
    await write();
    isReceived = await until('the proxy receives the invalidations', async () => {
      if ((await metric(proxy, total)) >= before + count) return true;
      return (await metric(proxy, 'coherence_losses_total')) > losses ? false : undefined;
    });
  }
}

const writeAndWait = (values: Readonly<Record<string, string>>): Promise<void> =>
  invalidate(() => redis.client.mset(values), 'invalidations', Object.keys(values).length);
const flushAndWait = (flush: () => Promise<unknown>): Promise<void> => invalidate(flush, 'flushes');

/** Waits until the key, or its absence, is cached; returns the response. */
const untilCached = (key: string): Promise<TestResponse> =>
  until(`${key} is held`, async () => {
    const response = await proxy.key(key);
    return HIT.test(statusOf(response)) ? response : undefined;
  });

/** Returns the first response that differs from `old`. */
const untilChanged = (key: string, old: TestResponse): Promise<TestResponse> =>
  until(`${key} is no longer ${old.text}`, async () => {
    const response = await proxy.key(key);
    return response.status !== old.status || response.text !== old.text ? response : undefined;
  });

describeOwn('while tracking', () => {
  beforeAll(async () => {
    await start();
    await untilCoherence(proxy, 'tracking');
  });
  beforeEach(() => flushAndWait(() => redis.client.flushall()));
  afterAll(stop);

  describe('with threads that stall or crash', () => {
    it('a write during a stall of the proxy is visible to the first request afterwards', async () => {
      for (let round = 0; round < 3; round++) {
        await writeAndWait({ key: `old ${round}` });
        await untilCached('key');
        proxy.child?.signal('SIGSTOP');
        await redis.client.set('key', `new ${round}`);
        await new Promise((resolve) => setTimeout(resolve, 1000));
        const responses = [0, 1, 2, 3].map(() => proxy.key('key'));
        proxy.child?.signal('SIGCONT');
        expect(new Set((await Promise.all(responses)).map(({ text }) => text))).toEqual(new Set([`new ${round}`]));
      }
    });

    it('a thread that crashes while holding the cache lock does not stop tracking', async () => {
      await writeAndWait({ key: 'old' });
      await untilCached('key');
      await proxy.inject(0, 'stall in critical section');
      // More than fit in the queue of mutations.
      for (let i = 0; i < 3000; i += 100) {
        await redis.client.mset(Object.fromEntries(Array.from({ length: 100 }, (_, j) => [`key ${i + j}`, ''])));
      }
      await redis.client.set('key', 'new');
      await proxy.inject(0, 'terminate');
      // Connections of the crashed thread are reset.
      await until('it is replaced', () =>
        metric(proxy, 'thread_restarts_total').then(
          (restarts) => restarts === 1 || undefined,
          () => undefined,
        ),
      );
      await proxy.ready();
      expect((await proxy.key('key')).text).toBe('new');
      const cached = await untilCached('key');
      await redis.client.set('key', 'newer');
      expect((await untilChanged('key', cached)).text).toBe('newer');
      // Not the losses, here and below: on a busy machine a heartbeat may be late.
      await untilCoherence(proxy, 'tracking');
      expect(await proxy.problemInMemory()).toBeUndefined();
    });
  });

  describe('without interruption', () => {
    beforeAll(async () => {
      await redis.client.set('key', 'old');
      await holdTracking(proxy, 'key');
    });

    it.each<[string, (client: TestRedis['client']) => Promise<unknown>, [number, string]]>([
      ['SET', (client) => client.set('key', 'new'), [200, 'new']],
      ['APPEND', (client) => client.append('key', ' and new'), [200, 'old and new']],
      ['DEL', (client) => client.del('key'), [404, 'key-not-found']],
      ['RENAME from it', (client) => client.rename('key', 'elsewhere'), [404, 'key-not-found']],
      ['RENAME to it', (client) => client.rename('other', 'key'), [200, 'other']],
      ['PEXPIRE 0', (client) => client.pexpire('key', 0), [404, 'key-not-found']],
      ['PEXPIRE', (client) => client.pexpire('key', 30), [404, 'key-not-found']],
      ['another type', (client) => client.multi().del('key').rpush('key', 'a').exec(), [409, 'wrong-type']],
      ['FLUSHALL', (client) => client.flushall(), [404, 'key-not-found']],
      ['FLUSHDB', (client) => client.flushdb(), [404, 'key-not-found']],
    ])('%s is visible although the entry has a TTL of an hour', async (_, change, [status, content]) => {
      await writeAndWait({ key: 'old', other: 'other' });
      const old = await untilCached('key');
      expect([old.text, old.headers['cache-control']]).toEqual(['old', 'no-cache']);
      await change(redis.client);
      const response = await untilChanged('key', old);
      expect(response.status).toBe(status);
      expect(response.text).toContain(content);
    });

    it('a write to a key with a negative entry is visible', async () => {
      const missing = await untilCached('key');
      expect(missing.status).toBe(404);
      await redis.client.set('key', 'new');
      expect((await untilChanged('key', missing)).text).toBe('new');
    });

    it('a key that Redis evicts is no longer served', async () => {
      await writeAndWait({ key: 'old' });
      const old = await untilCached('key');
      await redis.client.config('SET', 'maxmemory-policy', 'allkeys-random');
      await redis.client.config('SET', 'maxmemory', '1mb');
      await redis.client.set('more', 'value').catch(() => undefined);
      expect((await untilChanged('key', old)).status).toBe(404);
      await redis.client.config('SET', 'maxmemory', '0');
    });

    it('a write to the same key in another database causes a reload with the same value', async () => {
      await writeAndWait({ key: 'old' });
      await untilCached('key');
      const before = await metric(proxy, 'coherence_invalidations_total');
      const other = redis.client.duplicate({ db: 5 });
      await other.set('key', 'of another database');
      other.disconnect();
      await untilInvalidated(proxy, before);
      const response = await proxy.key('key');
      expect([response.text, statusOf(response)]).toEqual(['old', expect.stringMatching(STORED)]);
    });

    it('responses must be revalidated downstream: single reads, multi-key reads and 304', async () => {
      await writeAndWait({ key: 'value' });
      for (const status of [STORED, HIT]) {
        const response = await proxy.key('key');
        expect(statusOf(response)).toMatch(status);
        expect(response.headers['cache-control']).toBe('no-cache');
      }
      const { etag } = (await proxy.key('key')).headers;
      const unchanged = await proxy.key('key', { 'if-none-match': String(etag) });
      expect([unchanged.status, unchanged.headers['cache-control']]).toEqual([304, 'no-cache']);
      const many = await proxy.request('/v1/mget', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"keys":["key"]}',
      });
      expect(many.json).toMatchObject({ results: [{ value: 'value', maxAge: 0 }] });
    });

    it('a value read before a write is not stored if the invalidation overtakes the reply', async () => {
      await writeAndWait({ key: 'old' });
      const before = await metric(proxy, 'coherence_invalidations_total');
      relay.hold('data');
      const read = proxy.key('key');
      await until('Redis has read it', () => (relay.held('data').includes('old') ? true : undefined));
      await redis.client.set('key', 'new');
      await untilInvalidated(proxy, before);
      relay.release('data');
      const response = await read;
      expect([response.text, statusOf(response)]).toEqual(['old', 'redis-http-cache-proxy; fwd=uri-miss']);
      expect((await proxy.key('key')).text).toBe('new');
    });

    it.each(['flushall', 'flushdb'] as const)('a value read before a %s is not stored', async (command) => {
      await writeAndWait({ key: 'old' });
      relay.hold('data');
      const read = proxy.key('key');
      await until('Redis has read it', () => (relay.held('data').includes('old') ? true : undefined));
      await flushAndWait(() => redis.client[command]());
      relay.release('data');
      const response = await read;
      expect([response.text, statusOf(response)]).toEqual(['old', 'redis-http-cache-proxy; fwd=uri-miss']);
      expect((await proxy.key('key')).status).toBe(404);
    });

    it('an entry is served until the invalidation arrives, and no longer', async () => {
      await writeAndWait({ key: 'old' });
      await untilCached('key');
      const before = await metric(proxy, 'coherence_invalidations_total');
      relay.hold('feed', PONGS);
      await redis.client.set('key', 'new');
      await until('Redis has sent it', () => (relay.held('feed').includes('key') ? true : undefined));
      expect((await proxy.key('key')).text).toBe('old');
      relay.release('feed');
      await untilInvalidated(proxy, before);
      expect((await proxy.key('key')).text).toBe('new');
    });

    it('invalidations, flushes and losses are counted', async () => {
      const coherenceCounts = async () =>
        (await proxy.admin('GET', '/v1/cache')).json.coherence as Record<string, number>;
      const { invalidations, flushes } = await coherenceCounts();
      await redis.client.mset('a', '1', 'b', '2');
      await flushAndWait(() => redis.client.flushall());
      expect(await coherenceCounts()).toEqual({
        state: 'tracking',
        invalidations: invalidations + 2,
        flushes: flushes + 1,
        losses: expect.any(Number),
      });
      expect((await proxy.get('/metrics')).text).toMatch(
        /coherence{state="ttl"} 0\n.*{state="tracking"} 1\n.*{state="resync"} 0\n/,
      );
    });
  });
});

describeOwn('when the invalidation stream is lost', () => {
  beforeEach(async () => {
    await start();
    await writeAndWait({ key: 'old', other: 'same' });
    // So that the stream is lost when a test sees to it, and not before or once more.
    await holdTracking(proxy, 'key');
    await untilCached('key');
    await untilCached('other');
  });
  afterEach(stop);

  it('because the connection stalls, entries expire within a second', async () => {
    await proxy.startClock();
    await untilCached('key');
    relay.hold('feed');
    await redis.client.set('key', 'new');
    const written = performance.now();
    let lastOld = written;
    await until('the new value is served', async () => {
      const since = performance.now();
      const { text } = await proxy.key('key');
      if (text === 'old') lastOld = since;
      return text === 'new' || undefined;
    });
    expect(lastOld - written).toBeLessThan(1000);
    // Threads stop trusting the entries on their own, perhaps before the main thread notices the loss.
    await untilMetric(proxy, 'coherence_losses_total', 1);
    await untilCoherence(proxy, 'tracking');
    expect(await metric(proxy, 'coherence_last_loss_timestamp_seconds')).toBeGreaterThan(Date.now() / 1000 - 60);
    // Late messages on the old connection are ignored.
    const before = await metric(proxy, 'coherence_invalidations_total');
    relay.release('feed');
    await until('a write is received', async () => {
      // Again and again: on a busy machine the stream may be lost once more.
      await redis.client.set('other', 'new');
      return (await metric(proxy, 'coherence_invalidations_total')) > before || undefined;
    });
    expect((await proxy.key('other')).text).toBe('new');
  });

  it.each<[string, () => Promise<unknown> | void]>([
    ['reset', () => relay.reset('feed')],
    ['killed by Redis', () => redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')],
  ])(
    'because the connection was %s, all entries expire, and later writes are tracked again',
    async (_, loseConnection) => {
      await loseConnection();
      await untilMetric(proxy, 'coherence_losses_total', 1);
      await untilCoherence(proxy, 'tracking');
      expect(statusOf(await proxy.key('other'))).toMatch(STORED);
      const old = await untilCached('key');
      await redis.client.set('key', 'new');
      expect((await untilChanged('key', old)).text).toBe('new');
    },
  );

  it('nothing is stored until it is re-established, and writes meanwhile are visible', async () => {
    relay.refusesFeeds = true;
    relay.reset('feed');
    await untilCoherence(proxy, 'resync');
    // Entries expire a moment after the mode has changed, later while a thread holds the lock of the cache.
    await until('entries have expired', async () => !HIT.test(statusOf(await proxy.key('key'))) || undefined);
    for (let reads = 0; reads < 3; reads++) {
      const response = await proxy.key('key');
      expect([
        response.text,
        response.headers['cache-control'],
        HIT.test(statusOf(response)),
        STORED.test(statusOf(response)),
      ]).toEqual(['old', 'no-cache', false, false]);
    }
    await redis.client.set('key', 'new');
    expect((await proxy.key('key')).text).toBe('new');
    relay.refusesFeeds = false;
    await untilCoherence(proxy, 'tracking');
    expect((await untilCached('key')).text).toBe('new');
    const coherenceLog = () =>
      proxy.log().flatMap(({ context, level, message }) => (context === 'Coherence' ? [[level, message]] : []));
    // On a busy machine the stream may have been lost once more.
    await eventually(
      () => coherenceLog().slice(0, 3),
      [
        ['info', expect.stringMatching(/^tracking active;/)],
        ['warn', expect.stringMatching(/^invalidation stream lost/)],
        ['info', expect.stringMatching(/^tracking active;/)],
      ],
    );
  });

  it('because Redis restarted empty, no old value is served', async () => {
    await redis.server?.stop('SIGKILL');
    await untilCoherence(proxy, 'resync');
    redis = await redis.restart();
    await proxy.recovered();
    expect((await proxy.key('key')).status).toBe(404);
    await untilCoherence(proxy, 'tracking');
  });
});

describeOwn('a Redis that rejects CLIENT TRACKING', () => {
  beforeEach(async () => {
    redis = await TestRedis.start();
    await redis.client.call('ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '&*', '+@all', '-client|tracking');
    await redis.client.set('key', 'old');
  });
  afterEach(async () => {
    await proxy.stop();
    await redis.stop();
  });

  it('leaves entries to their TTL, with a warning, until it accepts', async () => {
    proxy = await TestProxy.start({
      REDIS_URL: `redis://reader:secret@127.0.0.1:${redis.port}`,
      CACHE_COHERENCE: 'tracking',
      CACHE_TTL_MS: 3_600_000,
    });
    await untilCoherence(proxy, 'ttl');
    const cached = await untilCached('key');
    expect([cached.text, cached.headers['cache-control']]).toEqual(['old', 'max-age=3600']);
    expect((await proxy.get('/metrics')).text).toMatch(/coherence{state="ttl"} 1$/m);
    const warnings = () => proxy.log().flatMap(({ level, message }) => (level === 'warn' ? [message] : []));
    const rejected = /^CLIENT TRACKING rejected \(NOPERM: the account lacks \+client\|tracking\)/;
    await eventually(warnings, expect.arrayContaining([expect.stringMatching(rejected)]));
    await redis.client.set('key', 'new');
    expect((await proxy.key('key')).text).toBe('old');
    await redis.client.call('ACL', 'SETUSER', 'reader', '+@all');
    await untilCoherence(proxy, 'tracking');
    const response = await proxy.key('key');
    expect([response.text, response.headers['cache-control']]).toEqual(['new', 'no-cache']);
  });
});

describeOwn('an unreachable Redis', () => {
  it('does not prevent start or shutdown, and is tracked once reachable', async () => {
    redis = await TestRedis.start();
    await redis.server?.stop('SIGKILL');
    const settings = { REDIS_URL: redis.url, CACHE_COHERENCE: 'tracking' };
    proxy = await TestProxy.start(settings, '/', false);
    expect(await proxy.stop()).toBe(0);
    proxy = await TestProxy.start(settings, '/', false);
    expect(await coherenceOf(proxy)).toBe('resync');
    redis = await redis.restart();
    await untilCoherence(proxy, 'tracking');
    expect(await proxy.stop()).toBe(0);
    await redis.stop();
  });
});
