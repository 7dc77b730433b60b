import { Buffer } from 'node:buffer';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { bufferedBytes } from '../../src/cache/read-through/buffered-bytes.spec-support.ts';
import type { BufferedBytes } from '../../src/cache/read-through/buffered-bytes.ts';
import { LoadLimiter } from '../../src/cache/read-through/load-limiter.ts';
import { ReadThrough } from '../../src/cache/read-through/read-through.ts';
import { SharedLru } from '../../src/cache/shared-lru/shared-lru.ts';
import { loadSettings } from '../../src/config/load-settings.ts';
import { CoherenceState } from '../../src/instance/coherence-state.ts';
import { InstanceMemory } from '../../src/instance/instance-memory.ts';
import { ReadMetrics } from '../../src/instance/read-metrics.ts';
import { probeRedisBatches } from '../../src/redis/ioredis-internals/probe.ts';
import { redisBatches } from '../../src/redis/ioredis-internals/redis-batches.ts';
import { Query } from '../../src/redis/query.ts';
import { createRedisReader } from '../../src/redis/redis.module.ts';
import type { RedisReader } from '../../src/redis/redis-reader.ts';
import { until } from '../support/processes.ts';
import { TestRedis } from '../support/redis.ts';

const LIMIT = 2 ** 21;
/** Number of elements of 100 bytes of each list; the longest reply takes almost the whole limit. */
const LENGTHS = [800, 2000, 5000, 9000, 9000, 12_000, 18_000];
const NAMES = LENGTHS.map((length, i) => `list:${i}:${length}`);
const ELEMENT = 'x'.repeat(100);
const replyOf = (length: number): Buffer => Buffer.from(`*${length}\r\n${`$100\r\n${ELEMENT}\r\n`.repeat(length)}`);

describe.each([
  { mode: 'with private parts of ioredis', enter: () => probeRedisBatches() },
  { mode: 'with public API only', enter: () => Promise.resolve(redisBatches.disable('off')) },
])('replies that need more than the buffered-bytes limit together, $mode,', ({ enter }) => {
  let redis: TestRedis;
  let store: RedisReader;
  let reads: ReadThrough;
  let buffered: BufferedBytes;
  const queryOf = (name: string): Query =>
    Query.of(
      Buffer.from(name),
      ['LRANGE', '0', '-1'].map((word) => Buffer.from(word)),
    );

  beforeEach(async () => {
    await enter();
    redis = await TestRedis.start();
    for (const [i, name] of NAMES.entries()) await redis.client.rpush(name, ...Array<string>(LENGTHS[i]).fill(ELEMENT));
    const timeouts = { REDIS_COMMAND_TIMEOUT_MS: '30000', REDIS_CONNECT_TIMEOUT_MS: '30000' };
    const settings = loadSettings({ REDIS_URL: redis.url, ...timeouts }, '/nowhere');
    store = createRedisReader({ ...settings.redis, maxValueBytes: LIMIT }, settings.cache);
    await store.connect();
    const instance = InstanceMemory.create();
    const clock = (): number => performance.now();
    buffered = bufferedBytes(instance, 0, LIMIT);
    reads = new ReadThrough({
      // Nothing is stored: every read loads.
      lru: SharedLru.create(
        { capacity: 0, maxBytes: 2 ** 20, maxValueBytes: 100, maxLeases: 100, leaseMs: 30_000, staleMs: 0 },
        1,
        clock,
      ),
      store,
      limiter: new LoadLimiter(instance, 0, 1, settings.proxy),
      counts: new ReadMetrics(instance, 0),
      coherence: new CoherenceState(instance),
      buffered,
      clock,
      lifetimes: settings.cache,
    });
  });
  afterEach(async () => {
    store.close();
    await redis.stop();
  });

  it('are all returned, one after the other, and their memory is released', async () => {
    const names = Array.from({ length: 4 }, () => NAMES).flat();
    const isRight = await Promise.all(
      names.map(async (name, i) => {
        const outcome = await reads.read(queryOf(name));
        return outcome.kind === 'value' && outcome.value.equals(replyOf(LENGTHS[i % LENGTHS.length]));
      }),
    );
    expect(isRight).toEqual(names.map(() => true));
    await until('nothing is charged', () => buffered.total === 0 || undefined);
  });

  it('are returned by reads of many keys while they fit', async () => {
    const some = NAMES.slice(0, 5);
    const outcomes = await reads.readMany(some.map(queryOf));
    const isRight = outcomes.map((outcome, i) => outcome.kind === 'value' && outcome.value.equals(replyOf(LENGTHS[i])));
    // They exceed the limit together: the last is omitted.
    expect([isRight, outcomes.at(-1)?.kind]).toEqual([[true, true, true, true, false], 'omitted']);
    await until('nothing is charged', () => buffered.total === 0 || undefined);
  });
});
