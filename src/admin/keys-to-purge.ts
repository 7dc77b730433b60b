import { type ExecutionContext, createParamDecorator } from '@nestjs/common';
import { MAX_KEY_BYTES } from '../access/access.ts';
import {
  MAX_PATTERN_BYTES,
  type SelectedKeys,
  type SelectionProblem,
  keysMatching,
  keysWithPrefix,
} from '../access/key-selection.ts';
import { percentDecode, splitTarget } from '../http/request/key-path.ts';
import { requestOf } from '../http/request/http-context.ts';
import { problemResponse } from '../http/response/http-response.ts';
import { ResponseException } from '../http/response/problem.filter.ts';
import { problem } from '../http/response/problem.ts';

/** The query parameters that select keys, of which a request may have one. */
export const SELECTION_PARAMETERS = ['prefix', 'pattern'] as const;
type SelectionParameter = (typeof SELECTION_PARAMETERS)[number];

/** Yields the keys that the query selects, and undefined without a query; rejects any other query with 400. */
export const SelectedByQuery = createParamDecorator((_data: unknown, context: ExecutionContext) => {
  const selected = selectedKeys(requestOf(context).originalUrl);
  if (typeof selected !== 'string') return selected;
  throw new ResponseException(problemResponse(problem('bad-request', `${selected} Nothing was done.`)));
});

/**
 * Returns the keys that the query of a request target selects, byte for byte; undefined without a query. Returns a sentence
 * that says what is wrong with any other query: purging other keys than the client meant would be worse than an error.
 */
export function selectedKeys(target: string): SelectedKeys | string | undefined {
  const [, query] = splitTarget(target);
  if (query === undefined) return undefined;
  const parameter = SELECTION_PARAMETERS.find((name) => query.startsWith(`${name}=`));
  if (parameter === undefined || query.includes('&')) return 'Expected one query parameter: prefix or pattern.';
  const encoded = query.slice(parameter.length + 1);
  // As form data, it would be a space.
  if (encoded.includes('+')) return 'A plus sign in the query is ambiguous: encode it as %2B, and a space as %20.';
  const bytes = Buffer.from(encoded, 'latin1');
  const length = encoded.includes('#') ? -1 : percentDecode(bytes, 0, bytes.length, bytes);
  if (length === -1) return `The ${parameter} is not percent-encoded.`;
  const value = bytes.subarray(0, length);
  const keys = parameter === 'prefix' ? keysWithPrefix(value) : keysMatching(value);
  return typeof keys === 'string' ? describeProblem(keys, parameter) : keys;
}

function describeProblem(problem: SelectionProblem, parameter: SelectionParameter): string {
  switch (problem) {
    case 'empty':
      return `The ${parameter} is empty.`;
    case 'too-long':
      return `The ${parameter} exceeds ${parameter === 'prefix' ? MAX_KEY_BYTES : MAX_PATTERN_BYTES} bytes.`;
    case 'invalid':
      return 'The pattern is invalid: it has an open [, an empty class, or a \\ at the end.';
  }
}
