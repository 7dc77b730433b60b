import { Logger } from '@nestjs/common';
import { LayoutError } from './cache/layout.ts';
import { SettingsError, loadSettings } from './config/load-settings.ts';
import { freePort } from './runtime/free-port.ts';
import { ProxyLogger } from './runtime/logger.ts';
import { endOnSignal } from './runtime/signals.ts';
import { StartError, Supervisor } from './runtime/supervisor.ts';

let supervisor: Supervisor | undefined;

try {
  const settings = loadSettings(process.env);
  const logger = new ProxyLogger(settings.log);
  Logger.overrideLogger(logger);
  endOnSignal(async () => supervisor?.drain(), settings.shutdownGraceMs);
  logger.log('starting', { settings }, 'Supervisor');
  const port = await freePort(settings.http.host, settings.http.port);
  supervisor = new Supervisor(settings, port);
  await supervisor.start();
  if (!supervisor.draining) logger.log(`listening on ${urlOf(settings.http.host, port)}`, 'Supervisor');
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exit(1);
}

/** Where a browser on the same machine finds the proxy. */
function urlOf(host: string, port: number): string {
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}

/** A line per problem; a stack only for what nobody foresaw. */
function explain(error: unknown): string {
  if (error instanceof SettingsError || error instanceof StartError) return error.message;
  if (error instanceof LayoutError) return `CACHE_CAPACITY, CACHE_MAX_BYTES: ${error.message}`;
  const { syscall, message, stack } = error as NodeJS.ErrnoException;
  return syscall === undefined ? (stack ?? message) : `HTTP_HOST, HTTP_PORT: ${message}`;
}
