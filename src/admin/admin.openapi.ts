import { applyDecorators } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiQuery, ApiResponse, ApiSecurity } from '@nestjs/swagger';
import { MAX_KEY_BYTES } from '../access/access.ts';
import { MAX_PATTERN_BYTES } from '../access/key-selection.ts';
import { COHERENCE_STATES } from '../instance/coherence-state.ts';
import { describeController } from '../openapi/describe-controller.ts';
import {
  KEY_EXAMPLES,
  NO_STORE,
  SECURITY,
  type Schemas,
  exampleOrNone,
  header,
  jsonResponse,
  problemResponse,
  ref,
} from '../openapi/operation-parts.ts';
import { INTERNAL_PARTS } from '../internals/internal-part.ts';
import { AdminController } from './admin.controller.ts';
import { DEFAULT_LIMIT, LIMIT_PARAMETER, MAX_LIMIT } from './hot-keys.ts';
import { SKETCH_KEY_BYTES } from '../cache/shared-lru/hot-keys/key-sketch.ts';

const count = (description: string, example = 0) => ({ type: 'integer', minimum: 0, description, example });

const STATS = {
  entries: count('entries currently cached', 3),
  capacity: count('maximum number of entries (CACHE_CAPACITY)', 10_000),
  bytes: count('bytes of the cached keys and values', 74),
  maxBytes: count('maximum bytes of keys and values (CACHE_MAX_BYTES)', 268_435_456),
  hits: count('reads served from the cache', 57),
  misses: count('reads that started a load because the key was not cached', 3),
  collapsed: count('reads coalesced into a load that was already in flight', 1),
  stale: count('reads served stale because Redis was unavailable'),
  hitRatio: {
    type: 'number',
    nullable: true,
    description: 'share of the reads that are hits, 0 to 1; null before the first read',
    example: 0.934,
  },
  loads: count('Redis reads (cache loads) started', 3),
  loadErrors: count('Redis reads that failed'),
  evictions: {
    type: 'object',
    description: 'entries removed from the cache, by cause',
    required: ['capacity', 'bytes', 'expired', 'purged'],
    properties: {
      capacity: count('evicted because the cache was at its capacity'),
      bytes: count('evicted because the cache was at its byte limit'),
      expired: count('found expired'),
      purged: count('purged by DELETE /v1/cache or over CACHE_PURGE_CHANNEL, or invalidated by Redis'),
    },
  },
  uncacheable: count('values larger than CACHE_MAX_VALUE_BYTES: served, but not cached'),
  coherence: {
    type: 'object',
    description: 'coherence of the cache with Redis',
    required: ['state', 'invalidations', 'flushes', 'losses'],
    properties: {
      state: { type: 'string', enum: [...COHERENCE_STATES], description: 'coherence state', example: 'tracking' },
      invalidations: count('invalidations received', 57),
      flushes: count('FLUSHDB/FLUSHALL invalidations received'),
      losses: count('times the invalidation stream was lost'),
    },
  },
  nodeInternals: {
    type: 'object',
    description: 'private parts of Node.js and ioredis: whether all worker threads use the part, or public API instead',
    required: [...INTERNAL_PARTS],
    properties: Object.fromEntries(
      INTERNAL_PARTS.map((part) => [
        part,
        { type: 'boolean', description: 'whether the part is in use', example: true },
      ]),
    ),
  },
  uptimeSeconds: count('seconds since the start', 3600),
};

