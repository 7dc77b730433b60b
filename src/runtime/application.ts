import { NestFactory, Reflector } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { ADMIN_SCHEMAS } from '../admin/admin.openapi.ts';
import { AppModule } from '../app.module.ts';
import type { Settings } from '../config/settings.ts';
import { mountDocs } from '../openapi/mount-docs.ts';
import { HEALTH_SCHEMAS } from '../health/health.openapi.ts';
import { allMethods } from '../http/server/allowed-methods.ts';
import { HttpConnections } from '../http/server/http-connections.ts';
import { MGET_SCHEMAS } from '../http/mget/mget.openapi.ts';
import { ProxyHttpAdapter } from '../http/server/proxy-http-adapter.ts';
import { KEY_SCHEMAS } from '../http/keys/keys.openapi.ts';
import { SequentialGuard } from '../http/server/sequential.guard.ts';
import { METRICS_SCHEMAS } from '../metrics/metrics.controller.ts';
import type { Mutex } from '../net/mutex.ts';
import { mountCommandPaths } from '../upstash/mount-command-paths.ts';
import { UPSTASH_SCHEMAS } from '../upstash/upstash.openapi.ts';
import { ProxyLogger } from './logger.ts';

/**
 * Creates the application of a worker thread; it does not listen yet.
 *
 * @param mutex the mutex that serialises requests in sequential mode; undefined in parallel mode.
 */
export async function createApplication(settings: Settings, mutex: Mutex | undefined): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(
    AppModule.forRoot(settings),
    new ProxyHttpAdapter(settings),
    {
      logger: new ProxyLogger(settings.log),
      bodyParser: false,
      abortOnError: false,
    },
  );
  if (mutex !== undefined) app.useGlobalGuards(new SequentialGuard(mutex, app.get(Reflector)));
  mountDocs(app, settings, {
    ...KEY_SCHEMAS,
    ...MGET_SCHEMAS,
    ...(settings.upstash.on ? UPSTASH_SCHEMAS : {}),
    ...ADMIN_SCHEMAS,
    ...HEALTH_SCHEMAS,
    ...METRICS_SCHEMAS,
  });
  if (settings.upstash.on) mountCommandPaths(app);
  app.get(HttpConnections).attach(app.getHttpServer(), () => allMethods(app.getHttpAdapter().getInstance()).join(', '));
  return app;
}
