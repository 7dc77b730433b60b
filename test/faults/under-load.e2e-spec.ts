import { expect, it } from '@jest/globals';
import { DURABLE, type Plan, playOutage, prepare } from '../../bench/outage/play.ts';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

/** Short version of `npm run bench:outage`, which also measures latencies. */
const PLAN: Plan = { rate: 500, outageMs: 2_000, normalMs: 500, returnMs: 5_000, progress: () => undefined };

describeOwn('an outage under load with 95 % hits', () => {
  it('does not affect hits; misses get 503 with Retry-After until Redis is back', async () => {
    let redis = await TestRedis.start(...DURABLE);
    const proxy = await TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: 2, CACHE_TTL_MS: 3_600_000 });
    try {
      await prepare(redis, proxy, PLAN);
      const outage = await playOutage(redis, proxy, PLAN);
      redis = outage.redis;
      for (const { tally } of [outage.before, outage.during, outage.returning, outage.after]) {
        expect([...tally.hits.keys()]).toEqual(['200']);
      }
      expect([...outage.before.tally.misses.keys()]).toEqual(['200']);
      expect([...outage.during.tally.misses.keys()]).toEqual(['503 Retry-After']);
      for (const response of outage.returning.tally.misses.keys())
        expect(['200', '503 Retry-After']).toContain(response);
      expect([...outage.after.tally.misses.keys()]).toEqual(['200']);
    } finally {
      await proxy.stop();
      await redis.stop();
    }
  });
});
