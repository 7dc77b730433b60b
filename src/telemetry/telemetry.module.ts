import { Global, Module } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { READ_TRACER, type ReadTracer } from '../cache/read-tracer.ts';
import { CacheModule } from '../cache/cache.module.ts';
import { redisConfig } from '../config/namespaces.ts';
import { ThreadContext } from '../instance/thread-context.ts';
import { exportsTraces } from './otel-environment.ts';

/**
 * Exports traces if the environment says where to: only then OpenTelemetry's SDK is loaded, which is a part of its own in
 * the bundle of worker threads.
 */
@Global()
@Module({
  imports: [CacheModule],
  providers: [
    {
      provide: READ_TRACER,
      inject: [redisConfig.KEY, ThreadContext],
      useFactory: startTracer,
    },
  ],
  exports: [READ_TRACER],
})
export class TelemetryModule {}

async function startTracer(
  redis: ConfigType<typeof redisConfig>,
  thread: ThreadContext,
): Promise<ReadTracer | undefined> {
  if (!exportsTraces(process.env)) return undefined;
  const { OtlpTracer } = await import('./otlp-tracer.ts');
  return OtlpTracer.start(process.env, redis, thread);
}
