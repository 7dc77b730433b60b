import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AppModule } from '../app.module.ts';
import type { Settings } from '../config/settings.ts';
import { mountDocs } from '../openapi/mount-docs.ts';
import { ProxyHttpAdapter } from '../http/server/proxy-http-adapter.ts';
import { mountCommandPaths } from '../upstash/mount-command-paths.ts';
import type { Ports } from './listeners.ts';
import { ProxyLogger, logLibraryWarnings } from './logger.ts';

/** Creates the application of a worker thread; it listens when it is initialised. */
export async function createApplication(settings: Settings, ports: Ports): Promise<NestExpressApplication> {
  const logger = new ProxyLogger(settings.log);
  logLibraryWarnings(logger);
  const adapter = new ProxyHttpAdapter(settings);
  const app = await NestFactory.create<NestExpressApplication>(AppModule.forRoot(settings, ports), adapter, {
    logger,
    bodyParser: false,
    abortOnError: false,
  });
  mountDocs(adapter, settings);
  if (settings.upstash.on) mountCommandPaths(app);
  return app;
}
