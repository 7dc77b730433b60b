import { Controller, Get } from '@nestjs/common';
import { type HttpResponse, uncacheableResponse } from '../http/response/http-response.ts';
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
  async read(): Promise<HttpResponse> {
    const { contentType, text } = await this.#metrics.render();
    return uncacheableResponse(200, contentType, Buffer.from(text));
  }
}
