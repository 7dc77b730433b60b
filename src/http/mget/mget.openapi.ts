import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiResponse, ApiSecurity } from '@nestjs/swagger';
import { describeController } from '../../openapi/describe-controller.ts';
import {
  CHALLENGE,
  SECURITY,
  type Schemas,
  jsonResponse,
  problemResponse,
  ref,
} from '../../openapi/operation-parts.ts';
import { MAX_RESULTS_BYTES } from '../response/json/results-body.ts';
import { CACHE_STATUSES } from './mget-response.ts';
import { MAX_BODY_BYTES } from '../request/read-body.ts';
import { MAX_KEYS, MAX_KEYS_BYTES } from './mget-request.ts';
import { MgetController } from './mget.controller.ts';

const text = (description: string, example: string) => ({ type: 'string', description, example });
const seconds = (description: string, example: number) => ({ type: 'integer', minimum: 0, description, example });

const CACHE_STATUS = {
  ...text(
    'How the cache handled the key: a hit; expired, and served because Redis is unavailable; or loaded from Redis and ' +
      'stored, not stored, or coalesced with other requests.',
    'hit',
  ),
  enum: [...CACHE_STATUSES],
};

const VALUE = {
  type: 'object',
  description: 'The key has a value.',
  required: ['status', 'value', 'encoding', 'etag', 'age', 'maxAge', 'cacheStatus'],
  properties: {
    status: { type: 'integer', enum: [200], example: 200 },
    value: text('The value, in `encoding`.', 'hello from redis'),
    encoding: { ...text('`utf8` when the value is valid UTF-8.', 'utf8'), enum: ['utf8', 'base64'] },
    etag: text('The entity tag, as for `GET`.', '"7f16c2772a51b6138ccc3aff"'),
    age: seconds('Seconds since the value was read from Redis, rounded up.', 3),
    maxAge: seconds(
      'Lifetime of the value in seconds since it was read; 0 while tracking is active: revalidate before each use.',
      60,
    ),
    cacheStatus: CACHE_STATUS,
  },
};

const FAILURE = {
  type: 'object',
  description:
    'The key has no value to return. `status` and `code` are those of `GET`: 403 `key-not-allowed`, 404 `key-not-found`, ' +
    '409 `wrong-type`, 502 `value-too-large`, 503 `redis-unavailable` and `overloaded`, 504 `redis-timeout`; or 413 ' +
    `\`answer-too-large\`: the values of one response are limited to ${MAX_RESULTS_BYTES} bytes; request this key with fewer others.`,
  required: ['status', 'code', 'detail'],
  properties: {
    status: { type: 'integer', minimum: 400, example: 404 },
    code: text('The error code; stable.', 'key-not-found'),
    detail: text('A description for humans.', 'Redis has no such key.'),
    keyType: text('With `wrong-type`: the type of the value, as Redis names it.', 'list'),
    urlTemplate: text('With `wrong-type`: the path that reads the value (RFC 6570).', '/v1/lists/{key}'),
    cacheStatus: CACHE_STATUS,
  },
};

/** Schemas of request and response for many keys. */
const MGET_SCHEMAS: Schemas = {
  MgetRequest: {
    type: 'object',
    description: 'The keys to read.',
    required: ['keys'],
    additionalProperties: false,
    properties: { keys: { type: 'array', maxItems: MAX_KEYS, items: ref('MgetKey') } },
  },
  MgetKey: {
    description: 'A key as text or in base64.',
    oneOf: [{ type: 'string', minLength: 1 }, ref('MgetBinaryKey')],
  },
  MgetBinaryKey: {
    type: 'object',
    description: 'A key of any bytes.',
    required: ['base64'],
    additionalProperties: false,
    properties: { base64: { type: 'string', format: 'byte', minLength: 1 } },
  },
  MgetResponse: {
    type: 'object',
    description: 'The results.',
    required: ['results'],
    properties: {
      results: { type: 'array', description: 'One for each key, in order.', items: ref('MgetResult') },
    },
  },
  MgetResult: { description: 'The result for one key.', oneOf: [ref('MgetValue'), ref('MgetFailure')] },
  MgetValue: VALUE,
  MgetFailure: FAILURE,
};

const EXAMPLE = {
  results: [
    {
      status: 200,
      value: 'hello from redis',
      encoding: 'utf8',
      etag: '"7f16c2772a51b6138ccc3aff"',
      age: 3,
      maxAge: 60,
      cacheStatus: 'hit',
    },
    { status: 404, code: 'key-not-found', detail: 'Redis has no such key.', cacheStatus: 'not-stored' },
  ],
};

/** Describes `POST /v1/mget` in the OpenAPI document. */
function describeMget(): MethodDecorator {
  return applyDecorators(
    ApiSecurity(SECURITY.accessToken),
    ApiOperation({
      operationId: 'getValues',
      summary: 'The values of many keys',
      description:
        `Up to ${MAX_KEYS} keys of ${MAX_KEYS_BYTES} bytes in total; keys that are not cached are read from Redis in a few ` +
        'round trips. A key is a string, or `{"base64": "…"}` for bytes that are not UTF-8. Each result has a status of ' +
        'its own; the response is 200 even if no key has a value.',
    }),
    ApiBody({
      required: true,
      schema: ref('MgetRequest'),
      examples: {
        some: { summary: 'two strings and a binary key', value: { keys: ['greeting', 'nobody', { base64: 'AP8=' }] } },
      },
    }),
    ApiResponse(jsonResponse(200, 'A result for each key, in order.', 'MgetResponse', EXAMPLE)),
    ...[
      problemResponse({
        'bad-request': 'The body must be JSON of the form {"keys": […]}.',
        'bad-key': 'keys[0] is empty.',
      }),
      problemResponse({ unauthorized: 'A bearer token is required.' }, CHALLENGE),
      problemResponse({
        'body-too-large': `More than ${MAX_KEYS} keys, ${MAX_KEYS_BYTES} bytes of keys or ${MAX_BODY_BYTES} bytes of body.`,
      }),
      problemResponse({
        'unsupported-media-type': 'Expected Content-Type: application/json (UTF-8, no Content-Encoding).',
      }),
    ].map((failure) => ApiResponse(failure)),
  );
}

/** The OpenAPI schemas of {@link MgetController}, whose handlers this module describes. */
export const MGET_API = describeController(MgetController, {
  tag: 'keys',
  schemas: MGET_SCHEMAS,
  operations: { mget: describeMget() },
});
