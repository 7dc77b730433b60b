import { MAX_KEY_BYTES } from '../../access/access.ts';
import type { ContentCoding } from '../../config/settings.ts';
import { formatEtag } from '../../cache/shared-lru/etag.ts';
import type { Forward, Freshness, CachedValue } from '../../cache/shared-lru/cache-types.ts';
import type { DirectedOutcome, Origin, ValueOutcome } from '../../cache/read-through/read-outcome.ts';
import { type HttpResponse, problemResponse } from '../response/http-response.ts';
import { contentRange, slice } from '../response/byte-range.ts';
import { type Conditions, etagMatches, requestedRange } from '../response/conditional.ts';
import { ageSeconds, lifetimeSeconds } from './delta-seconds.ts';
import type { KeyProblem } from '../request/key-path.ts';
import { type Problem, problem } from '../response/problem.ts';

/** This cache's name in `Cache-Status` (RFC 9211). */
const CACHE_NAME = 'redis-http-cache-proxy';

/** Seconds after which a client may retry. */
const RETRY_AFTER = ['Retry-After', '1'] as const;

type FailedRead = Exclude<
  DirectedOutcome['kind'],
  'hit' | 'value' | 'stale' | 'revalidating' | 'error-reply' | 'unconvertible'
>;

/** The problem of a key that does not exist. */
export const KEY_NOT_FOUND = problem('key-not-found', 'Redis has no such key.');

/** The problem of a value that is not read because of its size. */
export const VALUE_TOO_LARGE = problem('value-too-large', 'The value exceeds REDIS_MAX_VALUE_BYTES.');

/** The problem of a range that a value does not have. */
export const RANGE_NOT_SATISFIABLE = problem(
  'range-not-satisfiable',
  'The range is empty, or starts behind the last byte of the value.',
);

/** The problem of each outcome without a value. */
export const OUTCOME_PROBLEMS: Readonly<Record<FailedRead, Problem>> = {
  missing: KEY_NOT_FOUND,
  absent: KEY_NOT_FOUND,
  'wrong-type': problem('wrong-type', 'The value stored at this key is not a string.'),
  'value-too-large': VALUE_TOO_LARGE,
  timeout: problem('redis-timeout', 'Redis did not reply in time.'),
  unavailable: problem('redis-unavailable', 'Redis is unavailable.'),
  'not-cached': problem('not-cached', 'Not cached, and the request specified only-if-cached.'),
  overloaded: problem('overloaded', 'Too many Redis reads are queued.'),
};

/** The problems of a value that cannot be decompressed for a client that does not accept its coding. */
export const UNCONVERTIBLE = {
  invalid: problem(
    'invalid-encoding',
    'The value is not in the content coding that HTTP_CONTENT_ENCODINGS states for its key.',
  ),
  'too-large': problem(
    'value-too-large',
    'The value, decompressed, exceeds REDIS_MAX_VALUE_BYTES or PROXY_MAX_BUFFERED_BYTES.',
  ),
} as const;

/** Returns the problem of a query that Redis rejected. */
export function rejectedQuery(message: string): Problem {
  return problem('redis-error', `Redis replied: ${message}`);
}

/** Properties shared by the responses with one representation of values. */
export interface KeyResponsePolicy {
  /** Undefined: the response has no content, and status 204. */
  readonly contentType: string | undefined;
  /** The coding of the content; absent: none. */
  readonly contentEncoding?: ContentCoding | undefined;
  /** Whether clients that accept other codings may get another representation; absent: they do not. */
  readonly variesByCoding?: boolean;
  /** Whether browsers might render the content, and must do so in a sandbox. */
  readonly sandbox: boolean;
  /** The problem if what was requested does not exist. */
  readonly notFound: Problem;
  /** The problem if what was requested exceeds a limit. */
  readonly tooLarge: Problem;
  /** Whether shared caches must not store responses, because reads require a token. */
  readonly private: boolean;
  /** Whether other caches must revalidate a value before each use. May change at any time. */
  readonly revalidate: boolean;
  /** Whether the Cache-Control directives of requests apply. */
  readonly honoursDirectives: boolean;
}

