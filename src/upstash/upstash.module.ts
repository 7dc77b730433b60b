import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.ts';
import { CacheModule } from '../cache/cache.module.ts';
import { RedisCommandsModule } from '../redis-commands/redis-commands.module.ts';
import { HttpModule } from '../http/http.module.ts';
import { UpstashController } from './upstash.controller.ts';

@Module({ imports: [AccessModule, CacheModule, RedisCommandsModule, HttpModule], controllers: [UpstashController] })
export class UpstashModule {}
