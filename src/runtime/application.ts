import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AppModule } from '../app.module.ts';
import type { Settings } from '../config/settings.ts';
import { mountDocs } from '../docs/mount-docs.ts';
import { allMethods } from '../http/allowed-methods.ts';
import { HttpConnections } from '../http/http-connections.ts';
import { ProxyHttpAdapter } from '../http/proxy-http-adapter.ts';
import type { Sequencer } from '../sockets/sequencer.ts';
import { mountCommandPaths } from '../upstash/mount-command-paths.ts';
import { ProxyLogger } from './logger.ts';

/**
 * Makes one whole application; it does not listen yet.
 *
 * @param sequencer what requests wait for their turn at; undefined: they do not.
 */
export async function createApplication(
  settings: Settings,
  sequencer: Sequencer | undefined,
): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(
    AppModule.forRoot(settings),
    new ProxyHttpAdapter(settings, sequencer),
    {
      logger: new ProxyLogger(settings.log),
      bodyParser: false,
      abortOnError: false,
    },
  );
  mountDocs(app);
  if (settings.upstash.on) mountCommandPaths(app);
  app.get(HttpConnections).attach(app.getHttpServer(), () => allMethods(app.getHttpAdapter().getInstance()).join(', '));
  return app;
}