/** Schemas of the admin API. */
const ADMIN_SCHEMAS: Schemas = {
  CacheStatistics: {
    type: 'object',
    description: 'Statistics of the whole instance since its start.',
    required: Object.keys(STATS),
    properties: STATS,
  },
  HotKeys: {
    type: 'object',
    description: 'The keys that were read most in the last minute.',
    required: ['windowSeconds', 'readsPerSecond', 'sampled', 'keys'],
    properties: {
      windowSeconds: {
        type: 'number',
        minimum: 0,
        description: 'seconds that are reported: 50 to 60, or those since the start',
        example: 57.3,
      },
      readsPerSecond: { type: 'number', minimum: 0, description: 'estimate of the reads of all keys', example: 1250.4 },
      sampled: {
        type: 'number',
        minimum: 0,
        maximum: 1,
        description: 'share of the reads that were looked at; 1: all',
        example: 1,
      },
      keys: {
        type: 'array',
        description: 'most read first',
        items: {
          type: 'object',
          required: ['key', 'readsPerSecond', 'errorPerSecond'],
          properties: {
            key: {
              description: `the key: a string or, if it is not UTF-8, its bytes in base64; of a key of more than ${SKETCH_KEY_BYTES} bytes, the first ${SKETCH_KEY_BYTES}`,
              oneOf: [
                { type: 'string' },
                { type: 'object', required: ['base64'], properties: { base64: { type: 'string', format: 'byte' } } },
              ],
              example: 'user:42',
            },
            keyBytes: count('bytes of the whole key, if only its first bytes are shown', 300),
            readsPerSecond: { type: 'number', minimum: 0, description: 'estimate of its reads', example: 410.2 },
            errorPerSecond: {
              type: 'number',
              minimum: 0,
              description:
                'how much the true rate may differ: the error of counting, plus twice the standard deviation of sampling',
              example: 12.6,
            },
          },
        },
      },
    },
  },
  FlushResult: {
    description: 'Result of a flush, or of a purge by prefix or pattern.',
    oneOf: [
      {
        type: 'object',
        required: ['flushed'],
        properties: { flushed: count('number of entries removed by a flush', 3) },
      },
      {
        type: 'object',
        required: ['purged'],
        properties: { purged: count('number of entries removed by a purge', 2) },
      },
    ],
  },
  PurgeResult: {
    type: 'object',
    description: 'Result of a purge.',
    required: ['purged'],
    properties: { purged: { type: 'boolean', description: 'whether the key was cached', example: true } },
  },
};

interface SchemaWithExample {
  readonly example?: unknown;
  readonly properties?: Readonly<Record<string, SchemaWithExample>>;
}

/** Builds the example of an object from the examples of its properties. */
function exampleOf(properties: Readonly<Record<string, SchemaWithExample>>): object {
  return Object.fromEntries(
    Object.entries(properties).map(([name, { example, properties: nested }]) => [
      name,
      nested === undefined ? example : exampleOf(nested),
    ]),
  );
}

/** OpenAPI description of `GET /v1/cache`. */
function describeStats(): MethodDecorator {
  return applyDecorators(
    ApiOperation({
      operationId: 'getStats',
      summary: 'Cache statistics',
      description: 'Statistics of the whole instance (all threads) since its start.',
    }),
    ApiResponse(jsonResponse(200, 'Statistics of the whole instance.', 'CacheStatistics', exampleOf(STATS))),
    ApiResponse(problemResponse({ 'bad-request': UNKNOWN_INPUT })),
    describeAuthentication(),
  );
}

const HOT_KEYS_EXAMPLE = {
  windowSeconds: 57.3,
  readsPerSecond: 1250.4,
  sampled: 1,
  keys: [
    { key: 'user:42', readsPerSecond: 410.2, errorPerSecond: 0 },
    { key: { base64: 'AP8=' }, readsPerSecond: 61.5, errorPerSecond: 0 },
  ],
};

/** OpenAPI description of `GET /v1/cache/hot-keys`. */
function describeHotKeys(): MethodDecorator {
  return applyDecorators(
    ApiOperation({
      operationId: 'getHotKeys',
      summary: 'Keys read most in the last minute',
      description:
        'Estimates, over all threads and transports, of how often the most read keys were read, hits and misses, with all commands that read them. Counted unless `CACHE_HOT_KEYS=off`.',
    }),
    ApiQuery({
      name: LIMIT_PARAMETER,
      required: false,
      description: 'Maximum number of keys.',
      schema: { type: 'integer', minimum: 1, maximum: MAX_LIMIT, default: DEFAULT_LIMIT, example: DEFAULT_LIMIT },
    }),
    ApiResponse(jsonResponse(200, 'The most read keys.', 'HotKeys', HOT_KEYS_EXAMPLE)),
    ApiResponse(
      problemResponse({
        'bad-request': `The query parameter "${LIMIT_PARAMETER}" must be an integer from 1 to ${MAX_LIMIT}.`,
      }),
    ),
    describeAuthentication({ 'hot-keys-disabled': 'Hot keys are not counted (CACHE_HOT_KEYS=off).' }),
  );
}

