import type { IncomingHttpHeaders } from 'node:http';
import { pathOf } from '../keys/key-path.ts';

/** What of a request may say more than its route knows. */
export interface RequestInput {
  readonly method: string;
  /** As it was sent. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
}

/** What a route knows. */
export interface KnownInputs {
  /** Its path as the router has it; what stands from a `:` on is a parameter of any bytes. */
  readonly path: string;
  readonly queryParameters: readonly string[];
}

/** Headers that ask for another method than the one in the request line. */
const METHOD_OVERRIDES = ['x-http-method-override', 'x-http-method', 'x-method-override'] as const;
/** Headers that ask for a change only if something is so (RFC 9110, sections 13.1.1 and 13.1.2). */
const CONDITIONS = ['if-match', 'if-none-match'] as const;
const SAFE_METHODS = ['GET', 'HEAD'];
const MAX_NAME_CHARACTERS = 64;

/**
 * Finds what a request asks for that its route does not know: a query parameter, one that is given twice, a body, a
 * condition, another method. Ignored, it may have been what was to limit the operation.
 *
 * @returns a sentence about it; undefined if there is nothing.
 */
export function unknownInput({ method, target, headers }: RequestInput, known: KnownInputs): string | undefined {
  const [path, query] = splitTarget(pathOf(target));
  // Express finds routes for some paths that are not theirs, such as /v1/cache#a.
  if (path.includes('#') || !isOfRoute(path, known.path)) return 'The path is not percent-encoded.';
  return (
    (query === undefined ? undefined : unknownParameter(query, known.queryParameters)) ??
    unknownBody(headers) ??
    unknownHeader(headers, method)
  );
}

function splitTarget(target: string): [path: string, query: string | undefined] {
  const query = target.indexOf('?');
  return query === -1 ? [target, undefined] : [target.slice(0, query), target.slice(query + 1)];
}

function isOfRoute(path: string, route: string): boolean {
  const parameter = route.indexOf(':');
  return parameter === -1 ? path === route : path.startsWith(route.slice(0, parameter));
}

function unknownParameter(query: string, known: readonly string[]): string | undefined {
  const given = [...new URLSearchParams(query).keys()];
  // What was to stand behind the ? has got lost.
  if (given.length === 0) return 'The query is empty.';
  const unknown = given.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const name = JSON.stringify(unknown.slice(0, MAX_NAME_CHARACTERS));
    return `The query parameter ${name} is unknown here; known: ${known.join(', ') || 'none'}.`;
  }
  const repeated = given.find((name, i) => given.indexOf(name) !== i);
  return repeated === undefined ? undefined : `The query parameter ${JSON.stringify(repeated)} is given twice.`;
}

/** By the head alone: a body that is still to come must not delay the response. */
function unknownBody(headers: IncomingHttpHeaders): string | undefined {
  const { 'content-length': length = '0', 'transfer-encoding': coding } = headers;
  return coding === undefined && Number(length) === 0 ? undefined : 'No body is expected.';
}

function unknownHeader(headers: IncomingHttpHeaders, method: string): string | undefined {
  const override = METHOD_OVERRIDES.find((name) => headers[name] !== undefined);
  if (override !== undefined) return `The header ${override} is not supported.`;
  // Where nothing is changed, a condition can only spare a response.
  if (SAFE_METHODS.includes(method)) return undefined;
  const condition = CONDITIONS.find((name) => headers[name] !== undefined);
  return condition === undefined ? undefined : `The condition ${condition} is not supported.`;
}
