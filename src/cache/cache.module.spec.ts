import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Test, type TestingModule } from '@nestjs/testing';
import { configModule } from '../config/config.module.ts';
import { loadSettings } from '../config/load-settings.ts';
import { ReadMetrics } from '../instance/read-metrics.ts';
import { ThreadContext, createInstance } from '../instance/thread-context.ts';
import { RedisReader } from '../redis/redis-reader.ts';
import type { RedisReply } from '../redis/redis-reply.ts';
import { CacheModule } from './cache.module.ts';
import { CacheService } from './cache.service.ts';
import { HitBuffer } from './shared-lru/hit-buffer.ts';
import { Query } from '../redis/query.ts';

/** A Redis whose keys all have the same value. */
class FakeReader {
  readonly events: string[] = [];

  connect(): Promise<void> {
    this.events.push('connect');
    return Promise.resolve();
  }

  watch(): void {
    // Its state never changes.
  }

  close(): void {
    this.events.push('close');
  }

  fetch({ key }: Query, onReply: (reply: RedisReply) => void): void {
    this.events.push(`fetch ${key.toString()}`);
    setImmediate(() => onReply({ kind: 'value', value: Buffer.from('value'), ttlMs: undefined }));
  }

  ttl(): Promise<object> {
    return Promise.resolve({ kind: 'persistent' });
  }
}

describe('CacheModule', () => {
  const key = Buffer.from('key');
  let redis: FakeReader;
  let module: TestingModule;
  let cache: CacheService;

  beforeEach(async () => {
    redis = new FakeReader();
    const settings = loadSettings({ CACHE_CAPACITY: '2', CACHE_MAX_BYTES: '1048576', PROXY_THREADS: '1' }, '/nowhere');
    module = await Test.createTestingModule({ imports: [configModule(settings), CacheModule] })
      .overrideProvider(RedisReader)
      .useValue(redis)
      .overrideProvider(ThreadContext)
      .useValue(createInstance(settings))
      .compile();
    await module.init();
    cache = module.get(CacheService);
  });
  afterEach(() => module.close());

  it('exports a service that loads a miss from Redis and serves the next read from the LRU', async () => {
    expect(await cache.read(Query.get(key))).toMatchObject({
      kind: 'value',
      value: Buffer.from('value'),
      origin: 'stored',
    });
    expect(cache.read(Query.get(key))).toMatchObject({ kind: 'hit', value: Buffer.from('value') });
    const hit = new HitBuffer();
    expect(cache.tryGetInto(key, 0, key.length, hit)).toBe(true);
    expect(redis.events).toEqual(['connect', 'fetch key']);
    expect(cache.stats()).toMatchObject({ hits: 2, misses: 1, loads: 1, hitRatio: 2 / 3, limits: { capacity: 2 } });
    expect(module.get(ReadMetrics).loads).toBe(1);
  });

  it('keeps no more keys than its capacity, and purges and flushes them', async () => {
    await cache.readMany(['a', 'b', 'c'].map((name) => Buffer.from(name)).map((key) => Query.get(key)));
    expect(cache.stats()).toMatchObject({ entries: 2, loads: 3 });
    expect([cache.purge(Buffer.from('a')), cache.purge(Buffer.from('c'))]).toEqual([false, true]);
    expect(cache.flush()).toBe(1);
    expect(cache.stats()).toMatchObject({ entries: 0, hitRatio: 0 });
  });

  it('queries Redis for a TTL each time', async () => {
    expect(await cache.queries.ttls([key])).toEqual([{ kind: 'persistent' }]);
    expect(cache.stats()).toMatchObject({ loads: 1, misses: 0 });
  });

  it('has connected Redis, and closes it on shutdown', async () => {
    expect(redis.events).toEqual(['connect']);
    await module.close();
    expect(redis.events).toEqual(['connect', 'close']);
  });
});
