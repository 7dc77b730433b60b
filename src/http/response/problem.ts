/** The body of an error response (RFC 9457). `code` is stable; `detail` is for humans. */
export interface Problem {
  readonly status: number;
  readonly title: string;
  readonly code: ProblemCode;
  readonly detail: string;
  /** Type of the value, as Redis names it, and the path that reads it (RFC 6570); only of `wrong-type`. */
  readonly keyType?: string;
  readonly urlTemplate?: string;
}

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** Status and reason phrase of each error code. */
export const PROBLEMS = {
  'bad-request': [400, 'Bad Request'],
  'bad-key': [400, 'Bad Request'],
  unauthorized: [401, 'Unauthorized'],
  'key-not-allowed': [403, 'Forbidden'],
  'key-not-found': [404, 'Not Found'],
  'field-not-found': [404, 'Not Found'],
  'member-not-found': [404, 'Not Found'],
  'route-not-found': [404, 'Not Found'],
  'admin-disabled': [404, 'Not Found'],
  'hot-keys-disabled': [404, 'Not Found'],
  'lookup-disabled': [404, 'Not Found'],
  'method-not-allowed': [405, 'Method Not Allowed'],
  'request-timeout': [408, 'Request Timeout'],
  'wrong-type': [409, 'Conflict'],
  'body-too-large': [413, 'Content Too Large'],
  'answer-too-large': [413, 'Content Too Large'],
  'unsupported-media-type': [415, 'Unsupported Media Type'],
  'range-not-satisfiable': [416, 'Range Not Satisfiable'],
  'expectation-failed': [417, 'Expectation Failed'],
  'head-too-large': [431, 'Request Header Fields Too Large'],
  'internal-error': [500, 'Internal Server Error'],
  'not-implemented': [501, 'Not Implemented'],
  'unknown-command': [501, 'Not Implemented'],
  'value-too-large': [502, 'Bad Gateway'],
  'invalid-encoding': [502, 'Bad Gateway'],
  'redis-error': [502, 'Bad Gateway'],
  'redis-unavailable': [503, 'Service Unavailable'],
  overloaded: [503, 'Service Unavailable'],
  'not-cached': [504, 'Gateway Timeout'],
  'redis-timeout': [504, 'Gateway Timeout'],
  'http-version-not-supported': [505, 'HTTP Version Not Supported'],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemCode = keyof typeof PROBLEMS;

export function problem(code: ProblemCode, detail: string): Problem {
  const [status, title] = PROBLEMS[code];
  return { status, title, code, detail };
}
