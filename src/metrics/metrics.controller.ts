import { Controller, Get, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { send } from '../http/response/http-response.ts';
import { HEAD_TOO_LARGE, NO_STORE, type Schemas, ref } from '../openapi/operation-parts.ts';
import { SkipSequential } from '../http/server/sequential.guard.ts';
import { MetricsService } from './metrics.service.ts';

/** OpenAPI schemas of the metrics route. */
export const METRICS_SCHEMAS: Schemas = {
  Metrics: {
    type: 'string',
    description: 'Prometheus text format.',
    example: 'redis_http_cache_proxy_cache_entries 3',
  },
};

@ApiTags('health')
@Controller('metrics')
@SkipSequential()
export class MetricsController {
  readonly #metrics: MetricsService;

  constructor(metrics: MetricsService) {
    this.#metrics = metrics;
  }

  @Get()
  @ApiOperation({
    operationId: 'metrics',
    summary: 'Prometheus metrics',
    description: 'Metrics of the whole instance, from any thread.',
  })
  @ApiResponse({
    status: 200,
    description: 'Metrics in Prometheus text format.',
    headers: NO_STORE,
    content: { 'text/plain': { schema: ref('Metrics'), example: 'redis_http_cache_proxy_cache_entries 3' } },
  })
  @ApiResponse(HEAD_TOO_LARGE)
  async read(@Req() request: Request, @Res() response: Response): Promise<void> {
    const body = Buffer.from(await this.#metrics.render());
    const headers = [
      ...['Content-Type', this.#metrics.contentType, 'Content-Length', String(body.length)],
      ...['Cache-Control', 'no-store'],
    ];
    send({ status: 200, headers, body }, request.method, response);
  }
}
