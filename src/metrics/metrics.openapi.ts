import { applyDecorators } from '@nestjs/common';
import { ApiOperation, ApiResponse } from '@nestjs/swagger';
import { describeController } from '../openapi/describe-controller.ts';
import { HEAD_TOO_LARGE, NO_STORE, type Schemas, ref } from '../openapi/operation-parts.ts';
import { MetricsController } from './metrics.controller.ts';

/** OpenAPI schemas of the metrics route. */
const METRICS_SCHEMAS: Schemas = {
  Metrics: {
    type: 'string',
    description: 'Prometheus text format.',
    example: 'redis_http_cache_proxy_cache_entries 3',
  },
};

/** Describes `GET /metrics`. */
function describeMetrics(): MethodDecorator {
  return applyDecorators(
    ApiOperation({
      operationId: 'metrics',
      summary: 'Prometheus metrics',
      description: 'Metrics of the whole instance, from any thread.',
    }),
    ApiResponse({
      status: 200,
      description: 'Metrics in Prometheus text format.',
      headers: NO_STORE,
      content: { 'text/plain': { schema: ref('Metrics'), example: 'redis_http_cache_proxy_cache_entries 3' } },
    }),
    ApiResponse(HEAD_TOO_LARGE),
  );
}

/** The OpenAPI schemas of {@link MetricsController}, whose handlers this module describes. */
export const METRICS_API = describeController(MetricsController, {
  tag: 'health',
  schemas: METRICS_SCHEMAS,
  operations: { read: describeMetrics() },
});
