import { Module } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { AccessModule } from '../access/access.module.ts';
import { CacheModule } from '../cache/cache.module.ts';
import { opsConfig } from '../config/namespaces.ts';
import { LOOKUP_PATH } from '../http/server/ops-listener.ts';
import { RedisModule } from '../redis/redis.module.ts';
import { DashboardController } from './dashboard.controller.ts';
import { PageFiles, dashboardFiles } from './page-files.ts';
import { SnapshotService } from './snapshot.service.ts';

@Module({
  imports: [AccessModule, CacheModule, RedisModule],
  controllers: [DashboardController],
  providers: [
    SnapshotService,
    {
      provide: PageFiles,
      inject: [opsConfig.KEY],
      useFactory: ({ port }: ConfigType<typeof opsConfig>) =>
        new PageFiles(dashboardFiles(), port === undefined ? '.' : LOOKUP_PATH.slice(1)),
    },
  ],
})
export class DashboardModule {}
