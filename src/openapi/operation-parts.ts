import { type ApiResponseOptions } from '@nestjs/swagger';
import { PROBLEMS, PROBLEM_MEDIA_TYPE, type ProblemCode, problem } from '../http/response/problem.ts';

type Headers = NonNullable<ApiResponseOptions['headers']>;

/** Schemas of the OpenAPI document by the name that {@link ref} gives. */
export type Schemas = Readonly<Record<string, object>>;

/** A problem response, as the decorators of `@nestjs/swagger` accept it. */
export type ProblemResponse = ApiResponseOptions & { readonly content?: object };

/** Security schemes of the OpenAPI document by their names. */
export const SECURITY = {
  /** Required only if the proxy has an ACCESS_TOKEN. */
  accessToken: 'accessToken',
  /** The same token, for clients that send it in the query. */
  accessTokenInQuery: 'accessTokenInQuery',
  adminToken: 'adminToken',
} as const;

/** Refers to a named schema of the document. */
export function ref(name: string): { readonly $ref: string } {
  return { $ref: `#/components/schemas/${name}` };
}

/** Describes a header of a response. */
export function header(description: string, example: string): Headers[string] {
  return { description, required: true, schema: { type: 'string' }, example };
}

/** Describes a header that depends on the settings. */
export function optionalHeader(description: string, example: string): Headers[string] {
  return { ...header(description, example), required: false };
}

/** The Cache-Control header of a response that must not be stored. */
export const NO_STORE = { 'Cache-Control': header('Not cacheable.', 'no-store') };

/** Describes a response with a JSON body of a named schema. */
export function jsonResponse(status: number, description: string, schema: string, example: object): ApiResponseOptions {
  const content = { 'application/json': { schema: ref(schema), example } };
  return { status, description, headers: NO_STORE, content };
}

/** The challenge of a response with status 401. */
export const CHALLENGE = { 'WWW-Authenticate': header('The authentication scheme.', 'Bearer realm="keys"') };

/** The Retry-After header of a response with status 503. */
export const RETRY_AFTER = { 'Retry-After': header('Seconds after which the client may retry.', '1') };

/** The API page fills in the first example: none, so that a request has no such header or parameter by default. */
export function exampleOrNone(...values: string[]) {
  const named = values.map((value) => [value, { value }] as const);
  return { none: { summary: 'none', value: '' }, ...Object.fromEntries(named) };
}

/** Describes the problem responses of one status, with an example for each code. */
export function problemResponse(details: Partial<Record<ProblemCode, string>>, headers: Headers = {}): ProblemResponse {
  const codes = Object.keys(details) as ProblemCode[];
  return {
    status: PROBLEMS[codes[0]][0],
    description: codes.map((code) => `\`${code}\`: ${details[code]}`).join('<br>'),
    headers: { ...NO_STORE, ...headers },
    content: {
      [PROBLEM_MEDIA_TYPE]: {
        schema: ref('Problem'),
        examples: Object.fromEntries(codes.map((code) => [code, { value: problem(code, details[code] ?? '') }])),
      },
    },
  };
}

/** The response of every route to a request head that is too long. */
export const HEAD_TOO_LARGE = problemResponse({ 'head-too-large': 'The request line and the headers are too long.' });

/** The schema of a problem. */
export const PROBLEM_SCHEMAS: Schemas = {
  Problem: {
    type: 'object',
    description: 'An error (RFC 9457).',
    required: ['status', 'title', 'code', 'detail'],
    properties: {
      status: { type: 'integer', description: 'The HTTP status.', example: 404 },
      title: { type: 'string', description: 'The name of that status.', example: 'Not Found' },
      code: {
        type: 'string',
        description: 'The error code; stable.',
        enum: Object.keys(PROBLEMS),
        example: 'key-not-found',
      },
      detail: { type: 'string', description: 'A description for humans.', example: 'Redis has no such key.' },
      keyType: {
        type: 'string',
        description: 'With `wrong-type`: the type of the value, as Redis names it.',
        example: 'list',
      },
      urlTemplate: {
        type: 'string',
        description:
          'With `wrong-type`: the path that reads the value (RFC 6570), below that of the proxy, if there is one.',
        example: '/v1/lists/{key}',
      },
    },
  },
};

/** Keys of the demo data whose values are strings, and others, as written in a path. */
export const KEY_EXAMPLES = {
  text: { summary: 'text', value: 'greeting' },
  json: { summary: 'a JSON document', value: 'user:42' },
  empty: { summary: 'an empty string: a value, not a miss', value: 'empty' },
  binary: { summary: 'bytes that are not UTF-8', value: 'binary' },
  encoded: { summary: 'a slash and a non-ASCII letter', value: 'café/menu' },
  expiring: { summary: 'a key with a TTL in Redis', value: 'short-lived' },
  list: { summary: 'not a string: 409', value: 'queue' },
  unknown: { summary: 'no such key: 404', value: 'nobody' },
} as const;
