import { Module } from '@nestjs/common';
import { CacheModule } from '../cache/cache.module.ts';
import { RedisCommandsModule } from '../redis-commands/redis-commands.module.ts';
import { TlsModule } from '../tls/tls.module.ts';
import { MetricsController } from './metrics.controller.ts';
import { MetricsService } from './metrics.service.ts';

@Module({
  imports: [CacheModule, RedisCommandsModule, TlsModule],
  controllers: [MetricsController],
  providers: [MetricsService],
})
export class MetricsModule {}
