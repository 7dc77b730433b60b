import { Module } from '@nestjs/common';
import { CacheModule } from '../cache/cache.module.ts';
import { HttpModule } from '../http/http.module.ts';
import { RedisModule } from '../redis/redis.module.ts';
import { HealthController } from './health.controller.ts';

@Module({ imports: [CacheModule, HttpModule, RedisModule], controllers: [HealthController] })
export class HealthModule {}
