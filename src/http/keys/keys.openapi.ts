import { applyDecorators } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiParam, ApiResponse, ApiSecurity } from '@nestjs/swagger';
import { MAX_KEY_BYTES } from '../../access/access.ts';
import { describeController } from '../../openapi/describe-controller.ts';
import {
  CHALLENGE,
  KEY_EXAMPLES,
  type ProblemResponse,
  RETRY_AFTER,
  SECURITY,
  type Schemas,
  exampleOrNone,
  header,
  optionalHeader,
  problemResponse,
  ref,
} from '../../openapi/operation-parts.ts';
import type { ProblemCode } from '../response/problem.ts';
import { RANGE_NOT_SATISFIABLE, UNCONVERTIBLE } from './key-response.ts';
import { KeysController } from './keys.controller.ts';

/** Headers of responses with a value, or with 304. */
export const FRESHNESS = {
  ETag: header('Strong validator: a hash of the value.', '"7f16c2772a51b6138ccc3aff"'),
  Age: header('Seconds since the value was read from Redis, rounded up.', '3'),
  'Cache-Control': header(
    'Lifetime of the value in seconds since it was read, or `no-cache` while tracking is active, as other caches receive ' +
      'no invalidations; preceded by `private` if a token is required.',
    'max-age=60',
  ),
  'Cache-Status': header(
    'How the cache handled the request (RFC 9211): a hit with its remaining seconds, negative with ' +
      '`detail=stale-if-error` if Redis was unavailable; or a miss that was loaded from Redis and stored, not stored ' +
      '(too large, or about to expire), or coalesced with other requests (collapsed). `fwd` is the reason for the load: ' +
      '`uri-miss`, not cached; `stale`, expired; `request`, older than the request allows.',
    'redis-http-cache-proxy; hit; ttl=57',
  ),
  Vary: optionalHeader('Sent if the content may have another coding for another Accept-Encoding.', 'Accept-Encoding'),
};

/** The Cache-Status header of a response with a problem. */
const CACHE_STATUS = {
  'Cache-Status': header('How the cache handled the request (RFC 9211).', 'redis-http-cache-proxy; fwd=uri-miss'),
};

/** Schemas of the value of a key. */
const KEY_SCHEMAS: Schemas = {
  Value: {
    type: 'string',
    format: 'binary',
    description: 'The bytes of a string in Redis.',
    example: 'hello from redis',
  },
  Part: {
    type: 'string',
    format: 'binary',
    description: 'The bytes of a range.',
    example: 'from',
  },
};

/** Headers of responses with a value, or a part of it. */
export const CONTENT = {
  ...FRESHNESS,
  'Content-Encoding': optionalHeader(
    'Coding of the content: of stored values with HTTP_CONTENT_ENCODINGS, of compressed content with HTTP_COMPRESSION.',
    'gzip',
  ),
  'Content-Length': header('Bytes of the body.', '16'),
  'Accept-Ranges': header('The unit of the ranges that can be requested.', 'bytes'),
};

/** Describes `GET /v1/keys/{key}` in the OpenAPI document. */
function describeGet(): MethodDecorator {
  return applyDecorators(
    ApiOperation({
      operationId: 'getValue',
      summary: 'The value of a key',
      description:
        'The bytes of a string in Redis, served from the cache if possible. Keys are arbitrary bytes, percent-encoded; ' +
        '`%00` and `%2F` are allowed.',
    }),
    ApiResponse({
      status: 200,
      description: 'The value, byte for byte. An empty string is a value.',
      headers: CONTENT,
      content: {
        'application/octet-stream': { schema: ref('Value'), example: 'hello from redis' },
      },
    }),
    describeKeyRequest(KEY_EXAMPLES),
    ...describeRanges('application/octet-stream', { example: 'from', contentRange: 'bytes 6-9/16' }),
    ...describeFailures(KEY_FAILURES),
  );
}

/** Describes `HEAD /v1/keys/{key}` in the OpenAPI document. */
function describeHead(): MethodDecorator {
  return applyDecorators(
    ApiOperation({
      operationId: 'headValue',
      summary: 'Metadata of a value (HEAD)',
      description: 'Status and headers of the response to `GET`. A key that is not cached is loaded.',
    }),
    ApiResponse({ status: 200, description: 'The key has a value.', headers: CONTENT }),
    describeKeyRequest(KEY_EXAMPLES),
    ...describeFailures(KEY_FAILURES, ({ status, description, headers }) => ({ status, description, headers })),
  );
}

