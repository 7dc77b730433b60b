import { Module } from '@nestjs/common';
import { CacheModule } from '../cache/cache.module.ts';
import { AdminController } from './admin.controller.ts';

@Module({ imports: [CacheModule], controllers: [AdminController] })
export class AdminModule {}
