import { applyDecorators } from '@nestjs/common';
import { ApiOperation, ApiResponse } from '@nestjs/swagger';
import { COHERENCE_STATES } from '../cache/coherence-state.ts';
import { HEAD_TOO_LARGE, type Schemas, jsonResponse } from '../http/openapi.ts';

/** Schemas of the health routes. */
export const HEALTH_SCHEMAS: Schemas = {
  Liveness: {
    type: 'object',
    description: 'That the process runs.',
    required: ['status'],
    properties: { status: { type: 'string', enum: ['ok'], example: 'ok' } },
  },
  Readiness: {
    type: 'object',
    description: 'Whether the proxy can answer for any key.',
    required: ['status'],
    properties: {
      status: { type: 'string', enum: ['ok', 'unavailable', 'shutting-down'], example: 'ok' },
      redis: { type: 'string', description: 'What became of the question to Redis.', example: 'ok' },
      coherence: { type: 'string', enum: [...COHERENCE_STATES], example: 'tracking' },
    },
  },
};

/** All that the OpenAPI document says of `GET /health/live`. */
export function DescribeLiveness(): MethodDecorator {
  return applyDecorators(
    ApiOperation({
      operationId: 'live',
      summary: 'Whether the process runs',
      description: 'Neither Redis nor the cache is asked.',
    }),
    ApiResponse(jsonResponse(200, 'It does.', 'Liveness', { status: 'ok' })),
    ApiResponse(HEAD_TOO_LARGE),
  );
}

/** All that the OpenAPI document says of `GET /health/ready`. */
export function DescribeReadiness(): MethodDecorator {
  return applyDecorators(
    ApiOperation({
      operationId: 'ready',
      summary: 'Whether the proxy can answer for any key',
      description:
        'Redis is asked at each call. While it does not answer, the keys that the cache holds are still served. ' +
        '`coherence` says what ends an entry: `ttl`, its time; `tracking`, Redis, which tells of writes; `resync`, the loss of ' +
        'that news, and nothing is stored until it comes again.',
    }),
    ApiResponse(jsonResponse(200, 'Redis answers.', 'Readiness', { status: 'ok', redis: 'ok', coherence: 'tracking' })),
    ApiResponse(
      jsonResponse(503, 'Redis does not answer, or the proxy is about to end (`shutting-down`).', 'Readiness', {
        status: 'unavailable',
        redis: 'timeout',
        coherence: 'resync',
      }),
    ),
    ApiResponse(HEAD_TOO_LARGE),
  );
}
