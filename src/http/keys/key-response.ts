import { MAX_KEY_BYTES } from '../../access/key-length.ts';
import { formatEtag } from '../../cache/shared-lru/etag.ts';
import type { Forward, Freshness, CachedValue } from '../../cache/shared-lru/cache-types.ts';
import type { DirectedOutcome, Origin } from '../../cache/read-through/read-outcome.ts';
import { type HttpResponse, problemResponse } from '../response/http-response.ts';
import { etagMatches } from '../response/conditional.ts';
import { ageSeconds, lifetimeSeconds } from '../response/delta-seconds.ts';
import type { KeyProblem } from './key-path.ts';
import { OUTCOME_PROBLEMS } from '../response/outcome-problem.ts';
import { problem } from '../response/problem.ts';

/** This cache's name in `Cache-Status` (RFC 9211). */
export const CACHE_NAME = 'redis-http-cache-proxy';

/** Seconds after which it is worth asking again. */
const RETRY_AFTER = ['Retry-After', '1'] as const;

/** What the answers to all keys have in common. */
export interface KeyAnswerPolicy {
  readonly contentType: string;
  /** Whether caches that several share must not keep the answers, since a token is needed to read. */
  readonly private: boolean;
  /** Whether other caches must ask each time before they give a value again. This may change at any time. */
  readonly revalidate: boolean;
}

/** The answer to `GET` or `HEAD /v1/keys/{key}`. */
export function keyResponse(
  outcome: DirectedOutcome,
  ifNoneMatch: string | undefined,
  policy: KeyAnswerPolicy,
): HttpResponse {
  switch (outcome.kind) {
    case 'hit':
      return valueAnswer(outcome, hitStatus(ttlOf(outcome.freshness)), ifNoneMatch, policy);
    case 'value':
      return valueAnswer(outcome, missStatus(outcome), ifNoneMatch, policy);
    case 'stale':
      return valueAnswer(outcome, staleStatus(ttlOf(outcome.freshness)), ifNoneMatch, policy);
    case 'missing':
      return failed(outcome.kind, hitStatus(ttlOf(outcome.freshness)));
    case 'absent':
    case 'wrong-type':
    case 'value-too-large':
    case 'timeout':
      return failed(outcome.kind, missStatus(outcome));
    case 'unavailable':
    case 'overloaded':
      return failed(outcome.kind, missStatus(outcome), RETRY_AFTER);
    case 'not-cached':
      return failed(outcome.kind, `${CACHE_NAME}; detail=only-if-cached`);
  }
}

/** What differs from one answer with a value to the next, as its headers have it: seconds and bytes in digits. */
export interface HitFields {
  /** With its quotes. */
  readonly etag: string;
  readonly age: string;
  readonly lifetime: string;
  readonly ttl: string;
  readonly length: string;
}

/** The answer to a hit whose value is asked for, less the value. */
export function hitAnswer(fields: HitFields, policy: KeyAnswerPolicy): HttpResponse {
  const headers = [...cachingHeaders(fields, hitStatus(fields.ttl), policy), ...contentHeaders(fields.length, policy)];
  return { status: 200, headers, body: undefined };
}

/** The answer to a miss whose value has been stored, less the value. */
export function storedAnswer(fields: HitFields, policy: KeyAnswerPolicy): HttpResponse {
  const headers = [
    ...cachingHeaders(fields, missStatus({ origin: 'stored', forward: 'uri-miss' }), policy),
    ...contentHeaders(fields.length, policy),
  ];
  return { status: 200, headers, body: undefined };
}

/** The answer to a request whose key is none. */
export function badKeyAnswer(why: KeyProblem): HttpResponse {
  return problemResponse(problem('bad-key', BAD_KEY[why]));
}

const BAD_KEY: Readonly<Record<KeyProblem, string>> = {
  empty: 'The key is empty.',
  'bad-encoding': 'Invalid percent-encoding: % must be followed by two hexadecimal digits.',
  'too-long': `The key exceeds ${MAX_KEY_BYTES} bytes.`,
};

function valueAnswer(
  found: CachedValue,
  cacheStatus: string,
  ifNoneMatch: string | undefined,
  policy: KeyAnswerPolicy,
): HttpResponse {
  const { value, freshness } = found;
  const etag = formatEtag(found.etag);
  const age = String(ageSeconds(freshness.ageMs));
  const fields = { etag, age, lifetime: String(lifetimeSeconds(freshness.lifetimeMs)) };
  const headers = cachingHeaders(fields, cacheStatus, policy);
  if (ifNoneMatch !== undefined && etagMatches(ifNoneMatch, etag)) return { status: 304, headers, body: undefined };
  headers.push(...contentHeaders(String(value.length), policy));
  return { status: 200, headers, body: value };
}

function cachingHeaders(
  { etag, age, lifetime }: Omit<HitFields, 'ttl' | 'length'>,
  cacheStatus: string,
  policy: KeyAnswerPolicy,
): string[] {
  // Not max-age=0, with which a cache that cannot ask may give what it has, and so may one whose client takes stale answers.
  const cacheControl = `${policy.private ? 'private, ' : ''}${policy.revalidate ? 'no-cache' : `max-age=${lifetime}`}`;
  return ['ETag', etag, 'Age', age, 'Cache-Control', cacheControl, 'Cache-Status', cacheStatus];
}

function contentHeaders(length: string, { contentType }: KeyAnswerPolicy): string[] {
  const headers = ['Content-Type', contentType, 'Content-Length', length];
  return contentType === OCTETS ? headers : [...headers, ...SANDBOX];
}

/** What browsers do not show, but save. */
const OCTETS = 'application/octet-stream';
/** Whoever may write a value must not be able to write a page that acts as one of the proxy's own. */
const SANDBOX = ['Content-Security-Policy', "default-src 'none'; sandbox"] as const;

function failed(
  kind: keyof typeof OUTCOME_PROBLEMS,
  cacheStatus: string,
  headers: readonly string[] = [],
): HttpResponse {
  return problemResponse(OUTCOME_PROBLEMS[kind], ['Cache-Status', cacheStatus, ...headers]);
}

function hitStatus(ttl: string): string {
  return `${CACHE_NAME}; hit; ttl=${ttl}`;
}

function ttlOf({ ageMs, lifetimeMs }: Freshness): string {
  return String(lifetimeSeconds(lifetimeMs - ageMs));
}

/** @param ttl below 0: seconds for which its time has been over. */
function staleStatus(ttl: string): string {
  return `${hitStatus(ttl)}; detail=stale-if-error`;
}

function missStatus({ forward, origin }: { readonly forward: Forward; readonly origin: Origin }): string {
  return `${CACHE_NAME}; fwd=${forward}${ORIGIN_STATUS[origin]}`;
}

const ORIGIN_STATUS: Readonly<Record<Origin, string>> = {
  stored: '; stored',
  'not-stored': '',
  collapsed: '; collapsed',
};
