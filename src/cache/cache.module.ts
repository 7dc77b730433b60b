import { Module } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { proxyConfig } from '../config/namespaces.ts';
import { RedisModule } from '../redis/redis.module.ts';
import { BufferedBytes } from './read-through/buffered-bytes.ts';
import { CacheService } from './cache.service.ts';
import { ClientTrackingCounts } from '../instance/counts/client-tracking-counts.ts';
import { CoherenceCounts } from '../instance/counts/coherence-counts.ts';
import { CoherenceState } from '../instance/coherence-state.ts';
import { ConnectionLimiter } from '../instance/connection-limiter.ts';
import { InstanceStats } from '../instance/instance-stats.ts';
import { LoadLimiter } from './read-through/load-limiter.ts';
import { ReadMetrics } from '../instance/read-metrics.ts';
import { ThreadContext, attachThread } from '../instance/thread-context.ts';
import { WarmupState } from '../instance/warmup-state.ts';

@Module({
  imports: [RedisModule],
  providers: [
    { provide: ThreadContext, useFactory: attachThread },
    {
      provide: LoadLimiter,
      inject: [ThreadContext, proxyConfig.KEY],
      useFactory: ({ instance, threadIndex, lockOwnerId }: ThreadContext, proxy: ConfigType<typeof proxyConfig>) =>
        new LoadLimiter(instance, threadIndex, lockOwnerId, proxy),
    },
    {
      provide: BufferedBytes,
      inject: [ThreadContext, proxyConfig.KEY],
      useFactory: ({ instance, threadIndex, clock }: ThreadContext, proxy: ConfigType<typeof proxyConfig>) =>
        new BufferedBytes(instance, threadIndex, proxy, clock),
    },
    {
      provide: ReadMetrics,
      inject: [ThreadContext],
      useFactory: ({ instance, threadIndex }: ThreadContext) => new ReadMetrics(instance, threadIndex),
    },
    {
      provide: ConnectionLimiter,
      inject: [ThreadContext, proxyConfig.KEY],
      useFactory: ({ instance, threadIndex }: ThreadContext, proxy: ConfigType<typeof proxyConfig>) =>
        new ConnectionLimiter(instance, threadIndex, proxy.maxConnections),
    },
    {
      provide: InstanceStats,
      inject: [ThreadContext, proxyConfig.KEY],
      useFactory: ({ instance }: ThreadContext, proxy: ConfigType<typeof proxyConfig>) =>
        new InstanceStats(instance, proxy.threads),
    },
    {
      provide: CoherenceState,
      inject: [ThreadContext],
      useFactory: ({ instance }: ThreadContext) => new CoherenceState(instance),
    },
    {
      provide: CoherenceCounts,
      inject: [ThreadContext],
      useFactory: ({ instance }: ThreadContext) => new CoherenceCounts(instance),
    },
    {
      provide: ClientTrackingCounts,
      inject: [ThreadContext],
      useFactory: ({ instance, threadIndex }: ThreadContext) => new ClientTrackingCounts(instance, threadIndex),
    },
    {
      provide: WarmupState,
      inject: [ThreadContext],
      useFactory: ({ instance }: ThreadContext) => new WarmupState(instance),
    },
    CacheService,
  ],
  exports: [
    BufferedBytes,
    CacheService,
    ClientTrackingCounts,
    CoherenceCounts,
    CoherenceState,
    ConnectionLimiter,
    InstanceStats,
    ReadMetrics,
    ThreadContext,
    WarmupState,
  ],
})
export class CacheModule {}
