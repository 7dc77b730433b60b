import { Global, Module } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { READ_TRACER, type ReadTracer } from '../cache/read-tracer.ts';
import { redisConfig } from '../config/namespaces.ts';
import { exportsTraces } from './otel-environment.ts';

/**
 * Exports traces if the environment says where to: only then OpenTelemetry's SDK is loaded, which is a part of its own in
 * the bundle of worker threads.
 */
@Global()
@Module({
  providers: [
    {
      provide: READ_TRACER,
      inject: [redisConfig.KEY],
      useFactory: startTracer,
    },
  ],
  exports: [READ_TRACER],
})
export class TelemetryModule {}

async function startTracer(redis: ConfigType<typeof redisConfig>): Promise<ReadTracer | undefined> {
  if (!exportsTraces(process.env)) return undefined;
  const { OtlpTracer } = await import('./otlp-tracer.ts');
  return OtlpTracer.start(process.env, redis);
}
