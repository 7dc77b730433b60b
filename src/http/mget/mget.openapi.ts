import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiResponse, ApiSecurity } from '@nestjs/swagger';
import { SECURITY, type Schemas, header, problemResponse, ref } from '../../openapi/operation-parts.ts';
import { MAX_RESULTS_BYTES } from '../response/results-body.ts';
import { CACHE_STATUSES } from './mget-response.ts';
import { MAX_BODY_BYTES } from '../request/read-body.ts';
import { MAX_KEYS, MAX_KEYS_BYTES } from './mget-request.ts';

const text = (description: string, example: string) => ({ type: 'string', description, example });
const seconds = (description: string, example: number) => ({ type: 'integer', minimum: 0, description, example });

const CACHE_STATUS = {
  ...text(
    'From the cache; or from the cache though its time is over, as Redis cannot be asked; or read from Redis and stored, ' +
      'not stored, or read for several requests at once.',
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
    etag: text('The validator that `GET` gives.', '"7f16c2772a51b6138ccc3aff"'),
    age: seconds('Seconds since the value was read from Redis, rounded up.', 3),
    maxAge: seconds(
      'Seconds for which the value may be given, from when it was read; 0: ask each time, as Redis tells of writes.',
      60,
    ),
    cacheStatus: CACHE_STATUS,
  },
};

const FAILURE = {
  type: 'object',
  description:
    'There is no value to give. `status` and `code` are those of `GET`: 403 `key-not-allowed`, 404 `key-not-found`, ' +
    '409 `wrong-type`, 502 `value-too-large`, 503 `redis-unavailable` and `overloaded`, 504 `redis-timeout`; or 413 ' +
    `\`answer-too-large\`: the values take ${MAX_RESULTS_BYTES} bytes of an answer at most, so ask for this key with fewer others.`,
  required: ['status', 'code', 'detail'],
  properties: {
    status: { type: 'integer', minimum: 400, example: 404 },
    code: text('What went wrong; stable.', 'key-not-found'),
    detail: text('The same for people.', 'Redis has no such key.'),
    cacheStatus: CACHE_STATUS,
  },
};

/** Schemas of what is read of many keys. */
export const MGET_SCHEMAS: Schemas = {
  MgetRequest: {
    type: 'object',
    description: 'The keys to read.',
    required: ['keys'],
    additionalProperties: false,
    properties: { keys: { type: 'array', maxItems: MAX_KEYS, items: ref('MgetKey') } },
  },
  MgetKey: {
    description: 'A key that is text, or one of any bytes.',
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
    description: 'What was read.',
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

/** All that the OpenAPI document says of `POST /v1/mget`. */
export function DescribeMget(): MethodDecorator {
  const challenge = { 'WWW-Authenticate': header('How to authenticate.', 'Bearer realm="keys"') };
  return applyDecorators(
    ApiSecurity(SECURITY.accessToken),
    ApiOperation({
      operationId: 'getValues',
      summary: 'The values of many keys',
      description:
        `Up to ${MAX_KEYS} keys of ${MAX_KEYS_BYTES} bytes together; what the cache does not hold is read from Redis in ` +
        'one round trip. A key is a text, or `{"base64": "…"}` for bytes that are no UTF-8. Each result says how it went ' +
        'for its key: the answer is 200 also when there is no value for any.',
    }),
    ApiBody({
      required: true,
      schema: ref('MgetRequest'),
      examples: {
        some: { summary: 'two texts and some bytes', value: { keys: ['greeting', 'nobody', { base64: 'AP8=' }] } },
      },
    }),
    ApiResponse({
      status: 200,
      description: 'A result for each key, in order.',
      headers: { 'Cache-Control': header('It is an answer to a POST.', 'no-store') },
      content: { 'application/json': { schema: ref('MgetResponse'), example: EXAMPLE } },
    }),
    ...[
      problemResponse({
        'bad-request': 'The body must be JSON of the form {"keys": […]}.',
        'bad-key': 'keys[0] is empty.',
      }),
      problemResponse({ unauthorized: 'A bearer token is required.' }, challenge),
      problemResponse({
        'body-too-large': `There are more than ${MAX_KEYS} keys, their bytes are more than ${MAX_KEYS_BYTES}, or those of the body more than ${MAX_BODY_BYTES}.`,
      }),
      problemResponse({
        'unsupported-media-type': 'Expected Content-Type: application/json (UTF-8, no Content-Encoding).',
      }),
    ].map((failure) => ApiResponse(failure)),
  );
}
