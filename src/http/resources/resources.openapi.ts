import { applyDecorators } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiQuery, ApiResponse } from '@nestjs/swagger';
import { describeController } from '../../openapi/describe-controller.ts';
import { type Schemas, ref } from '../../openapi/operation-parts.ts';
import { UNCONVERTIBLE } from '../keys/key-response.ts';
import { CONTENT, FRESHNESS, describeFailures, describeKeyRequest, describeRanges } from '../keys/keys.openapi.ts';
import { ResourcesController } from './resources.controller.ts';
import { MAX_JSON_BYTES } from './stored-forms.ts';

const JSON_NOTE =
  'Strings that are valid UTF-8 are JSON strings, others `{"base64":"…"}`. The rendered body is what is cached, with an ETag of ' +
  `its own. JSON that the proxy makes of a reply has at most ${MAX_JSON_BYTES} bytes. \`HEAD\` returns the same status and headers.`;

const TEXT_OR_BINARY = { oneOf: [{ type: 'string' }, ref('BinaryString')] };

/** Schemas of the bodies. */
const RESOURCE_SCHEMAS: Schemas = {
  BinaryString: {
    type: 'object',
    description: 'A string of Redis that is not valid UTF-8.',
    required: ['base64'],
    properties: { base64: { type: 'string', description: 'Its bytes in base64.', example: 'AP8=' } },
  },
  Hash: {
    description: 'Fields and values.',
    oneOf: [ref('HashFields'), ref('HashFieldList')],
  },
  HashFields: {
    type: 'object',
    description: 'Values by the name of the field.',
    additionalProperties: TEXT_OR_BINARY,
    example: { name: 'Analytical Engine', price: '1837' },
  },
  HashFieldList: {
    type: 'array',
    description: 'All fields of a hash in which the name of at least one is not valid UTF-8.',
    items: {
      type: 'object',
      required: ['field', 'value'],
      properties: { field: TEXT_OR_BINARY, value: TEXT_OR_BINARY },
      example: { field: { base64: '/w==' }, value: '1' },
    },
  },
  FieldValue: {
    type: 'string',
    format: 'binary',
    description: 'The bytes of the value of a field.',
    example: 'Analytical Engine',
  },
  Strings: {
    type: 'array',
    description: 'Elements of a list, or members of a set.',
    items: TEXT_OR_BINARY,
    example: ['first', 'second'],
  },
  SortedSet: {
    description: 'Members in order, with or without scores.',
    oneOf: [ref('Strings'), ref('ScoredMembers')],
  },
  ScoredMembers: {
    type: 'array',
    description: 'Members and scores.',
    items: {
      type: 'object',
      required: ['member', 'score'],
      properties: {
        member: TEXT_OR_BINARY,
        score: {
          description: 'A number with the digits that Redis sent, or `inf`, `-inf` or `nan`.',
          oneOf: [{ type: 'number' }, { type: 'string', enum: ['inf', '-inf', 'nan'] }],
          example: 120,
        },
      },
      example: { member: 'ada', score: 120 },
    },
  },
  JsonDocument: {
    description: 'A JSON document, or what a path selects in it.',
    example: { name: 'Ada Lovelace', languages: ['en', 'fr'] },
  },
};

/** Examples of keys of the demo data, as written in a path. */
const EXAMPLES = {
  hash: { hash: { summary: 'a hash', value: 'product:7' } },
  list: { list: { summary: 'a list', value: 'queue' } },
  set: { set: { summary: 'a set', value: 'tags' } },
  sortedSet: { sortedSet: { summary: 'a sorted set', value: 'leaderboard' } },
  json: { json: { summary: 'a JSON document, if Redis has the JSON module', value: 'profile:42' } },
} as const;
const OTHERS = {
  other: { summary: 'a string: 409', value: 'greeting' },
  unknown: { summary: 'no such key: 404', value: 'nobody' },
} as const;

const NO_KEY = { 'key-not-found': 'Redis has no such key.' };
const WRONG_TYPE = 'The value stored at this key is a string; read it at /v1/keys/{key}.';
const TOO_LARGE = { 'value-too-large': 'The value exceeds REDIS_MAX_VALUE_BYTES.' };
const BAD_KEY = { 'bad-key': 'The key is empty.' };
const BAD_RANGE = {
  ...BAD_KEY,
  'bad-request': 'Redis replied: ERR value is not an integer or out of range',
};

/** Describes an operation with a JSON body. */
function describeJson(
  { operationId, summary, description }: { operationId: string; summary: string; description: string },
  { schema, example, key }: { schema: string; example: unknown; key: keyof typeof EXAMPLES },
  failures: Partial<Parameters<typeof describeFailures>[0]> = {},
  ...parameters: readonly MethodDecorator[]
): MethodDecorator {
  return applyDecorators(
    ApiOperation({ operationId, summary, description: `${description} ${JSON_NOTE}` }),
    ApiResponse({
      status: 200,
      description: 'The value as JSON.',
      headers: CONTENT,
      content: { 'application/json': { schema: ref(schema), example } },
    }),
    describeKeyRequest({ ...EXAMPLES[key], ...OTHERS }),
    ...parameters,
    ...describeRanges('application/json', { example: 'Analytical', contentRange: 'bytes 9-18/42' }),
    ...describeFailures({
      badRequest: BAD_KEY,
      notFound: NO_KEY,
      wrongType: WRONG_TYPE,
      badGateway: {
        'value-too-large': 'The value exceeds REDIS_MAX_VALUE_BYTES, or its JSON 16 MiB or PROXY_MAX_BUFFERED_BYTES.',
      },
      ...failures,
    }),
  );
}

