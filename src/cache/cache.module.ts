import { Module } from '@nestjs/common';
import { Settings } from '../config/settings.ts';
import { RedisModule } from '../redis/redis.module.ts';
import { RedisService } from '../redis/redis.service.ts';
import { CacheService } from './cache.service.ts';
import { monotonicClock } from './clock.ts';
import { ReadThrough } from './read-through.ts';
import { SharedLru } from './shared-lru.ts';

/** Keys that may be on their way from Redis at the same time, each asked for once. */
const MAX_LEASES = 16_384;
/** What a lease lasts beyond the longest load: time to store what was loaded. */
const LEASE_MARGIN_MS = 1000;
/** This thread's name in the cache's lock. */
const THREAD = 1;

@Module({
  imports: [RedisModule],
  providers: [
    {
      provide: SharedLru,
      inject: [Settings],
      useFactory: ({ cache, redis }: Settings) =>
        SharedLru.create(
          {
            capacity: cache.capacity,
            maxBytes: cache.maxBytes,
            maxValueBytes: cache.maxValueBytes,
            maxLeases: MAX_LEASES,
            leaseMs: redis.commandTimeoutMs + LEASE_MARGIN_MS,
          },
          THREAD,
          monotonicClock(),
        ),
    },
    {
      provide: ReadThrough,
      inject: [SharedLru, RedisService, Settings],
      useFactory: (lru: SharedLru, redis: RedisService, { cache }: Settings) =>
        new ReadThrough(lru, redis, monotonicClock(), cache),
    },
    CacheService,
  ],
  exports: [CacheService],
})
export class CacheModule {}
