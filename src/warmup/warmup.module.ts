import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.ts';
import { CacheModule } from '../cache/cache.module.ts';
import { RedisModule } from '../redis/redis.module.ts';
import { WarmupService } from './warmup.service.ts';

@Module({ imports: [AccessModule, CacheModule, RedisModule], providers: [WarmupService] })
export class WarmupModule {}
