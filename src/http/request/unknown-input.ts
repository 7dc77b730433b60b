import type { IncomingHttpHeaders } from 'node:http';
import { splitTarget } from './key-path.ts';

/** The parts of a request that are checked. */
export interface RequestInput {
  readonly method: string;
  /** The request target, unchanged. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
}

/** The input that a route knows. */
export interface KnownInputs {
  /** Its path in the router's syntax; a parameter, from `:` on, accepts any bytes. */
  readonly path: string;
  readonly queryParameters: readonly string[];
}

/** Headers that override the method in the request line. */
const METHOD_OVERRIDES = ['x-http-method-override', 'x-http-method', 'x-method-override'] as const;
/** Preconditions of a change (RFC 9110, sections 13.1.1 and 13.1.2). */
const CONDITIONS = ['if-match', 'if-none-match'] as const;
const SAFE_METHODS = ['GET', 'HEAD'];
const MAX_NAME_CHARACTERS = 64;

/**
 * Finds input that a route does not know: an unknown or repeated query parameter, a body, a precondition, a method
 * override. Ignoring it could widen an operation that the client meant to restrict.
 *
 * @returns a sentence that names it; undefined if there is none.
 */
export function unknownInput({ method, target, headers }: RequestInput, known: KnownInputs): string | undefined {
  const [path, query] = splitTarget(target);
  // Express matches some paths that do not belong to the route, such as /v1/cache#a.
  if (path.includes('#') || !isOfRoute(path, known.path)) return 'The path is not percent-encoded.';
  return (
    (query === undefined ? undefined : unknownParameter(query, known.queryParameters)) ??
    unknownBody(headers) ??
    unknownHeader(headers, method)
  );
}

function isOfRoute(path: string, route: string): boolean {
  const parameter = route.indexOf(':');
  return parameter === -1 ? path === route : path.startsWith(route.slice(0, parameter));
}

/** Finds a query parameter that is unknown or repeated, in a query without the question mark. */
export function unknownParameter(query: string, known: readonly string[]): string | undefined {
  const given = [...new URLSearchParams(query).keys()];
  // The client may have lost the parameters, for example to an unset variable.
  if (given.length === 0) return 'The query is empty.';
  const unknown = given.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const name = JSON.stringify(unknown.slice(0, MAX_NAME_CHARACTERS));
    return `The query parameter ${name} is unknown here; known: ${known.join(', ') || 'none'}.`;
  }
  const repeated = given.find((name, i) => given.indexOf(name) !== i);
  return repeated === undefined ? undefined : `The query parameter ${JSON.stringify(repeated)} is given twice.`;
}

/** Decides by the headers alone: the response must not wait for the body. */
function unknownBody(headers: IncomingHttpHeaders): string | undefined {
  const { 'content-length': length = '0', 'transfer-encoding': coding } = headers;
  return coding === undefined && Number(length) === 0 ? undefined : 'No body is expected.';
}

function unknownHeader(headers: IncomingHttpHeaders, method: string): string | undefined {
  const override = METHOD_OVERRIDES.find((name) => headers[name] !== undefined);
  if (override !== undefined) return `The header ${override} is not supported.`;
  // On a read, a precondition can only save a response body.
  if (SAFE_METHODS.includes(method)) return undefined;
  const condition = CONDITIONS.find((name) => headers[name] !== undefined);
  return condition === undefined ? undefined : `The condition ${condition} is not supported.`;
}
