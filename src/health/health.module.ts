import { Module } from '@nestjs/common';
import { CacheModule } from '../cache/cache.module.ts';
import { HttpModule } from '../http/http.module.ts';
import { RedisModule } from '../redis/redis.module.ts';
import { RespModule } from '../resp/resp.module.ts';
import { HealthController } from './health.controller.ts';
import { ReadinessCheck } from './readiness.ts';
import { SelfCheck } from './self-check.ts';

@Module({
  imports: [CacheModule, HttpModule, RedisModule, RespModule],
  controllers: [HealthController],
  providers: [ReadinessCheck, SelfCheck],
})
export class HealthModule {}
