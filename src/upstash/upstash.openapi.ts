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
import { describeController } from '../openapi/describe-controller.ts';
import {
  CHALLENGE,
  KEY_EXAMPLES,
  NO_STORE,
  RETRY_AFTER,
  SECURITY,
  type Schemas,
  jsonResponse,
  ref,
} from '../openapi/operation-parts.ts';
import { MAX_RESULTS_BYTES } from '../http/response/json/results-body.ts';
import { MAX_BODY_BYTES } from '../http/request/read-body.ts';
import { MAX_COMMANDS, MAX_KEYS } from './rest-request.ts';
import { UpstashController } from './upstash.controller.ts';

const COMMANDS = [...KEY_COMMANDS.map(({ name }) => name), 'ping', 'echo'].map((name) => name.toUpperCase()).join(', ');

/** Schemas of Upstash's REST API. */
const UPSTASH_SCHEMAS: Schemas = {
  RestCommand: {
    type: 'array',
    description:
      'The name of a command, case-insensitive, and its arguments. Numbers keep their source text, with all digits.',
    minItems: 1,
    items: { oneOf: [{ type: 'string' }, { type: 'number' }, { type: 'boolean' }] },
  },
  RestPipeline: {
    type: 'array',
    description: 'Commands, which are executed together.',
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
        description:
          'The reply as of Redis over RESP2: a string, an integer, null, or an array of them. Scores are strings, and a hash is an ' +
          'array of fields and values.',
        example: 'hello from redis',
      },
    },
  },
  RestError: {
    type: 'object',
    description: 'The error of a command, or of the whole request.',
    required: ['error'],
    properties: { error: { type: 'string', description: 'An error code and a description.', example: READ_ONLY } },
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
  'A token of ACCESS_TOKEN is required.',
  ['WRONGPASS invalid or missing auth token'],
  CHALLENGE,
);
const TOO_MUCH = failure(
  413,
  `More than ${MAX_BODY_BYTES} bytes of body, ${MAX_KEYS} keys or ${MAX_COMMANDS} commands.`,
  [`ERR the body exceeds ${MAX_BODY_BYTES} bytes`],
);
const BAD_COMMAND = failure(
  400,
  'The request is malformed, or the command fails: it writes, is unknown, lacks arguments, may not read the key, …',
  [READ_ONLY, wrongArguments('get'), FAILURES['wrong-type'], 'NOPERM No permissions to access a key'],
);
const REDIS_FAILURES = [
  failure(503, 'Redis is unavailable.', [FAILURES.unavailable, FAILURES.overloaded], RETRY_AFTER),
  failure(504, 'Redis did not reply in time.', [FAILURES.timeout]),
];

const DescribeEncoding = (): MethodDecorator =>
  ApiHeader({
    name: 'Upstash-Encoding',
    required: false,
    description:
      '`base64`: all strings in the result are in base64. Otherwise they are text, in which U+FFFD replaces invalid UTF-8.',
    schema: { type: 'string', enum: ['base64'], example: 'base64' },
  });

function ok(schema: string, example: object): MethodDecorator {
  return ApiResponse(jsonResponse(200, 'The result of the command.', schema, example));
}

const TOKEN = 'Without an Authorization header the token may be in the query, `?_token=…`.';

/** Describes `POST /` in the OpenAPI document. */
function describeCommand(): MethodDecorator {
  return applyDecorators(
    ApiSecurity(SECURITY.accessToken),
    ApiSecurity(SECURITY.accessTokenInQuery),
    DescribeEncoding(),
    ApiOperation({
      operationId: 'runCommand',
      summary: "A command, in Upstash's REST API",
      description: `${COMMANDS}. ${TOKEN} A result is limited to ${MAX_RESULTS_BYTES} bytes.`,
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
    ...REDIS_FAILURES,
  );
}

/** Describes `POST /pipeline` in the OpenAPI document. */
function describePipeline(): MethodDecorator {
  return describeCommands(
    {
      operationId: 'runPipeline',
      summary: 'Many commands',
      description:
        `Up to ${MAX_COMMANDS} commands with up to ${MAX_KEYS} keys; keys that are not cached are read from Redis in a few ` +
        'round trips. A failed command is an error at its position, and the response is 200 even if all commands fail. ' +
        `Results are limited to ${MAX_RESULTS_BYTES} bytes.`,
    },
    { command: ['SET', 'greeting', 'hi'], result: { error: READ_ONLY } },
    failure(400, 'The body is not a pipeline.', ['ERR the body must be JSON of the form [["GET", "a key"], ["PING"]]']),
  );
}

/** Describes `POST /multi-exec` in the OpenAPI document. */
function describeTransaction(): MethodDecorator {
  return describeCommands(
    {
      operationId: 'runTransaction',
      summary: 'A transaction',
      description:
        'As a pipeline, but a command that is rejected, because it writes, is unknown, lacks arguments or may not read the key, ' +
        'discards the transaction. An error of Redis is an error at its position. The keys are read together, but they are ' +
        'not a snapshot: some may come from the cache.',
    },
    { command: ['STRLEN', 'greeting'], result: { result: 16 } },
    failure(400, 'The body is not a pipeline, or the transaction is discarded.', [
      `EXECABORT Transaction discarded because of: ${READ_ONLY}`,
    ]),
  );
}

/** Describes a request with a list of commands. @param second example of a command after GET, and of its result. */
function describeCommands(
  operation: Readonly<Record<'operationId' | 'summary' | 'description', string>>,
  second: { readonly command: readonly string[]; readonly result: object },
  badRequest: MethodDecorator,
): MethodDecorator {
  return applyDecorators(
    ApiSecurity(SECURITY.accessToken),
    ApiSecurity(SECURITY.accessTokenInQuery),
    DescribeEncoding(),
    ApiOperation(operation),
    ApiBody({
      required: true,
      schema: ref('RestPipeline'),
      examples: { some: { summary: 'two commands', value: [['GET', 'greeting'], second.command] } },
    }),
    ok('RestResults', [{ result: 'hello from redis' }, second.result]),
    badRequest,
    UNAUTHORIZED,
    TOO_MUCH,
  );
}

/** Describes commands in paths in the OpenAPI document. */
function describeCommandPath(): MethodDecorator {
  return applyDecorators(
    ApiSecurity(SECURITY.accessToken),
    ApiSecurity(SECURITY.accessTokenInQuery),
    DescribeEncoding(),
    ApiOperation({
      operationId: 'runCommandInPath',
      summary: 'A command in a path',
      description:
        'Any command, with percent-encoded arguments between slashes: `/mget/a/b`, `/zrange/board/0/9/WITHSCORES`. The body of a ' +
        `POST is the last argument. ${TOKEN}`,
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
    ...REDIS_FAILURES,
  );
}

/** The OpenAPI schemas of {@link UpstashController}, whose handlers this module describes. */
export const UPSTASH_API = describeController(UpstashController, {
  tag: 'upstash',
  schemas: UPSTASH_SCHEMAS,
  operations: {
    command: describeCommand(),
    commandOptions: 'undocumented',
    pipeline: describePipeline(),
    transaction: describeTransaction(),
    otherMethods: 'undocumented',
    path: describeCommandPath(),
    pathWithBody: 'undocumented',
  },
});
