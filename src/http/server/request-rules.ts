import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import { type Problem, problem } from '../response/problem.ts';

/** Most headers in one request. */
export const MAX_HEADERS = 2000;

/** RFC 3986, section 3.2.2, without the comma, with which proxies join two Host headers. */
const HOST = /^(?:\[([0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+)(?::\d*)?$/;
const ABSOLUTE_FORM = /^https?:\/\/([^/?]*)/i;

const VERSION = problem('http-version-not-supported', 'HTTP/1.0 and HTTP/1.1 are supported.');
const TOO_MANY_HEADERS = problem('head-too-large', `The request has more than ${MAX_HEADERS} headers.`);
const NO_HOST = problem('bad-request', 'A Host header is required.');
const TWO_HOSTS = problem('bad-request', 'The request has more than one Host header.');
const BAD_HOST = problem('bad-request', 'The Host header is not a host with an optional port.');
const NOT_CHUNKED = problem('bad-request', 'The last transfer coding of a request must be chunked.');
const UNKNOWN_CODING = problem('not-implemented', 'The only transfer coding that is implemented is chunked.');
const BAD_TARGET = problem('bad-request', 'The request target is not valid.');

/** Whether a text is valid in a Host header: a host with an optional port (RFC 9110, section 7.2). */
export function isHost(text: string): boolean {
  const match = HOST.exec(text);
  return match !== null && (match[1] === undefined || isIPv6(match[1]));
}

/**
 * Returns the problem of a request head that node:http accepts although RFC 9112 requires an error; undefined if it is
 * valid. After such an error the connection must be closed, as the start of the next request is uncertain.
 */
export function headProblem(request: IncomingMessage): Problem | undefined {
  const { httpVersionMajor, httpVersionMinor, rawHeaders } = request;
  if (httpVersionMajor !== 1 || httpVersionMinor > 1) return VERSION;
  // The headers that node:http drops beyond its limit could include a second Host, or a transfer coding.
  if (rawHeaders.length > 2 * MAX_HEADERS) return TOO_MANY_HEADERS;
  return hostProblem(request) ?? codingProblem(request.headers['transfer-encoding']) ?? targetProblem(request);
}

/** Whether the connection must be closed after the response, as HTTP/1.0 has no transfer codings (RFC 9112, section 6.1). */
export function isFramingDoubtful({ httpVersionMinor, headers }: IncomingMessage): boolean {
  return httpVersionMinor === 0 && headers['transfer-encoding'] !== undefined;
}

/** Returns the expectation of a request (RFC 9110, section 10.1.1). */
export function expectationOf({ headers: { expect = '' } }: IncomingMessage): 'nothing' | 'continue' | 'unknown' {
  const members = expect.split(',').map((member) => member.trim().toLowerCase());
  const named = members.filter((member) => member !== '');
  if (named.length === 0) return 'nothing';
  return named.every((member) => member === '100-continue') ? 'continue' : 'unknown';
}

function hostProblem({ httpVersionMinor, rawHeaders }: IncomingMessage): Problem | undefined {
  let host: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i].length !== 4 || rawHeaders[i].toLowerCase() !== 'host') continue;
    if (host !== undefined) return TWO_HOSTS;
    host = rawHeaders[i + 1];
  }
  if (host === undefined) return httpVersionMinor === 0 ? undefined : NO_HOST;
  return isHost(host) ? undefined : BAD_HOST;
}

function codingProblem(header: string | undefined): Problem | undefined {
  if (header === undefined) return undefined;
  const codings = header.split(',').map((coding) => coding.trim().toLowerCase());
  const named = codings.filter((coding) => coding !== '');
  if (named.at(-1) !== 'chunked') return NOT_CHUNKED;
  return named.length === 1 ? undefined : UNKNOWN_CODING;
}

/** Accepts the forms of RFC 9112, section 3.2, none of which has a fragment. */
function targetProblem({ method, url = '' }: IncomingMessage): Problem | undefined {
  // CONNECT, whose target is a host with a port, is always rejected.
  if (method === 'CONNECT') return undefined;
  if (url.includes('#')) return BAD_TARGET;
  if (url.startsWith('/')) return undefined;
  if (url === '*') return method === 'OPTIONS' ? undefined : BAD_TARGET;
  const authority = ABSOLUTE_FORM.exec(url)?.[1];
  return authority !== undefined && isHost(authority) ? undefined : BAD_TARGET;
}
