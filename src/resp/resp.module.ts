import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.ts';
import { CacheModule } from '../cache/cache.module.ts';
import { CommandsModule } from '../commands/commands.module.ts';
import { RespServer } from './resp-server.ts';

@Module({ imports: [CacheModule, CommandsModule, AccessModule], providers: [RespServer], exports: [RespServer] })
export class RespModule {}
