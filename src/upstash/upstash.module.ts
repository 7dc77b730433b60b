import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.ts';
import { CacheModule } from '../cache/cache.module.ts';
import { CommandsModule } from '../redis-commands/redis-commands.module.ts';
import { HttpModule } from '../http/http.module.ts';
import { UpstashController } from './upstash.controller.ts';

@Module({ imports: [AccessModule, CacheModule, CommandsModule, HttpModule], controllers: [UpstashController] })
export class UpstashModule {}