/** Describes the key and the headers of a request that reads a key, and the response to a conditional request. */
export function describeKeyRequest(
  examples: Readonly<Record<string, { summary: string; value: string }>>,
): MethodDecorator {
  return applyDecorators(
    ApiSecurity(SECURITY.accessToken),
    ApiParam({
      name: 'key',
      description: `The key, percent-encoded: 1 to ${MAX_KEY_BYTES} bytes.`,
      schema: { type: 'string', minLength: 1 },
      examples,
    }),
    ApiHeader({
      name: 'If-None-Match',
      required: false,
      description:
        'Entity tags of values that the client has, or `*`: if the current value is one of them, the response is 304.',
      schema: { type: 'string' },
      examples: exampleOrNone('"7f16c2772a51b6138ccc3aff"'),
    }),
    ApiHeader({
      name: 'Cache-Control',
      required: false,
      description:
        '`no-cache`: reload the value from Redis, for all clients. `max-age=N`: reload it if it was read more than N ' +
        'seconds ago. With either, a failure of Redis is an error, and no cached value is served instead. ' +
        '`only-if-cached`: do not read from Redis. Other directives are ignored. `Pragma: no-cache` applies if there is ' +
        'no Cache-Control.',
      schema: { type: 'string' },
      examples: exampleOrNone('no-cache', 'max-age=10', 'only-if-cached'),
    }),
    ApiHeader({
      name: 'Accept-Encoding',
      required: false,
      description:
        'Codings in which the client accepts the content (RFC 9110); without the header it is sent without any. It has a ' +
        'meaning with HTTP_CONTENT_ENCODINGS and HTTP_COMPRESSION.',
      schema: { type: 'string' },
      examples: exampleOrNone('gzip, br'),
    }),
    ApiResponse({ status: 304, description: 'If-None-Match contains the ETag of the value.', headers: FRESHNESS }),
  );
}

/** Describes a request for a part of a value, and its responses. */
export function describeRanges(
  mediaType: string,
  { example, contentRange }: { readonly example: string; readonly contentRange: string },
): MethodDecorator[] {
  const length = contentRange.slice(contentRange.indexOf('/'));
  return [
    ApiHeader({
      name: 'Range',
      required: false,
      description:
        'One range of bytes: the response is 206 with this part. Several ranges, another unit and an invalid range are ' +
        'ignored: the response is 200 with the whole.',
      schema: { type: 'string' },
      examples: exampleOrNone('bytes=6-9', 'bytes=6-', 'bytes=-5'),
    }),
    ApiHeader({
      name: 'If-Range',
      required: false,
      description: 'The ETag of the value of which the client has a part: if it is another now, Range is ignored.',
      schema: { type: 'string' },
      examples: exampleOrNone('"7f16c2772a51b6138ccc3aff"'),
    }),
    ApiResponse({
      status: 206,
      description: 'The part that Range asks for.',
      headers: { ...CONTENT, 'Content-Range': header('Position of the part, and length of the whole.', contentRange) },
      content: { [mediaType]: { schema: ref('Part'), example } },
    }),
    ApiResponse(
      problemResponse(
        { 'range-not-satisfiable': RANGE_NOT_SATISFIABLE.detail },
        { ...CACHE_STATUS, 'Content-Range': header('Length of the whole.', `bytes *${length}`) },
      ),
    ),
  ];
}

/** The details of problems that differ between the resources that represent keys, by code. */
interface Failures {
  readonly badRequest: Partial<Record<ProblemCode, string>>;
  readonly notFound: Partial<Record<ProblemCode, string>>;
  readonly wrongType: string;
  readonly notImplemented?: Partial<Record<ProblemCode, string>>;
  /** Empty: the result cannot be too large. */
  readonly badGateway: Partial<Record<ProblemCode, string>>;
}

const KEY_FAILURES: Failures = {
  badRequest: { 'bad-key': 'The key is empty.' },
  notFound: { 'key-not-found': 'Redis has no such key.' },
  wrongType: 'The value stored at this key is a list; read it at /v1/lists/{key}.',
  badGateway: {
    'value-too-large': 'The value exceeds REDIS_MAX_VALUE_BYTES.',
    'invalid-encoding': UNCONVERTIBLE.invalid.detail,
  },
};

/** Describes the problems of a read. */
export function describeFailures(
  { badRequest, notFound, wrongType, notImplemented = {}, badGateway }: Failures,
  adapt: (failure: ProblemResponse) => ProblemResponse = (failure) => failure,
): MethodDecorator[] {
  return [
    problemResponse(badRequest),
    problemResponse({ unauthorized: 'A bearer token is required.' }, CHALLENGE),
    problemResponse({ 'key-not-allowed': 'Access to this key is not allowed (KEY_ALLOWLIST).' }),
    problemResponse(notFound, CACHE_STATUS),
    problemResponse({ 'wrong-type': wrongType }, CACHE_STATUS),
    ...[notImplemented, badGateway]
      .filter((details) => Object.keys(details).length > 0)
      .map((details) => problemResponse(details, CACHE_STATUS)),
    problemResponse(
      { 'redis-unavailable': 'Redis is unavailable.', overloaded: 'Too many Redis reads are queued.' },
      { ...CACHE_STATUS, ...RETRY_AFTER },
    ),
    problemResponse(
      {
        'redis-timeout': 'Redis did not reply in time.',
        'not-cached': 'Not cached, and the request specified only-if-cached.',
      },
      CACHE_STATUS,
    ),
  ].map((failure) => ApiResponse(adapt(failure)));
}

/** The OpenAPI schemas of {@link KeysController}, whose handlers this module describes. */
export const KEYS_API = describeController(KeysController, {
  tag: 'keys',
  schemas: KEY_SCHEMAS,
  operations: { head: describeHead(), get: describeGet() },
});
