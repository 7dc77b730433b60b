import { ConsoleLogger, type LogLevel } from '@nestjs/common';
import type { Settings } from '../config/settings.ts';

/** Our levels, the most severe first, and what Nest calls them. */
const NEST_LEVELS: Readonly<Record<Settings['log']['level'], LogLevel>> = {
  fatal: 'fatal',
  error: 'error',
  warn: 'warn',
  info: 'log',
  debug: 'debug',
  trace: 'verbose',
};

/** What Nest says of its own start is of interest to those who debug it. */
const NEST_CONTEXTS = new Set(['NestFactory', 'InstanceLoader', 'RoutesResolver', 'RouterExplorer', 'NestApplication']);

export class ProxyLogger extends ConsoleLogger {
  constructor({ level, format }: Settings['log']) {
    const names = Object.keys(NEST_LEVELS) as (keyof typeof NEST_LEVELS)[];
    super({
      json: format === 'json',
      colors: format === 'pretty' && process.stdout.isTTY,
      logLevels: names.slice(0, names.indexOf(level) + 1).map((name) => NEST_LEVELS[name]),
    });
  }

  override log(message: unknown, ...rest: unknown[]): void {
    const context = rest.at(-1);
    if (typeof context === 'string' && NEST_CONTEXTS.has(context)) this.debug(message, ...rest);
    else super.log(message, ...rest);
  }
}
