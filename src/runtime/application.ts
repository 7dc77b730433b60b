import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { ADMIN_SCHEMAS } from '../admin/admin.openapi.ts';
import { AppModule } from '../app.module.ts';
import type { Settings } from '../config/settings.ts';
import { mountDocs } from '../openapi/mount-docs.ts';
import { HEALTH_SCHEMAS } from '../health/health.openapi.ts';
import { MGET_SCHEMAS } from '../http/mget/mget.openapi.ts';
import { ProxyHttpAdapter } from '../http/server/proxy-http-adapter.ts';
import { KEY_SCHEMAS } from '../http/keys/keys.openapi.ts';
import { METRICS_SCHEMAS } from '../metrics/metrics.controller.ts';
import { mountCommandPaths } from '../upstash/mount-command-paths.ts';
import { UPSTASH_SCHEMAS } from '../upstash/upstash.openapi.ts';
import type { Ports } from './listeners.ts';
import { ProxyLogger } from './logger.ts';

/** Creates the application of a worker thread; it listens when it is initialised. */
export async function createApplication(settings: Settings, ports: Ports): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(
    AppModule.forRoot(settings, ports),
    new ProxyHttpAdapter(settings),
    {
      logger: new ProxyLogger(settings.log),
      bodyParser: false,
      abortOnError: false,
    },
  );
  mountDocs(app, settings, {
    ...KEY_SCHEMAS,
    ...MGET_SCHEMAS,
    ...(settings.upstash.on ? UPSTASH_SCHEMAS : {}),
    ...ADMIN_SCHEMAS,
    ...HEALTH_SCHEMAS,
    ...METRICS_SCHEMAS,
  });
  if (settings.upstash.on) mountCommandPaths(app);
  return app;
}
