import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.ts';
import { CacheModule } from '../cache/cache.module.ts';
import { RedisCommandsModule } from '../redis-commands/redis-commands.module.ts';
import { RespServer } from './server/resp-server.ts';

@Module({ imports: [CacheModule, RedisCommandsModule, AccessModule], providers: [RespServer], exports: [RespServer] })
export class RespModule {}
