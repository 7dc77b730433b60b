import { format } from 'node:util';
import { isMainThread, workerData } from 'node:worker_threads';
import { ConsoleLogger, type LogLevel, type LoggerService } from '@nestjs/common';
import type { ThreadData } from '../instance/thread-context.ts';
import type { Settings } from '../config/settings.ts';

/** The values of LOG_LEVEL, the most severe first, and the corresponding levels of NestJS. */
const NEST_LEVELS: Readonly<Record<Settings['log']['level'], LogLevel>> = {
  fatal: 'fatal',
  error: 'error',
  warn: 'warn',
  info: 'log',
  debug: 'debug',
  trace: 'verbose',
};

const OUR_LEVELS = new Map(Object.entries(NEST_LEVELS).map(([ours, nest]) => [nest, ours]));

/** The contexts of NestJS' own start, which are logged at the level debug. */
const NEST_CONTEXTS = new Set(['NestFactory', 'InstanceLoader', 'RoutesResolver', 'RouterExplorer', 'NestApplication']);

/** Logs one JSON object per line, with the levels and fields that log collectors expect, or lines for people. */
export class ProxyLogger extends ConsoleLogger {
  readonly #thread = isMainThread ? undefined : (workerData as ThreadData).row;

  constructor({ level, format }: Settings['log']) {
    const names = Object.keys(NEST_LEVELS) as (keyof typeof NEST_LEVELS)[];
    super({
      json: format === 'json',
      colors: format === 'pretty',
      flattenParams: true,
      logLevels: names.slice(0, names.indexOf(level) + 1).map((name) => NEST_LEVELS[name]),
    });
  }

  override log(message: unknown, ...rest: unknown[]): void {
    const context = rest.at(-1);
    if (typeof context === 'string' && NEST_CONTEXTS.has(context)) this.debug(message, ...rest);
    else super.log(message, ...rest);
  }

  /** Writes all levels to stdout, so that the lines stay in order. */
  protected override printMessages(...args: Parameters<ConsoleLogger['printMessages']>): void {
    args[3] = 'stdout';
    super.printMessages(...args);
  }

  protected override getJsonLogObject(...args: Parameters<ConsoleLogger['getJsonLogObject']>) {
    const { level, timestamp, ...rest } = super.getJsonLogObject(...args);
    return {
      time: new Date(timestamp).toISOString(),
      level: OUR_LEVELS.get(level) ?? level,
      thread: this.#thread,
      ...rest,
    } as unknown as ReturnType<ConsoleLogger['getJsonLogObject']>;
  }
}

/**
 * Logs what libraries of this thread print with `console.warn`, as ioredis does, which would be lines without level and time.
 * A text that follows itself is logged once, because each connection repeats it.
 */
export function logLibraryWarnings(logger: Pick<LoggerService, 'warn'>): void {
  let last: string | undefined;
  // eslint-disable-next-line no-console -- it is replaced, not called
  console.warn = (...values: unknown[]): void => {
    const text = format(...values).replace(/^\[(?:WARN|ERROR)\] /, '');
    if (text !== last) logger.warn(text, 'Libraries');
    last = text;
  };
}
