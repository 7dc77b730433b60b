import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.ts';
import { CacheModule } from '../cache/cache.module.ts';
import { AdminController } from './admin.controller.ts';

@Module({ imports: [AccessModule, CacheModule], controllers: [AdminController] })
export class AdminModule {}