/** OpenAPI description of `DELETE /v1/cache`. */
function describeFlush(): MethodDecorator {
  return applyDecorators(
    ApiOperation({
      operationId: 'flush',
      summary: 'Flush the cache, or purge keys by prefix or pattern',
      description:
        'Removes all entries or, with `prefix` or `pattern`, those of all keys that match, in steps between which reads are served. The results of loads in flight are returned to their clients, but not cached. Redis is not changed.',
    }),
    ApiQuery({
      name: 'prefix',
      required: false,
      description: `Purges the keys that begin with these bytes, percent-encoded: 1 to ${MAX_KEY_BYTES} bytes.`,
      schema: { type: 'string' },
      examples: exampleOrNone('user:'),
    }),
    ApiQuery({
      name: 'pattern',
      required: false,
      description: `Purges the keys that match this glob pattern in the syntax of the Redis command KEYS, percent-encoded: 1 to ${MAX_PATTERN_BYTES} bytes. Not together with \`prefix\`.`,
      schema: { type: 'string' },
      examples: exampleOrNone('user:*:profile'),
    }),
    ApiResponse({
      status: 200,
      description: 'The entries are not cached any more.',
      headers: NO_STORE,
      content: {
        'application/json': {
          schema: ref('FlushResult'),
          examples: {
            all: { summary: 'the cache was flushed', value: { flushed: 3 } },
            matching: { summary: 'matching keys were purged', value: { purged: 2 } },
          },
        },
      },
    }),
    ApiResponse(problemResponse({ 'bad-request': 'The prefix is empty. Nothing was done.' })),
    describeAuthentication(),
  );
}

/** OpenAPI description of `DELETE /v1/cache/{key}`. */
function describePurge(): MethodDecorator {
  return applyDecorators(
    ApiOperation({
      operationId: 'purge',
      summary: 'Purge a key',
      description:
        'Removes all entries of the key: its value, and the replies to other commands about it. The results of loads in flight are returned to their clients, but not cached. Redis is not changed.',
    }),
    ApiParam({
      name: 'key',
      description: `The key, percent-encoded: 1 to ${MAX_KEY_BYTES} bytes.`,
      schema: { type: 'string', minLength: 1 },
      examples: KEY_EXAMPLES,
    }),
    ApiResponse(jsonResponse(200, 'The key is not cached any more.', 'PurgeResult', { purged: true })),
    ApiResponse(problemResponse({ 'bad-key': 'The key is empty.', 'bad-request': UNKNOWN_INPUT })),
    describeAuthentication(),
  );
}

/** Unknown input is rejected, because ignoring a parameter could purge more than the client intended. */
const UNKNOWN_INPUT = 'The query parameter "prefix" is unknown here; known: none. Nothing was done.';

/** @param notFound further problems with status 404. */
function describeAuthentication(notFound: Parameters<typeof problemResponse>[0] = {}): MethodDecorator {
  return applyDecorators(
    ApiSecurity(SECURITY.adminToken),
    ApiResponse(
      problemResponse(
        { unauthorized: 'A valid admin token is required.' },
        { 'WWW-Authenticate': header('How to authenticate.', 'Bearer realm="admin"') },
      ),
    ),
    ApiResponse(
      problemResponse({ 'admin-disabled': 'The admin API is disabled (ADMIN_TOKEN is not set).', ...notFound }),
    ),
  );
}

/** The OpenAPI schemas of {@link AdminController}, whose handlers this module describes. */
export const ADMIN_API = describeController(AdminController, {
  tag: 'admin',
  schemas: ADMIN_SCHEMAS,
  operations: { stats: describeStats(), hotKeys: describeHotKeys(), flush: describeFlush(), purge: describePurge() },
});
