import { applyDecorators } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiResponse, ApiSecurity } from '@nestjs/swagger';
import { MAX_KEY_BYTES } from '../access/key-length.ts';
import { COHERENCE_STATES } from '../instance/coherence-state.ts';
import {
  KEY_EXAMPLES,
  SECURITY,
  type Schemas,
  header,
  jsonResponse,
  problemResponse,
} from '../openapi/operation-parts.ts';
import { INTERNAL_PARTS } from '../internals/internal-part.ts';

const count = (description: string, example = 0) => ({ type: 'integer', minimum: 0, description, example });

const STATS = {
  entries: count('keys held', 3),
  capacity: count('keys that may be held', 10_000),
  bytes: count('bytes held, keys and values', 74),
  maxBytes: count('bytes that may be held', 268_435_456),
  hits: count('reads answered from the cache', 57),
  misses: count('reads that were the first to ask for a key that is not held', 3),
  collapsed: count('reads that waited for the load of another', 1),
  stale: count('reads answered with a value whose time was over, as Redis could not be asked'),
  hitRatio: {
    type: 'number',
    nullable: true,
    description: 'hits among all reads, 0 to 1; null before the first read',
    example: 0.934,
  },
  loads: count('reads of Redis', 3),
  loadErrors: count('reads of Redis that it could not answer'),
  evictions: {
    type: 'object',
    description: 'entries that were dropped, by cause',
    required: ['capacity', 'bytes', 'expired', 'purged'],
    properties: {
      capacity: count('to make room for another key'),
      bytes: count('to make room for the bytes of another'),
      expired: count('found to be past their time'),
      purged: count('by DELETE /v1/cache/{key}, or because Redis told that they were written'),
    },
  },
  uncacheable: count('values that were served and, too large, not stored'),
  coherence: {
    type: 'object',
    description: 'what is known of writes to Redis',
    required: ['state', 'invalidations', 'flushes', 'losses'],
    properties: {
      state: { type: 'string', enum: [...COHERENCE_STATES], description: 'what ends an entry', example: 'tracking' },
      invalidations: count('keys that Redis has told of', 57),
      flushes: count('times that Redis has told that it was emptied'),
      losses: count('times that the news of writes was lost'),
    },
  },
  nodeInternals: {
    type: 'object',
    description: 'private parts of Node.js and ioredis: whether all threads use it, or public API instead',
    required: [...INTERNAL_PARTS],
    properties: Object.fromEntries(
      INTERNAL_PARTS.map((part) => [part, { type: 'boolean', description: 'whether it is in use', example: true }]),
    ),
  },
  uptimeSeconds: count('seconds since the start', 3600),
};

/** Schemas of the admin API. */
export const ADMIN_SCHEMAS: Schemas = {
  CacheStatistics: {
    type: 'object',
    description: 'Counts of the whole instance since it was started.',
    required: Object.keys(STATS),
    properties: STATS,
  },
  FlushResult: {
    type: 'object',
    description: 'What a flush has done.',
    required: ['flushed'],
    properties: { flushed: count('entries forgotten', 3) },
  },
  PurgeResult: {
    type: 'object',
    description: 'What a purge has done.',
    required: ['purged'],
    properties: { purged: { type: 'boolean', description: 'whether the key was held', example: true } },
  },
};

interface Described {
  readonly example?: unknown;
  readonly properties?: Readonly<Record<string, Described>>;
}

/** Puts the examples of properties together to one of the object that has them. */
function exampleOf(properties: Readonly<Record<string, Described>>): object {
  return Object.fromEntries(
    Object.entries(properties).map(([name, { example, properties: nested }]) => [
      name,
      nested === undefined ? example : exampleOf(nested),
    ]),
  );
}

/** All that the OpenAPI document says of `GET /v1/cache`. */
export function DescribeStatsRoute(): MethodDecorator {
  return applyDecorators(
    ApiOperation({
      operationId: 'getStats',
      summary: 'What the cache holds and has done since the start',
      description: 'Of the whole instance, over all its threads.',
    }),
    ApiResponse(jsonResponse(200, 'Counts of the whole instance.', 'CacheStatistics', exampleOf(STATS))),
    ApiResponse(problemResponse({ 'bad-request': UNKNOWN_INPUT })),
    DescribeDoor(),
  );
}

/** All that the OpenAPI document says of `DELETE /v1/cache`. */
export function DescribeFlushRoute(): MethodDecorator {
  return applyDecorators(
    ApiOperation({
      operationId: 'flush',
      summary: 'Forget every key',
      description: 'Loads that are under way are answered, and not stored. Redis is not touched.',
    }),
    ApiResponse(jsonResponse(200, 'Done.', 'FlushResult', { flushed: 3 })),
    ApiResponse(problemResponse({ 'bad-request': UNKNOWN_INPUT })),
    DescribeDoor(),
  );
}

/** All that the OpenAPI document says of `DELETE /v1/cache/{key}`. */
export function DescribePurgeRoute(): MethodDecorator {
  return applyDecorators(
    ApiOperation({
      operationId: 'purge',
      summary: 'Forget one key',
      description: 'A load of it that is under way is answered, and not stored. Redis is not touched.',
    }),
    ApiParam({
      name: 'key',
      description: `The key, percent-encoded: 1 to ${MAX_KEY_BYTES} bytes.`,
      schema: { type: 'string', minLength: 1 },
      examples: KEY_EXAMPLES,
    }),
    ApiResponse(jsonResponse(200, 'Done.', 'PurgeResult', { purged: true })),
    ApiResponse(problemResponse({ 'bad-key': 'The key is empty.', 'bad-request': UNKNOWN_INPUT })),
    DescribeDoor(),
  );
}

/** Nothing that a request asks for is ignored. */
const UNKNOWN_INPUT = 'The query parameter "prefix" is unknown here; known: none. Nothing was done.';

function DescribeDoor(): MethodDecorator {
  return applyDecorators(
    ApiSecurity(SECURITY.adminToken),
    ApiResponse(
      problemResponse(
        { unauthorized: 'The admin API needs its bearer token.' },
        { 'WWW-Authenticate': header('How to authenticate.', 'Bearer realm="admin"') },
      ),
    ),
    ApiResponse(
      problemResponse({ 'admin-disabled': 'The admin API is off: the proxy was started without ADMIN_TOKEN.' }),
    ),
  );
}
