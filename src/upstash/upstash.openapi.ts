import { applyDecorators } from '@nestjs/common';
import {
  ApiBody,
  ApiHeader,
  ApiOperation,
  ApiParam,
  ApiResponse,
  type ApiResponseOptions,
  ApiSecurity,
} from '@nestjs/swagger';
import { KEY_COMMANDS } from '../redis-commands/key-command-table.ts';
import { FAILURES } from '../redis-commands/key-replies.ts';
import { READ_ONLY, wrongArguments } from '../redis-commands/error-replies.ts';
import { KEY_EXAMPLES, NO_STORE, SECURITY, type Schemas, header, ref } from '../openapi/operation-parts.ts';
import { MAX_RESULTS_BYTES } from '../http/response/results-body.ts';
import { MAX_BODY_BYTES } from '../http/request/read-body.ts';
import { MAX_COMMANDS, MAX_KEYS } from './rest-request.ts';

const COMMANDS = [...KEY_COMMANDS.map(({ name }) => name), 'ping', 'echo'].map((name) => name.toUpperCase()).join(', ');

const CHALLENGE = { 'WWW-Authenticate': header('How to authenticate.', 'Bearer realm="keys"') };
const RETRY_AFTER = { 'Retry-After': header('Seconds after which to ask again.', '1') };

/** Schemas of Upstash's REST API. */
export const UPSTASH_SCHEMAS: Schemas = {
  RestCommand: {
    type: 'array',
    description:
      'The name of a command, in any case, and its arguments. A number reaches Redis as it is written, with all its digits.',
    minItems: 1,
    items: { oneOf: [{ type: 'string' }, { type: 'number' }, { type: 'boolean' }] },
  },
  RestPipeline: {
    type: 'array',
    description: 'Commands, which are carried out together.',
    minItems: 1,
    maxItems: MAX_COMMANDS,
    items: ref('RestCommand'),
  },
  RestResult: {
    type: 'object',
    description: 'The reply to a command.',
    required: ['result'],
    properties: {
      result: {
        description: 'What Redis would reply: a string, a whole number, null, or an array of them.',
        example: 'hello from redis',
      },
    },
  },
  RestError: {
    type: 'object',
    description: 'Why a command has failed, or why none was carried out.',
    required: ['error'],
    properties: { error: { type: 'string', description: 'A code word, and what is wrong.', example: READ_ONLY } },
  },
  RestResults: {
    type: 'array',
    description: 'The replies to the commands of a pipeline, in order.',
    items: { oneOf: [ref('RestResult'), ref('RestError')] },
  },
};

type Headers = NonNullable<ApiResponseOptions['headers']>;

function failure(status: number, description: string, examples: readonly string[], headers: Headers = {}) {
  return ApiResponse({
    status,
    description,
    headers: { ...NO_STORE, ...headers },
    content: {
      'application/json': {
        schema: ref('RestError'),
        examples: Object.fromEntries(examples.map((error) => [error.split(' ', 1)[0], { value: { error } }])),
      },
    },
  });
}

const UNAUTHORIZED = failure(
  401,
  'There is no token of ACCESS_TOKEN.',
  ['WRONGPASS invalid or missing auth token'],
  CHALLENGE,
);
const TOO_MUCH = failure(
  413,
  `The body is longer than ${MAX_BODY_BYTES} bytes, or names more than ${MAX_KEYS} keys or ${MAX_COMMANDS} commands.`,
  [`ERR the body exceeds ${MAX_BODY_BYTES} bytes`],
);
const BAD_COMMAND = failure(
  400,
  'The request cannot be understood, or the command fails: it writes, is none, lacks arguments, may not read the key, …',
  [READ_ONLY, wrongArguments('get'), FAILURES['wrong-type'], 'NOPERM No permissions to access a key'],
);
const REDIS_AWAY = [
  failure(503, 'Redis is unavailable.', [FAILURES.unavailable, FAILURES.overloaded], RETRY_AFTER),
  failure(504, 'Redis did not answer in time.', [FAILURES.timeout]),
];

