import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import { LayoutError } from './cache/layout.ts';
import { SettingsError, loadSettings } from './config/load-settings.ts';
import { createApplication } from './runtime/application.ts';
import { shutDownOnSignal } from './runtime/shutdown.ts';

try {
  const settings = loadSettings(process.env);
  const app = await createApplication(settings);
  shutDownOnSignal(app, settings.shutdownGraceMs);
  await app.listen(settings.http.port, settings.http.host);
  new Logger('Proxy').log(`listening on ${await app.getUrl()}`);
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exit(1);
}

/** A line per problem; a stack only for what nobody foresaw. */
function explain(error: unknown): string {
  if (error instanceof SettingsError) return error.message;
  if (error instanceof LayoutError) return `CACHE_CAPACITY, CACHE_MAX_BYTES: ${error.message}`;
  const { code, message, stack } = error as NodeJS.ErrnoException;
  return code === undefined ? (stack ?? message) : `HTTP_HOST, HTTP_PORT: ${message}`;
}