/**
 * Renders the response to `GET` or `HEAD` of a key, or of another resource that represents a key.
 *
 * @param rejection the problem if Redis rejected the query, for example because the key has another type.
 */
export function keyResponse(
  outcome: DirectedOutcome,
  conditions: Conditions,
  policy: KeyResponsePolicy,
  rejection?: Problem,
): HttpResponse {
  switch (outcome.kind) {
    case 'hit':
    case 'value':
    case 'stale':
    case 'revalidating':
      return valueResponse(outcome, valueStatus(outcome), conditions, policy);
    case 'unconvertible':
      return failureResponse(UNCONVERTIBLE[outcome.why], valueStatus(outcome.of));
    case 'missing':
      return failureResponse(policy.notFound, hitStatus(ttlOf(outcome.freshness)));
    case 'absent':
      return failureResponse(policy.notFound, missStatus(outcome));
    case 'wrong-type':
      return failureResponse(rejection ?? OUTCOME_PROBLEMS['wrong-type'], missStatus(outcome));
    case 'value-too-large':
      return failureResponse(policy.tooLarge, missStatus(outcome));
    case 'timeout':
      return failureResponse(OUTCOME_PROBLEMS[outcome.kind], missStatus(outcome));
    case 'unavailable':
    case 'overloaded':
      return failureResponse(OUTCOME_PROBLEMS[outcome.kind], missStatus(outcome), RETRY_AFTER);
    case 'error-reply':
      return failureResponse(rejection ?? rejectedQuery(outcome.message), missStatus(outcome));
    case 'not-cached':
      return failureResponse(OUTCOME_PROBLEMS[outcome.kind], `${CACHE_NAME}; detail=only-if-cached`);
  }
}

/** Header values that differ between responses with a value; numbers in decimal, in seconds and bytes. */
export interface HitFields {
  /** Including the quotes. */
  readonly etag: string;
  readonly age: string;
  readonly lifetime: string;
  readonly ttl: string;
  readonly length: string;
}

/** Renders the response to a hit, without the value. */
export function hitResponse(fields: HitFields, policy: KeyResponsePolicy): HttpResponse {
  const headers = [...cachingHeaders(fields, hitStatus(fields.ttl), policy), ...contentHeaders(fields.length, policy)];
  return { status: statusOf(policy), headers, body: undefined };
}

/** Renders the response to a miss whose value has been stored, without the value. */
export function storedResponse(fields: HitFields, policy: KeyResponsePolicy): HttpResponse {
  const headers = [
    ...cachingHeaders(fields, missStatus({ origin: 'stored', forward: 'uri-miss' }), policy),
    ...contentHeaders(fields.length, policy),
  ];
  return { status: statusOf(policy), headers, body: undefined };
}

/** Renders the response to a request with an invalid key. */
export function badKeyResponse(why: KeyProblem): HttpResponse {
  return problemResponse(problem('bad-key', BAD_KEY[why]));
}

const BAD_KEY: Readonly<Record<KeyProblem, string>> = {
  empty: 'The key is empty.',
  'bad-encoding': 'Invalid percent-encoding: % must be followed by two hexadecimal digits.',
  'too-long': `The key exceeds ${MAX_KEY_BYTES} bytes.`,
  'part-too-long': `The field or member, after the first plain slash, exceeds ${MAX_KEY_BYTES} bytes.`,
};

