import { Logger, Module } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { Access } from '../access/access.ts';
import { AccessModule } from '../access/access.module.ts';
import { CacheModule } from '../cache/cache.module.ts';
import { cacheConfig } from '../config/namespaces.ts';
import { ClientTrackingCounts } from '../instance/counts/client-tracking-counts.ts';
import { CoherenceState } from '../instance/coherence-state.ts';
import { ThreadContext } from '../instance/thread-context.ts';
import { RedisCommandsModule } from '../redis-commands/redis-commands.module.ts';
import { TlsModule } from '../tls/tls.module.ts';
import { RespServer } from './server/resp-server.ts';
import { TrackingClients } from './server/tracking-clients.ts';

@Module({
  imports: [CacheModule, RedisCommandsModule, AccessModule, TlsModule],
  providers: [
    {
      provide: TrackingClients,
      inject: [ThreadContext, CoherenceState, Access, ClientTrackingCounts, cacheConfig.KEY],
      useFactory: (
        { lru, clock }: ThreadContext,
        coherence: CoherenceState,
        access: Access,
        counts: ClientTrackingCounts,
        settings: ConfigType<typeof cacheConfig>,
      ) => {
        const logger = new Logger('ClientTracking');
        const warn = (message: string): void => logger.warn(message);
        return new TrackingClients({ lru, clock, coherence, access, counts, settings, warn });
      },
    },
    RespServer,
  ],
  exports: [RespServer, TrackingClients],
})
export class RespModule {}
