import { Controller, Get, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { send } from '../http/answer.ts';
import { header } from '../http/openapi.ts';
import { MetricsService } from './metrics.service.ts';

@ApiTags('health')
@Controller('metrics')
export class MetricsController {
  readonly #metrics: MetricsService;

  constructor(metrics: MetricsService) {
    this.#metrics = metrics;
  }

  @Get()
  @ApiOperation({ operationId: 'metrics', summary: 'What Prometheus reads', description: 'Of the whole instance.' })
  @ApiResponse({
    status: 200,
    description: 'Metrics in the text format.',
    headers: { 'Cache-Control': header('The answer is about the moment.', 'no-store') },
    content: { 'text/plain': { schema: { type: 'string' }, example: 'redis_http_cache_proxy_cache_entries 3' } },
  })
  async read(@Req() request: Request, @Res() response: Response): Promise<void> {
    const body = Buffer.from(await this.#metrics.render());
    const headers = [
      ...['Content-Type', this.#metrics.contentType, 'Content-Length', String(body.length)],
      ...['Cache-Control', 'no-store'],
    ];
    send({ status: 200, headers, body }, request.method, response);
  }
}