function valueResponse(
  found: CachedValue,
  cacheStatus: string,
  conditions: Conditions,
  policy: KeyResponsePolicy,
): HttpResponse {
  const { value, freshness } = found;
  const etag = formatEtag(found.etag);
  const age = String(ageSeconds(freshness.ageMs));
  const fields = { etag, age, lifetime: String(lifetimeSeconds(freshness.lifetimeMs)) };
  const headers = cachingHeaders(fields, cacheStatus, policy);
  const { ifNoneMatch } = conditions;
  if (ifNoneMatch !== undefined && etagMatches(ifNoneMatch, etag)) return { status: 304, headers, body: undefined };
  if (policy.contentType === undefined) return { status: 204, headers, body: undefined };
  const range = requestedRange(conditions, etag, value.length);
  if (range === 'unsatisfiable') {
    return failureResponse(RANGE_NOT_SATISFIABLE, cacheStatus, ['Content-Range', `bytes */${value.length}`]);
  }
  const body = range === undefined ? value : slice(value, range);
  headers.push(...contentHeaders(String(body.length), policy));
  if (range === undefined) return { status: 200, headers, body };
  return { status: 206, headers: [...headers, 'Content-Range', contentRange(range, value.length)], body };
}

function cachingHeaders(
  { etag, age, lifetime }: Omit<HitFields, 'ttl' | 'length'>,
  cacheStatus: string,
  policy: KeyResponsePolicy,
): string[] {
  // Not max-age=0: with that, a cache may still serve a stale response if it is disconnected or the client accepts one.
  const cacheControl = `${policy.private ? 'private, ' : ''}${policy.revalidate ? 'no-cache' : `max-age=${lifetime}`}`;
  const headers = ['ETag', etag, 'Age', age, 'Cache-Control', cacheControl, 'Cache-Status', cacheStatus];
  if (policy.variesByCoding) headers.push('Vary', 'Accept-Encoding');
  return headers;
}

function contentHeaders(length: string, { contentType, contentEncoding, sandbox }: KeyResponsePolicy): string[] {
  if (contentType === undefined) return [];
  const headers = ['Content-Type', contentType];
  if (contentEncoding !== undefined) headers.push('Content-Encoding', contentEncoding);
  headers.push('Content-Length', length, 'Accept-Ranges', 'bytes');
  return sandbox ? [...headers, ...SANDBOX] : headers;
}

/** Returns the status of a response with a value: a response with 204 has no Content-Length. */
function statusOf({ contentType }: KeyResponsePolicy): 200 | 204 {
  return contentType === undefined ? 204 : 200;
}

/** Prevents a value with markup from acting as a page of the proxy's origin. */
const SANDBOX = ['Content-Security-Policy', "default-src 'none'; sandbox"] as const;

function failureResponse(why: Problem, cacheStatus: string, headers: readonly string[] = []): HttpResponse {
  return problemResponse(why, ['Cache-Status', cacheStatus, ...headers]);
}

/** Returns the Cache-Status of a read with a value. */
function valueStatus(outcome: ValueOutcome): string {
  switch (outcome.kind) {
    case 'hit':
      return hitStatus(ttlOf(outcome.freshness));
    case 'value':
      return missStatus(outcome);
    case 'stale':
      return staleStatus(outcome, 'stale-if-error');
    case 'revalidating':
      return staleStatus(outcome, 'stale-while-revalidate');
  }
}

function hitStatus(ttl: string): string {
  return `${CACHE_NAME}; hit; ttl=${ttl}`;
}

function ttlOf({ ageMs, lifetimeMs }: Freshness): string {
  return String(lifetimeSeconds(lifetimeMs - ageMs));
}

/** Its `ttl` is negative: seconds since the value expired. */
function staleStatus({ freshness }: CachedValue, detail: 'stale-if-error' | 'stale-while-revalidate'): string {
  return `${hitStatus(ttlOf(freshness))}; detail=${detail}`;
}

function missStatus({ forward, origin }: { readonly forward: Forward; readonly origin: Origin }): string {
  return `${CACHE_NAME}; fwd=${forward}${ORIGIN_STATUS[origin]}`;
}

const ORIGIN_STATUS: Readonly<Record<Origin, string>> = {
  stored: '; stored',
  'not-stored': '',
  collapsed: '; collapsed',
};