function describePart(name: string, description: string, value: string): MethodDecorator {
  return ApiParam({
    name,
    description: `${description}, percent-encoded. It may be empty, and slashes may be plain.`,
    schema: { type: 'string' },
    examples: { existing: { summary: 'one that exists', value }, unknown: { summary: 'none: 404', value: 'nothing' } },
  });
}

function describeParameter(name: string, description: string, schema: object, example: unknown): MethodDecorator {
  return ApiQuery({ name, required: false, description, schema: { ...schema, example } });
}

const PARTED = 'A slash in the key is written as `%2F`, because the first plain one ends it.';

/** The OpenAPI schemas of {@link ResourcesController}, whose handlers this module describes. */
export const RESOURCES_API = describeController(ResourcesController, {
  tag: 'types',
  schemas: RESOURCE_SCHEMAS,
  operations: {
    hash: describeJson(
      {
        operationId: 'getHash',
        summary: 'All fields of a hash',
        description: `An object of fields and values (HGETALL). ${PARTED}`,
      },
      { schema: 'Hash', example: { name: 'Analytical Engine', price: '1837' }, key: 'hash' },
    ),
    field: applyDecorators(
      ApiOperation({
        operationId: 'getField',
        summary: 'The value of a field',
        description: `The bytes of one field of a hash (HGET). ${PARTED}`,
      }),
      ApiResponse({
        status: 200,
        description: 'The value, byte for byte.',
        headers: CONTENT,
        content: { 'application/octet-stream': { schema: ref('FieldValue'), example: 'Analytical Engine' } },
      }),
      describeKeyRequest({ ...EXAMPLES.hash, ...OTHERS }),
      describePart('field', 'The name of the field', 'name'),
      ...describeRanges('application/octet-stream', { example: 'Engine', contentRange: 'bytes 11-16/17' }),
      ...describeFailures({
        badRequest: BAD_KEY,
        notFound: { 'field-not-found': 'The hash has no such field, or Redis has no such key.' },
        wrongType: WRONG_TYPE,
        badGateway: { ...TOO_LARGE, 'invalid-encoding': UNCONVERTIBLE.invalid.detail },
      }),
    ),
    list: describeJson(
      {
        operationId: 'getList',
        summary: 'Elements of a list',
        description: 'An array of elements (LRANGE). A slash in the key may be plain.',
      },
      { schema: 'Strings', example: ['first', 'second'], key: 'list' },
      { badRequest: BAD_RANGE },
      describeParameter(
        'start',
        'Index of the first element; negative: from the end.',
        { type: 'string', default: '0' },
        '0',
      ),
      describeParameter(
        'stop',
        'Index of the last element; negative: from the end.',
        { type: 'string', default: '-1' },
        '-1',
      ),
    ),
    set: describeJson(
      {
        operationId: 'getSet',
        summary: 'All members of a set',
        description: `An array of members, in no particular order (SMEMBERS). ${PARTED}`,
      },
      { schema: 'Strings', example: ['analog', 'brass'], key: 'set' },
    ),
    member: applyDecorators(
      ApiOperation({
        operationId: 'getMember',
        summary: 'Whether a set has a member',
        description: `204 if it has (SISMEMBER), 404 if not. ${PARTED}`,
      }),
      ApiResponse({ status: 204, description: 'The set has this member.', headers: FRESHNESS }),
      describeKeyRequest({ ...EXAMPLES.set, ...OTHERS }),
      describePart('member', 'The member', 'brass'),
      ...describeFailures({
        badRequest: BAD_KEY,
        notFound: { 'member-not-found': 'The set has no such member, or Redis has no such key.' },
        wrongType: WRONG_TYPE,
        badGateway: {},
      }),
    ),
    sortedSet: describeJson(
      {
        operationId: 'getSortedSet',
        summary: 'A range of a sorted set',
        description: 'An array of members, or of members and scores (ZRANGE). A slash in the key may be plain.',
      },
      { schema: 'SortedSet', example: [{ member: 'ada', score: 120 }], key: 'sortedSet' },
      { badRequest: BAD_RANGE },
      describeParameter(
        'start',
        'The lowest rank of the range, or with `by=score` the lowest score: `-inf`, `1.5`, or `(1.5` without 1.5 itself. ' +
          'Ranks start at 0 at the lowest score, with `order=desc` at the highest; negative: from the end.',
        { type: 'string', default: '0, or -inf with by=score' },
        '0',
      ),
      describeParameter(
        'stop',
        'The highest rank or score of the range.',
        { type: 'string', default: '-1, or +inf with by=score' },
        '-1',
      ),
      describeParameter(
        'order',
        'Order of the scores.',
        { type: 'string', enum: ['asc', 'desc'], default: 'asc' },
        'desc',
      ),
      describeParameter(
        'by',
        'Whether `start` and `stop` are ranks or scores.',
        { type: 'string', enum: ['rank', 'score'], default: 'rank' },
        'rank',
      ),
      describeParameter(
        'withScores',
        'Whether the scores are returned.',
        { type: 'string', enum: ['true', 'false'], default: 'false' },
        'true',
      ),
    ),
    json: describeJson(
      {
        operationId: 'getJson',
        summary: 'A JSON document',
        description:
          'The document, or what a path selects in it (JSON.GET), as Redis wrote it. A slash in the key may be plain.',
      },
      { schema: 'JsonDocument', example: { name: 'Ada Lovelace', languages: ['en', 'fr'] }, key: 'json' },
      {
        badRequest: { ...BAD_KEY, 'bad-request': "Redis replied: ERR Path '.age' does not exist" },
        notImplemented: { 'unknown-command': 'This Redis has no command JSON.GET.' },
      },
      describeParameter(
        'path',
        '`$`: the whole document. Any other JSONPath selects an array of matches, a path that starts with a dot one value.',
        { type: 'string', default: '$' },
        '$',
      ),
    ),
  },
});
