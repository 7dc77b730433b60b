import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.ts';
import { CacheModule } from '../cache/cache.module.ts';
import { DashboardController } from './dashboard.controller.ts';
import { PageFiles, dashboardFiles } from './page-files.ts';
import { SnapshotService } from './snapshot.service.ts';

@Module({
  imports: [AccessModule, CacheModule],
  controllers: [DashboardController],
  providers: [SnapshotService, { provide: PageFiles, useFactory: () => new PageFiles(dashboardFiles()) }],
})
export class DashboardModule {}
