import { type ApiResponseOptions } from '@nestjs/swagger';
import { PROBLEMS, PROBLEM_MEDIA_TYPE, type ProblemCode, problem } from './problem.ts';

type Headers = NonNullable<ApiResponseOptions['headers']>;

/** An answer that is a problem, as the decorators of `@nestjs/swagger` take it. */
export type ProblemResponse = ApiResponseOptions & { readonly content?: object };

/** A header of an answer, for the OpenAPI document. */
export function header(description: string, example: string): Headers[string] {
  return { description, required: true, schema: { type: 'string' }, example };
}

/** The answers of one status that are problems, for the OpenAPI document: an example for each code. */
export function problemResponse(details: Partial<Record<ProblemCode, string>>, headers: Headers = {}): ProblemResponse {
  const codes = Object.keys(details) as ProblemCode[];
  return {
    status: PROBLEMS[codes[0]][0],
    description: codes.map((code) => `\`${code}\`: ${details[code]}`).join('<br>'),
    headers: { 'Cache-Control': header('Errors are about the moment.', 'no-store'), ...headers },
    content: {
      [PROBLEM_MEDIA_TYPE]: {
        schema: { $ref: '#/components/schemas/Problem' },
        examples: Object.fromEntries(codes.map((code) => [code, { value: problem(code, details[code] ?? '') }])),
      },
    },
  };
}

/** The schema of a problem. */
export const PROBLEM_SCHEMA = {
  type: 'object',
  description: 'An error (RFC 9457).',
  required: ['status', 'title', 'code', 'detail'],
  properties: {
    status: { type: 'integer', description: 'The HTTP status.', example: 404 },
    title: { type: 'string', description: 'What that status is called.', example: 'Not Found' },
    code: { type: 'string', description: 'What went wrong; stable.', enum: Object.keys(PROBLEMS) },
    detail: { type: 'string', description: 'The same for people.', example: 'Redis has no such key.' },
  },
} as const;

/** Keys of the demo data, as one writes them in a path. */
export const KEY_EXAMPLES = {
  text: { summary: 'a text', value: 'greeting' },
  json: { summary: 'a JSON document', value: 'user:42' },
  empty: { summary: 'an empty string: a value, not a miss', value: 'empty' },
  binary: { summary: 'bytes that are no text', value: 'binary' },
  encoded: { summary: 'a slash and a letter beyond ASCII', value: 'café/menu' },
  expiring: { summary: 'a key with an expiry of its own in Redis', value: 'short-lived' },
  list: { summary: 'no string: 409', value: 'queue' },
  unknown: { summary: 'no such key: 404', value: 'nobody' },
} as const;
