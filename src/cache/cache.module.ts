import { Module } from '@nestjs/common';
import { Settings } from '../config/settings.ts';
import { RedisModule } from '../redis/redis.module.ts';
import { RedisService } from '../redis/redis.service.ts';
import { BufferedBytes } from './buffered-bytes.ts';
import { CacheService } from './cache.service.ts';
import { CoherenceCounts } from './coherence-counts.ts';
import { CoherenceState } from './coherence-state.ts';
import { ConnectionCount } from './connection-count.ts';
import { InstanceStats } from './instance-stats.ts';
import { KeyQueries } from './key-queries.ts';
import { LoadGate } from './load-gate.ts';
import { ReadThrough } from './read-through.ts';
import { RequestCounts } from './request-counts.ts';
import { ThreadContext, attachThread } from './thread-context.ts';

@Module({
  imports: [RedisModule],
  providers: [
    { provide: ThreadContext, useFactory: attachThread },
    {
      provide: LoadGate,
      inject: [ThreadContext, Settings],
      useFactory: ({ instance, row, owner }: ThreadContext, { proxy }: Settings) =>
        new LoadGate(instance, row, owner, proxy),
    },
    {
      provide: BufferedBytes,
      inject: [ThreadContext, Settings],
      useFactory: ({ instance, row, clock }: ThreadContext, { proxy }: Settings) =>
        new BufferedBytes(instance, row, proxy, clock),
    },
    {
      provide: RequestCounts,
      inject: [ThreadContext],
      useFactory: ({ instance, row }: ThreadContext) => new RequestCounts(instance, row),
    },
    {
      provide: ConnectionCount,
      inject: [ThreadContext, Settings],
      useFactory: ({ instance, row }: ThreadContext, { proxy }: Settings) =>
        new ConnectionCount(instance, row, proxy.maxConnections),
    },
    {
      provide: InstanceStats,
      inject: [ThreadContext, Settings],
      useFactory: ({ instance }: ThreadContext, { proxy }: Settings) => new InstanceStats(instance, proxy.threads),
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
      provide: ReadThrough,
      inject: [ThreadContext, RedisService, LoadGate, RequestCounts, CoherenceState, BufferedBytes, Settings],
      useFactory: (
        { lru, clock }: ThreadContext,
        store: RedisService,
        gate: LoadGate,
        counts: RequestCounts,
        coherence: CoherenceState,
        buffered: BufferedBytes,
        { cache }: Settings,
      ) => new ReadThrough({ lru, store, gate, counts, clock, coherence, buffered, lifetimes: cache }),
    },
    {
      provide: KeyQueries,
      inject: [ThreadContext, RedisService, LoadGate, RequestCounts],
      useFactory: ({ clock }: ThreadContext, store: RedisService, gate: LoadGate, counts: RequestCounts) =>
        new KeyQueries(store, gate, counts, clock),
    },
    CacheService,
  ],
  exports: [
    BufferedBytes,
    CacheService,
    CoherenceCounts,
    CoherenceState,
    ConnectionCount,
    InstanceStats,
    RequestCounts,
    ThreadContext,
  ],
})
export class CacheModule {}
