import { Module } from '@nestjs/common';
import { HttpModule } from '../http/http.module.ts';
import { RedisModule } from '../redis/redis.module.ts';
import { HealthController } from './health.controller.ts';

@Module({ imports: [HttpModule, RedisModule], controllers: [HealthController] })
export class HealthModule {}
