import type { DynamicModule, Type } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { Test } from '@nestjs/testing';
import { configModule } from '../config/config.module.ts';
import { loadSettings } from '../config/load-settings.ts';
import { ProxyHttpAdapter } from './server/proxy-http-adapter.ts';
import { HttpModule } from './http.module.ts';
import { ThreadContext, createInstance } from '../instance/thread-context.ts';
import type { Query } from '../redis/query.ts';
import type { RedisCheck, RedisReply, RedisType } from '../redis/redis-reply.ts';
import type { ReadSources } from '../redis/replicas/read-sources.ts';
import { RedisReader } from '../redis/redis-reader.ts';

/** Small, so that a spec reserves little memory. */
const DEFAULTS = { CACHE_CAPACITY: '10', CACHE_MAX_BYTES: '1048576', PROXY_THREADS: '1' };

/** Redis as the modules see it: every key has the same value, and nothing connects. */
export class RedisStub implements Omit<RedisReader, 'ttl'> {
  reply: RedisReply = { kind: 'value', value: Buffer.from('value'), ttlMs: undefined };
  checked: RedisCheck = { kind: 'ok' };

  connect(): Promise<void> {
    return Promise.resolve();
  }

  sources: ReadSources | undefined;

  useSources(): void {}

  close(): void {}

  watch(): void {}

  watchCircuit(): void {}

  watchRefused(): void {}

  watchReplaced(): void {}

  watchServed(): void {}

  fetch(_query: Query, onReply: (reply: RedisReply) => void): void {
    setImmediate(() => onReply(this.reply));
  }

  type(): Promise<RedisType> {
    return Promise.resolve({ kind: 'type', type: 'list' });
  }

  check(): Promise<RedisCheck> {
    return Promise.resolve(this.checked);
  }
}

/**
 * Builds an application of a module and the HTTP module, which has the exception filter, in the way a worker thread does,
 * with memory of its own and a stub in place of Redis. Close it after use; supertest makes its server listen.
 *
 * @param environment settings as environment variables.
 * @param mount installs middleware before the routes.
 */
export async function createModuleApp(
  module: Type | DynamicModule,
  environment: Readonly<Record<string, string>> = {},
  redis = new RedisStub(),
  mount: (app: NestExpressApplication) => void = () => undefined,
): Promise<NestExpressApplication> {
  const settings = loadSettings({ ...DEFAULTS, ...environment }, '/nowhere');
  const testing = await Test.createTestingModule({ imports: [configModule(settings), HttpModule, module] })
    .overrideProvider(RedisReader)
    .useValue(redis)
    .overrideProvider(ThreadContext)
    .useValue(createInstance(settings))
    .compile();
  const app = testing.createNestApplication<NestExpressApplication>(new ProxyHttpAdapter(settings), {
    bodyParser: false,
    logger: false,
  });
  mount(app);
  return app.init();
}
