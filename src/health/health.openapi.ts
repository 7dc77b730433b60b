import { applyDecorators } from '@nestjs/common';
import { ApiOperation, ApiResponse } from '@nestjs/swagger';
import { COHERENCE_STATES } from '../instance/coherence-state.ts';
import { SOURCE_ROLES } from '../instance/counts/read-source-counts.ts';
import { describeController } from '../openapi/describe-controller.ts';
import { WARMUP_STATES } from '../instance/warmup-state.ts';
import { HEAD_TOO_LARGE, type Schemas, jsonResponse } from '../openapi/operation-parts.ts';
import { HealthController } from './health.controller.ts';

const PART = {
  type: 'string',
  description: '`off`: disabled by the settings; `unchecked`: the check could not connect over the loopback interface.',
  enum: ['ok', 'failed', 'off', 'unchecked'],
  example: 'ok',
};

/** Schemas of the health routes. */
const HEALTH_SCHEMAS: Schemas = {
  Liveness: {
    type: 'object',
    description: 'Whether all threads serve reads, Redis excluded.',
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
        description: 'Result of the read from Redis.',
        enum: ['ok', 'timeout', 'unavailable'],
        example: 'ok',
      },
      redisRole: {
        type: 'string',
        description:
          'With REDIS_READ_FROM other than `master`: the role of the server that is read, `mixed` if it is not the same for ' +
          'all masters of a cluster, `none` if no server can be read.',
        enum: [...SOURCE_ROLES, 'mixed'],
        example: 'replica',
      },
      coherence: { type: 'string', enum: [...COHERENCE_STATES], example: 'tracking' },
      fastPath: PART,
      redisProtocol: PART,
      warmup: {
        type: 'string',
        description: 'State of the warm-up; absent without CACHE_WARMUP_FILE.',
        enum: WARMUP_STATES.filter((state) => state !== 'off'),
        example: 'complete',
      },
      reasons: {
        type: 'array',
        description: 'The failing checks, with their reasons.',
        items: { type: 'string' },
        example: ['Redis: the account lacks +pttl (NOPERM)'],
      },
    },
  },
};

/** OpenAPI description of `GET /health/live`. */
function describeLiveness(): MethodDecorator {
  return applyDecorators(
    ApiOperation({
      operationId: 'live',
      summary: 'Liveness',
      description:
        'Every ten seconds each thread reads a key through its own fast path and its own Redis protocol (self-check). ' +
        'Fails while the last self-check of any thread got no response. Does not depend on Redis.',
    }),
    ApiResponse(jsonResponse(200, 'All threads serve reads.', 'Liveness', { status: 'ok' })),
    ApiResponse(
      jsonResponse(503, 'The self-check of a thread fails.', 'Liveness', { status: 'unavailable', fastPath: 'failed' }),
    ),
    ApiResponse(HEAD_TOO_LARGE),
  );
}

/** OpenAPI description of `GET /health/ready`. */
function describeReadiness(): MethodDecorator {
  const parts = { coherence: 'tracking', fastPath: 'ok', redisProtocol: 'off' };
  return applyDecorators(
    ApiOperation({
      operationId: 'ready',
      summary: 'Readiness',
      description:
        'Reads a key and its TTL from Redis, and a key through the fast path and the Redis protocol of the thread. All ' +
        'requests within a second share one result. While Redis is unavailable, cached keys are still served. `coherence` ' +
        'is `ttl` (TTL expiry only), `tracking` (Redis invalidates entries on write) or `resync` (invalidation stream lost; ' +
        'caching suspended until it is re-established). With CACHE_WARMUP_WAIT_MS it also fails, for so long at most, until ' +
        'the keys in CACHE_WARMUP_FILE are loaded.',
    }),
    ApiResponse(jsonResponse(200, 'The checks succeed.', 'Readiness', { status: 'ok', redis: 'ok', ...parts })),
    ApiResponse(
      jsonResponse(503, 'A check fails, or the proxy is draining (`shutting-down`).', 'Readiness', {
        ...{ status: 'unavailable', redis: 'unavailable', ...parts },
        reasons: ['Redis: the account lacks +pttl (NOPERM)'],
      }),
    ),
    ApiResponse(HEAD_TOO_LARGE),
  );
}

/** The OpenAPI schemas of {@link HealthController}, whose handlers this module describes. */
export const HEALTH_API = describeController(HealthController, {
  tag: 'health',
  schemas: HEALTH_SCHEMAS,
  operations: { live: describeLiveness(), ready: describeReadiness() },
});
