import { applyDecorators } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiParam, ApiResponse, ApiSecurity } from '@nestjs/swagger';
import { MAX_KEY_BYTES } from '../../access/key-length.ts';
import {
  KEY_EXAMPLES,
  type ProblemResponse,
  SECURITY,
  type Schemas,
  header,
  problemResponse,
  ref,
} from '../../openapi/operation-parts.ts';

const FRESHNESS = {
  ETag: header('Strong validator: a hash of the value.', '"7f16c2772a51b6138ccc3aff"'),
  Age: header('Seconds since the value was read from Redis, rounded up.', '3'),
  'Cache-Control': header(
    'Seconds for which the value may be given, from when it was read, or `no-cache` while Redis tells this cache alone of ' +
      'writes; before them `private` where a token is needed.',
    'max-age=60',
  ),
  'Cache-Status': header(
    'How the answer came to be (RFC 9211): a hit with the seconds it has left, less than none with ' +
      '`detail=stale-if-error` where Redis could not be asked; or a miss that was read from Redis and stored, not stored ' +
      '(too large, or about to expire), or read for several requests at once (collapsed). `fwd` says why it was read: ' +
      '`uri-miss`, nothing was held; `stale`, its time was over; `request`, the request wanted nothing so old.',
    'redis-http-cache-proxy; hit; ttl=57',
  ),
};

/** Schemas of what is read of one key. */
export const KEY_SCHEMAS: Schemas = {
  Value: {
    type: 'string',
    format: 'binary',
    description: 'The bytes of a string in Redis.',
    example: 'hello from redis',
  },
};

const VALUE_HEADERS = { ...FRESHNESS, 'Content-Length': header('Bytes of the value.', '16') };

/** All that the OpenAPI document says of `GET /v1/keys/{key}`. */
export function DescribeGet(): MethodDecorator {
  return applyDecorators(
    ApiOperation({
      operationId: 'getValue',
      summary: 'The value of a key',
      description:
        'The bytes of a string in Redis, from the cache if it holds them. Keys are bytes: any of them can be given ' +
        'percent-encoded, `%00` and `%2F` included.',
    }),
    ApiResponse({
      status: 200,
      description: 'The value, byte for byte. An empty string is a value.',
      headers: VALUE_HEADERS,
      content: {
        'application/octet-stream': { schema: ref('Value'), example: 'hello from redis' },
      },
    }),
    describeKeyRequest(),
    ...describeFailures((failure) => failure),
  );
}

/** All that the OpenAPI document says of `HEAD /v1/keys/{key}`. */
export function DescribeHead(): MethodDecorator {
  return applyDecorators(
    ApiOperation({
      operationId: 'headValue',
      summary: 'What is to be said of the value of a key, without the value',
      description: 'The status and the headers that `GET` would answer with. A key that is not held is loaded.',
    }),
    ApiResponse({ status: 200, description: 'There is a value.', headers: VALUE_HEADERS }),
    describeKeyRequest(),
    ...describeFailures(({ status, description, headers }) => ({ status, description, headers })),
  );
}

function describeKeyRequest(): MethodDecorator {
  return applyDecorators(
    ApiSecurity(SECURITY.accessToken),
    ApiParam({
      name: 'key',
      description: `The key, percent-encoded: 1 to ${MAX_KEY_BYTES} bytes.`,
      schema: { type: 'string', minLength: 1 },
      examples: KEY_EXAMPLES,
    }),
    ApiHeader({
      name: 'If-None-Match',
      required: false,
      description: 'Entity tags of values at hand, or `*`: if the value is one of them the answer is 304 without it.',
      schema: { type: 'string' },
      examples: exampleOrNone('"7f16c2772a51b6138ccc3aff"'),
    }),
    ApiHeader({
      name: 'Cache-Control',
      required: false,
      description:
        '`no-cache`: the value is read from Redis now, and answered to all from then on. `max-age=N`: the same if it was ' +
        'read more than N seconds ago. With either, a failure of Redis is answered as such, never a value that is held. ' +
        '`only-if-cached`: Redis is not asked. Other directives are not followed. `Pragma: no-cache` counts where there ' +
        'is no Cache-Control.',
      schema: { type: 'string' },
      examples: exampleOrNone('no-cache', 'max-age=10', 'only-if-cached'),
    }),
    ApiResponse({ status: 304, description: 'The value is one of those in If-None-Match.', headers: FRESHNESS }),
  );
}

/** The page fills in the first example by itself: a plain request has none of these headers. */
function exampleOrNone(...values: string[]) {
  const named = values.map((value) => [value, { value }] as const);
  return { none: { summary: 'none', value: '' }, ...Object.fromEntries(named) };
}

function describeFailures(adapt: (failure: ProblemResponse) => ProblemResponse): MethodDecorator[] {
  const cacheStatus = {
    'Cache-Status': header('How the answer came to be (RFC 9211).', 'redis-http-cache-proxy; fwd=uri-miss'),
  };
  const challenge = { 'WWW-Authenticate': header('How to authenticate.', 'Bearer realm="keys"') };
  const retryAfter = { 'Retry-After': header('Seconds after which to ask again.', '1') };
  return [
    problemResponse({ 'bad-key': 'The key is empty.' }),
    problemResponse({ unauthorized: 'A bearer token is required.' }, challenge),
    problemResponse({ 'key-not-allowed': 'Access to this key is not allowed (KEY_ALLOWLIST).' }),
    problemResponse({ 'key-not-found': 'Redis has no such key.' }, cacheStatus),
    problemResponse({ 'wrong-type': 'The value stored at this key is not a string.' }, cacheStatus),
    problemResponse({ 'value-too-large': 'The value exceeds REDIS_MAX_VALUE_BYTES.' }, cacheStatus),
    problemResponse(
      { 'redis-unavailable': 'Redis is unavailable.', overloaded: 'Too many Redis reads are queued.' },
      { ...cacheStatus, ...retryAfter },
    ),
    problemResponse(
      {
        'redis-timeout': 'Redis did not answer in time.',
        'not-cached': 'Not cached, and the request specified only-if-cached.',
      },
      cacheStatus,
    ),
  ].map((failure) => ApiResponse(adapt(failure)));
}
