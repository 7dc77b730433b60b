import type { ServerResponse } from 'node:http';
import { PROBLEM_MEDIA_TYPE, type Problem, problem } from './problem.ts';

/** An HTTP response, rendered independently of how it is sent. */
export interface HttpResponse {
  readonly status: number;
  /** Names and values, alternating, in the order in which they are sent. */
  readonly headers: readonly string[];
  readonly body: Buffer | undefined;
}

/** Headers of every response: browsers must not guess another content type from the bytes. */
export const COMMON_HEADERS: readonly string[] = ['X-Content-Type-Options', 'nosniff'];

/** Renders a problem as a response that must not be cached. */
export function problemResponse(problem: Problem, headers: readonly string[] = []): HttpResponse {
  return uncacheableResponse(problem.status, PROBLEM_MEDIA_TYPE, Buffer.from(JSON.stringify(problem)), headers);
}

/** The response to a request that failed unexpectedly. */
export const INTERNAL_ERROR = problemResponse(problem('internal-error', "Internal error; see the proxy's log."));

/** @param allowed methods of the resource. */
export function methodNotAllowed(allowed: readonly string[]): HttpResponse {
  const list = allowed.join(', ');
  return problemResponse(problem('method-not-allowed', `Allowed methods: ${list}.`), ['Allow', list]);
}

export function jsonResponse(status: number, body: object): HttpResponse {
  return jsonBodyResponse(status, Buffer.from(JSON.stringify(body)));
}

/**
 * Renders a response that must not be cached.
 *
 * @param body JSON in UTF-8.
 */
export function jsonBodyResponse(status: number, body: Buffer, headers: readonly string[] = []): HttpResponse {
  return uncacheableResponse(status, 'application/json', body, headers);
}

/**
 * Renders a response that must not be cached.
 *
 * @param headers names and values appended to those that describe the body.
 */
export function uncacheableResponse(
  status: number,
  contentType: string,
  body: Buffer,
  headers: readonly string[] = [],
): HttpResponse {
  const length = String(body.length);
  return {
    status,
    headers: ['Content-Type', contentType, 'Content-Length', length, 'Cache-Control', 'no-store', ...headers],
    body,
  };
}

/**
 * Sends a response with node:http; without the body if the method is HEAD.
 *
 * @param headers names and values appended to the response's own.
 */
export function send(content: HttpResponse, response: ServerResponse, headers: readonly string[] = []): void {
  response.writeHead(content.status, [...content.headers, ...headers, ...COMMON_HEADERS]);
  response.end(response.req.method === 'HEAD' ? undefined : content.body);
}
