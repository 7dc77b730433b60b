import type { ServerResponse } from 'node:http';
import type { HeldMemory } from '../../net/held-memory.ts';
import { PROBLEM_MEDIA_TYPE, type Problem, problem } from './problem.ts';

/** What is sent in answer to a request, whoever sends it. */
export interface HttpResponse {
  readonly status: number;
  /** Names and values in turn, in the order in which they are sent. */
  readonly headers: readonly string[];
  readonly body: Buffer | undefined;
}

/** What every answer says: that it is of the type it says, whatever its bytes look like to a browser. */
export const COMMON_HEADERS: readonly string[] = ['X-Content-Type-Options', 'nosniff'];

/** Errors are about the moment: nobody may keep one. */
export function problemResponse(problem: Problem, headers: readonly string[] = []): HttpResponse {
  const body = Buffer.from(JSON.stringify(problem));
  return {
    status: problem.status,
    headers: [
      ...['Content-Type', PROBLEM_MEDIA_TYPE, 'Content-Length', String(body.length), 'Cache-Control', 'no-store'],
      ...headers,
    ],
    body,
  };
}

/** The response to a request that met a bug. */
export const INTERNAL_ERROR = problemResponse(problem('internal-error', "Internal error; see the proxy's log."));

/** @param allowed the methods that the resource has. */
export function methodNotAllowed(allowed: readonly string[]): HttpResponse {
  const list = allowed.join(', ');
  return problemResponse(problem('method-not-allowed', `Allowed methods: ${list}.`), ['Allow', list]);
}

export function jsonResponse(status: number, body: object): HttpResponse {
  const bytes = Buffer.from(JSON.stringify(body));
  return {
    status,
    headers: ['Content-Type', 'application/json', 'Content-Length', String(bytes.length), 'Cache-Control', 'no-store'],
    body: bytes,
  };
}

/**
 * Sends an answer over node:http; a HEAD request gets the headers alone.
 *
 * @param more names and values that stand behind the answer's own.
 */
export function send(
  answer: HttpResponse,
  method: string | undefined,
  response: ServerResponse,
  more: readonly string[] = [],
): void {
  response.writeHead(answer.status, [...answer.headers, ...more, ...COMMON_HEADERS]);
  response.end(method === 'HEAD' ? undefined : answer.body);
}

/** The same, counting the memory of the body until the client has taken it. */
export function sendHeld(
  answer: HttpResponse,
  method: string | undefined,
  response: ServerResponse,
  memory: HeldMemory,
  more: readonly string[] = [],
): void {
  const body = method === 'HEAD' || response.closed ? undefined : answer.body?.buffer;
  if (body !== undefined) {
    memory.hold(body);
    response.once('close', () => memory.release(body));
  }
  send(answer, method, response, more);
}