const DescribeEncoding = (): MethodDecorator =>
  ApiHeader({
    name: 'Upstash-Encoding',
    required: false,
    description:
      '`base64`: all strings in the result are written in base64. Otherwise they are UTF-8, and bytes that are none ' +
      'become U+FFFD.',
    schema: { type: 'string', enum: ['base64'], example: 'base64' },
  });

function ok(schema: string, example: unknown): MethodDecorator {
  const content = { 'application/json': { schema: ref(schema), example } };
  return ApiResponse({ status: 200, description: 'What the command gives.', headers: NO_STORE, content });
}

const TOKEN = 'The token may also be in the query, `?_token=…`, where there is no header.';

/** All that the OpenAPI document says of `POST /`. */
export function DescribeCommand(): MethodDecorator {
  return applyDecorators(
    ApiSecurity(SECURITY.accessToken),
    ApiSecurity(SECURITY.accessTokenInQuery),
    DescribeEncoding(),
    ApiOperation({
      operationId: 'runCommand',
      summary: "A command, in Upstash's REST API",
      description: `${COMMANDS}. ${TOKEN} A result takes ${MAX_RESULTS_BYTES} bytes at most.`,
    }),
    ApiBody({
      required: true,
      schema: ref('RestCommand'),
      examples: { get: { summary: 'a value', value: ['GET', 'greeting'] } },
    }),
    ok('RestResult', { result: 'hello from redis' }),
    BAD_COMMAND,
    UNAUTHORIZED,
    TOO_MUCH,
    ...REDIS_AWAY,
  );
}

/** All that the OpenAPI document says of `POST /pipeline`. */
export function DescribePipeline(): MethodDecorator {
  return applyDecorators(
    ApiSecurity(SECURITY.accessToken),
    ApiSecurity(SECURITY.accessTokenInQuery),
    DescribeEncoding(),
    ApiOperation({
      operationId: 'runPipeline',
      summary: 'Many commands',
      description:
        `Up to ${MAX_COMMANDS} commands, which name up to ${MAX_KEYS} keys; what the cache does not hold is read from ` +
        'Redis in one round trip. A command that fails is an error in its place, and the answer is 200 also when all ' +
        `do. Results take ${MAX_RESULTS_BYTES} bytes at most. \`/multi-exec\`, a transaction, is an error.`,
    }),
    ApiBody({
      required: true,
      schema: ref('RestPipeline'),
      examples: {
        some: {
          summary: 'two commands',
          value: [
            ['GET', 'greeting'],
            ['SET', 'greeting', 'hi'],
          ],
        },
      },
    }),
    ok('RestResults', [{ result: 'hello from redis' }, { error: READ_ONLY }]),
    failure(400, 'The body is no pipeline.', ['ERR the body must be JSON of the form [["GET", "a key"], ["PING"]]']),
    UNAUTHORIZED,
    TOO_MUCH,
  );
}

/** All that the OpenAPI document says of commands in paths. */
export function DescribeCommandPath(): MethodDecorator {
  return applyDecorators(
    ApiSecurity(SECURITY.accessToken),
    ApiSecurity(SECURITY.accessTokenInQuery),
    DescribeEncoding(),
    ApiOperation({
      operationId: 'runCommandInPath',
      summary: 'A command in a path',
      description:
        'Every command goes so, its arguments, percent-encoded, between slashes: `/mget/a/b`, `/getrange/a/0/5`. The ' +
        `body of a POST is its last argument. ${TOKEN}`,
    }),
    ApiParam({
      name: 'key',
      description: 'A key, percent-encoded: any bytes.',
      schema: { type: 'string' },
      examples: KEY_EXAMPLES,
    }),
    ok('RestResult', { result: 'hello from redis' }),
    BAD_COMMAND,
    UNAUTHORIZED,
    ...REDIS_AWAY,
  );
}
