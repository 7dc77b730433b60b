import { applyDecorators } from '@nestjs/common';
import { ApiOperation, ApiResponse } from '@nestjs/swagger';
import { COHERENCE_STATES } from '../instance/coherence-state.ts';
import { HEAD_TOO_LARGE, type Schemas, jsonResponse } from '../openapi/operation-parts.ts';

const PART = {
  type: 'string',
  description: '`off` by the settings; `unchecked` if there is no loopback interface.',
  enum: ['ok', 'failed', 'off', 'unchecked'],
  example: 'ok',
};

/** Schemas of the health routes. */
export const HEALTH_SCHEMAS: Schemas = {
  Liveness: {
    type: 'object',
    description: 'Whether the threads serve what they can serve without Redis.',
    required: ['status'],
    properties: {
      status: { type: 'string', enum: ['ok', 'unavailable'], example: 'ok' },
      fastPath: { ...PART, enum: ['failed'], example: 'failed' },
      redisProtocol: { ...PART, enum: ['failed'], example: 'failed' },
    },
  },
  Readiness: {
    type: 'object',
    description: 'Whether the proxy can serve reads of any key.',
    required: ['status'],
    properties: {
      status: { type: 'string', enum: ['ok', 'unavailable', 'shutting-down'], example: 'ok' },
      redis: {
        type: 'string',
        description: 'How a read of Redis ended.',
        enum: ['ok', 'timeout', 'unavailable'],
        example: 'ok',
      },
      coherence: { type: 'string', enum: [...COHERENCE_STATES], example: 'tracking' },
      fastPath: PART,
      redisProtocol: PART,
      reasons: {
        type: 'array',
        description: 'What fails, and why.',
        items: { type: 'string' },
        example: ['Redis: the account lacks +pttl (NOPERM)'],
      },
    },
  },
};

/** All that the OpenAPI document says of `GET /health/live`. */
export function DescribeLiveness(): MethodDecorator {
  return applyDecorators(
    ApiOperation({
      operationId: 'live',
      summary: 'Whether the proxy serves what it can serve without Redis',
      description:
        'Every ten seconds each thread reads a key through its own fast path and its own Redis protocol. This fails while ' +
        'the last of these reads got no response in one of the threads. Redis is not asked.',
    }),
    ApiResponse(jsonResponse(200, 'All threads serve.', 'Liveness', { status: 'ok' })),
    ApiResponse(
      jsonResponse(503, 'A thread serves no reads.', 'Liveness', { status: 'unavailable', fastPath: 'failed' }),
    ),
    ApiResponse(HEAD_TOO_LARGE),
  );
}

/** All that the OpenAPI document says of `GET /health/ready`. */
export function DescribeReadiness(): MethodDecorator {
  const parts = { coherence: 'tracking', fastPath: 'ok', redisProtocol: 'off' };
  return applyDecorators(
    ApiOperation({
      operationId: 'ready',
      summary: 'Whether the proxy can serve reads of any key',
      description:
        'Reads as clients do: a key of Redis, with its time to live, and a key through the fast path and the Redis protocol ' +
        'of the thread; all requests of a second share one result. While Redis does not answer, the keys that the cache ' +
        'holds are still served. `coherence` says what ends an entry: `ttl`, its time; `tracking`, invalidation messages of ' +
        'Redis; `resync`, their loss, and nothing is stored until they come again.',
    }),
    ApiResponse(jsonResponse(200, 'Reads succeed.', 'Readiness', { status: 'ok', redis: 'ok', ...parts })),
    ApiResponse(
      jsonResponse(503, 'Reads fail, or the proxy is about to end (`shutting-down`).', 'Readiness', {
        ...{ status: 'unavailable', redis: 'unavailable', ...parts },
        reasons: ['Redis: the account lacks +pttl (NOPERM)'],
      }),
    ),
    ApiResponse(HEAD_TOO_LARGE),
  );
}
