import { Controller, Get, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { COHERENCE_STATES, CoherenceState } from '../cache/coherence-state.ts';
import { jsonAnswer, send } from '../http/answer.ts';
import { HttpConnections } from '../http/http-connections.ts';
import { header } from '../http/openapi.ts';
import { RedisService } from '../redis/redis.service.ts';

const MOMENTARY = { 'Cache-Control': header('The answer is about the moment.', 'no-store') };

function healthResponse(status: number, description: string, example: object) {
  return ApiResponse({
    status,
    description,
    headers: MOMENTARY,
    content: {
      'application/json': {
        schema: {
          type: 'object',
          required: ['status'],
          properties: {
            status: { type: 'string' },
            redis: { type: 'string' },
            coherence: { type: 'string', enum: [...COHERENCE_STATES] },
          },
        },
        example,
      },
    },
  });
}

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
  @ApiOperation({ operationId: 'live', summary: 'Whether the process runs' })
  @healthResponse(200, 'It does.', { status: 'ok' })
  live(@Req() request: Request, @Res() response: Response): void {
    send(jsonAnswer(200, { status: 'ok' }), request.method, response);
  }

  @Get('ready')
  @ApiOperation({
    operationId: 'ready',
    summary: 'Whether the proxy can answer for any key',
    description:
      'Redis is asked at each call. While it does not answer, the keys that the cache holds are still served. ' +
      '`coherence` says what ends an entry: `ttl`, its time; `tracking`, Redis, which tells of writes; `resync`, the loss of ' +
      'that news, and nothing is stored until it comes again.',
  })
  @healthResponse(200, 'Redis answers.', { status: 'ok', redis: 'ok', coherence: 'tracking' })
  @healthResponse(503, 'Redis does not answer, or the proxy is about to end (`shutting-down`).', {
    status: 'unavailable',
    redis: 'timeout',
    coherence: 'resync',
  })
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
