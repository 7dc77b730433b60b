/**
 * Measures misses without a transport: ReadThrough and RedisReader with a real Redis; every key is cold, and each of 64
 * readers reads its next key once the previous read has completed. Prints loads per second, and CPU time of this process
 * and of Redis per load. On one core with its Redis: `taskset -c 0 npm run bench:misses`
 */
import { BufferedBytes } from '../src/cache/read-through/buffered-bytes.ts';
import { monotonicClock } from '../src/cache/shared-lru/clock.ts';
import { InstanceMemory } from '../src/instance/instance-memory.ts';
import { LoadLimiter } from '../src/cache/read-through/load-limiter.ts';
import { ReadThrough } from '../src/cache/read-through/read-through.ts';
import { ReadMetrics } from '../src/instance/read-metrics.ts';
import { SharedLru } from '../src/cache/shared-lru/shared-lru.ts';
import type { loadSettings as LoadSettings } from '../src/config/load-settings.ts';
import type { probeRedisBatches } from '../src/redis/ioredis-internals/probe.ts';
import type { createRedisReader as CreateRedisReader } from '../src/redis/redis.module.ts';
import { TestRedis } from '../test/support/redis.ts';
import { cpuSeconds } from './processes.ts';
import { spread } from './spread.ts';
import { Query } from '../src/redis/query.ts';

const KEYS = 200_000;
const CAPACITY = 10_000;
const VALUE_BYTES = 100;
const READERS = 64;
const ROUNDS = Number(process.env.ROUNDS ?? 5);
const LOADS_PER_ROUND = 200_000;

interface Round {
  readonly perSecond: number;
  readonly ownUs: number;
  readonly redisUs: number;
}

// Imported from the build: their decorators must be compiled.
const { loadSettings } = (await import(built('config/load-settings.js'))) as { loadSettings: typeof LoadSettings };
const { createRedisReader } = (await import(built('redis/redis.module.js'))) as {
  createRedisReader: typeof CreateRedisReader;
};

const { probeRedisBatches: probe } = (await import(built('redis/ioredis-internals/probe.js'))) as {
  probeRedisBatches: typeof probeRedisBatches;
};

// Like worker threads before they listen; without the probe, reads use the public API of ioredis.
await probe();
const redis = await TestRedis.start();
await seed();
const settings = loadSettings({ REDIS_URL: redis.url }, '/nowhere');
const store = createRedisReader(settings.redis, settings.cache);
await store.connect();
const reads = readThrough();

let next = 0;
await run(LOADS_PER_ROUND);
const rounds: Round[] = [];
for (let round = 0; round < ROUNDS; round++) rounds.push(await run(LOADS_PER_ROUND));
console.log('| loads/s | CPU time per load | of Redis |\n| --- | --- | --- |');
const perSecond = rounds.map((round) => round.perSecond / 1000);
const own = rounds.map((round) => round.ownUs);
const theirs = rounds.map((round) => round.redisUs);
console.log(`| ${spread(perSecond, 1)} k | ${spread(own, 2)} µs | ${spread(theirs, 2)} µs |`);
store.close();
await redis.stop();

async function seed(): Promise<void> {
  for (let from = 0; from < KEYS; from += 10_000) {
    const pairs = Array.from({ length: 10_000 }, (_, i) => [nameOf(from + i), 'v'.repeat(VALUE_BYTES)]);
    await redis.client.mset(pairs.flat());
  }
}

function readThrough(): ReadThrough {
  const clock = monotonicClock();
  const limits = {
    capacity: CAPACITY,
    maxBytes: 2 ** 28,
    maxValueBytes: 2 ** 20,
    maxLeases: 10_256,
    leaseMs: 5000,
    staleMs: 0,
  };
  const instance = InstanceMemory.create();
  return new ReadThrough({
    lru: SharedLru.create(limits, 1, clock),
    store,
    limiter: new LoadLimiter(instance, 0, 1, settings.proxy),
    counts: new ReadMetrics(instance, 0),
    coherence: { canStore: true },
    buffered: new BufferedBytes(instance, 0, settings.proxy, clock),
    clock,
    lifetimes: settings.cache,
  });
}

async function run(loads: number): Promise<Round> {
  const end = next + loads;
  const start = performance.now();
  const cpu = process.cpuUsage();
  const redisBefore = cpuSeconds(redis.server?.process.pid ?? 0);
  await Promise.all(Array.from({ length: READERS }, () => read(end)));
  const wallMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  const redisS = cpuSeconds(redis.server?.process.pid ?? 0) - redisBefore;
  return { perSecond: (loads / wallMs) * 1000, ownUs: (user + system) / loads, redisUs: (redisS * 1e6) / loads };
}

async function read(end: number): Promise<void> {
  while (next < end) {
    const outcome = await reads.read(Query.get(Buffer.from(nameOf(next++ % KEYS))));
    if (outcome.kind !== 'value' || outcome.value.length !== VALUE_BYTES) throw new Error(`got ${outcome.kind}`);
  }
}

function nameOf(key: number): string {
  return `key:${String(key).padStart(8, '0')}`;
}

function built(file: string): string {
  return new URL(`../build/${file}`, import.meta.url).href;
}
