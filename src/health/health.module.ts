import { Module } from '@nestjs/common';
import { RedisModule } from '../redis/redis.module.ts';
import { HealthController } from './health.controller.ts';

@Module({ imports: [RedisModule], controllers: [HealthController] })
export class HealthModule {}
