import { Controller, Get, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import { send } from '../http/response/http-response.ts';
import { SkipSequential } from '../http/server/sequential.guard.ts';
import { MetricsService } from './metrics.service.ts';

@Controller('metrics')
@SkipSequential()
export class MetricsController {
  readonly #metrics: MetricsService;

  constructor(metrics: MetricsService) {
    this.#metrics = metrics;
  }

  @Get()
  async read(@Req() request: Request, @Res() response: Response): Promise<void> {
    const body = Buffer.from(await this.#metrics.render());
    const headers = [
      ...['Content-Type', this.#metrics.contentType, 'Content-Length', String(body.length)],
      ...['Cache-Control', 'no-store'],
    ];
    send({ status: 200, headers, body }, request.method, response);
  }
}
