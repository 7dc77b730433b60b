import { Controller, Get, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { CoherenceState } from '../cache/coherence-state.ts';
import { jsonAnswer, send } from '../http/answer.ts';
import { HttpConnections } from '../http/http-connections.ts';
import { RedisService } from '../redis/redis.service.ts';
import { DescribeLiveness, DescribeReadiness } from './health.openapi.ts';

/** What an orchestrator asks. */
@ApiTags('health')
@Controller('health')
export class HealthController {
  readonly #redis: RedisService;
  readonly #connections: HttpConnections;
  readonly #coherence: CoherenceState;

  constructor(redis: RedisService, connections: HttpConnections, coherence: CoherenceState) {
    this.#coherence = coherence;
    this.#redis = redis;
    this.#connections = connections;
  }

  @Get('live')
  @DescribeLiveness()
  live(@Req() request: Request, @Res() response: Response): void {
    send(jsonAnswer(200, { status: 'ok' }), request.method, response);
  }

  @Get('ready')
  @DescribeReadiness()
  async ready(@Req() request: Request, @Res() response: Response): Promise<void> {
    const redis = this.#connections.draining ? undefined : await this.#redis.ping();
    // The end may have begun while Redis was asked.
    if (redis === undefined || this.#connections.draining) {
      return send(jsonAnswer(503, { status: 'shutting-down' }), request.method, response);
    }
    const ready = redis.kind === 'ok';
    const body = { status: ready ? 'ok' : 'unavailable', redis: redis.kind, coherence: this.#coherence.current };
    send(jsonAnswer(ready ? 200 : 503, body), request.method, response);
  }
}
