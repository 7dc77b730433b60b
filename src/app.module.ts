import { type DynamicModule, Module } from '@nestjs/common';
import { AdminModule } from './admin/admin.module.ts';
import { configModule } from './config/config.module.ts';
import type { Settings } from './config/settings.ts';
import { DashboardModule } from './dashboard/dashboard.module.ts';
import { HealthModule } from './health/health.module.ts';
import { HttpModule } from './http/http.module.ts';
import { MetricsModule } from './metrics/metrics.module.ts';
import { RespModule } from './resp/resp.module.ts';
import type { Ports } from './runtime/listeners.ts';
import { RuntimeModule } from './runtime/runtime.module.ts';
import { TelemetryModule } from './telemetry/telemetry.module.ts';
import { UpstashModule } from './upstash/upstash.module.ts';
import { WarmupModule } from './warmup/warmup.module.ts';

@Module({})
export class AppModule {
  static forRoot(settings: Settings, ports: Ports): DynamicModule {
    return {
      module: AppModule,
      imports: [
        configModule(settings),
        TelemetryModule,
        HttpModule,
        RespModule,
        AdminModule,
        HealthModule,
        MetricsModule,
        ...(settings.upstash.on ? [UpstashModule] : []),
        // After UpstashModule, whose POST / must match first.
        DashboardModule,
        ...(settings.cache.warmupFile === undefined ? [] : [WarmupModule]),
        RuntimeModule.forRoot(settings, ports),
      ],
    };
  }
}
