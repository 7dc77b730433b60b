import { type Problem, problem } from '../response/problem.ts';

/** A parse error of node:http. */
export interface ParserError {
  readonly code?: string;
  /** The last chunk of input. */
  readonly rawPacket?: Buffer;
  /** Number of bytes of the chunk that were parsed. */
  readonly bytesParsed?: number;
}

/** A request line that is well-formed except for its method or version. */
const REQUEST_LINE = /^[!#$%&'*+\-.^_`|~\w]+ +[^ ]+ +HTTP\/(\d\.\d)\r?$/;
const LF = 0x0a;

const NO_REQUEST = problem('bad-request', 'Malformed HTTP/1.1 request.');
const METHOD = problem('not-implemented', 'The method is not implemented.');
const VERSION = problem('http-version-not-supported', 'HTTP/1.0 and HTTP/1.1 are supported.');

const BY_CODE: ReadonlyMap<string | undefined, Problem> = new Map([
  ['HPE_HEADER_OVERFLOW', problem('head-too-large', 'The request line and the headers are too long.')],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', problem('body-too-large', 'The chunk extensions are too long.')],
  ['HPE_PAUSED_H2_UPGRADE', VERSION],
  ['ERR_HTTP_REQUEST_TIMEOUT', problem('request-timeout', 'The request did not arrive in time.')],
]);

/** Returns the problem to send for a parse error. */
export function parserProblem(error: ParserError): Problem {
  const isRequestLine = error.code === 'HPE_INVALID_METHOD' || error.code === 'HPE_INVALID_VERSION';
  return BY_CODE.get(error.code) ?? (isRequestLine ? requestLineProblem(error) : undefined) ?? NO_REQUEST;
}

/** Returns undefined if more than the method or the version of the request line is invalid. */
function requestLineProblem({ code, rawPacket, bytesParsed = 0 }: ParserError): Problem | undefined {
  if (rawPacket === undefined) return undefined;
  const start = bytesParsed === 0 ? 0 : rawPacket.lastIndexOf(LF, bytesParsed - 1) + 1;
  const end = rawPacket.indexOf(LF, start);
  const version = REQUEST_LINE.exec(rawPacket.toString('latin1', start, end === -1 ? start : end))?.[1];
  if (version === undefined) return undefined;
  if (version !== '1.0' && version !== '1.1') return VERSION;
  return code === 'HPE_INVALID_METHOD' ? METHOD : undefined;
}
