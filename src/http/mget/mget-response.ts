import { isUtf8 } from 'node:buffer';
import { formatEtag } from '../../cache/shared-lru/etag.ts';
import type { CachedValue } from '../../cache/shared-lru/cache-types.ts';
import type { Origin, ReadOutcome } from '../../cache/read-through/read-outcome.ts';
import type { Omitted } from '../../cache/read-through/many-keys/bounded-results.ts';
import { type HttpResponse, jsonBodyResponse } from '../response/http-response.ts';
import { ageSeconds, lifetimeSeconds } from '../keys/delta-seconds.ts';
import { type KeyResponsePolicy, OUTCOME_PROBLEMS, rejectedQuery } from '../keys/key-response.ts';
import { KEY_NOT_ALLOWED } from '../keys/access-denied.ts';
import { type Problem, problem } from '../response/problem.ts';
import { type Allocate, type JsonPart, MAX_RESULTS_BYTES, ResultsBody } from '../response/json/results-body.ts';

/** The outcome for one key; `problem` if the key has another type, and Redis was asked for it. */
export type MgetOutcome =
  (ReadOutcome & { readonly problem?: Problem | undefined }) | Omitted | { readonly kind: 'not-allowed' };

/** Where a result came from, as in `Cache-Status`. */
export const CACHE_STATUSES = ['hit', 'stale', 'stored', 'not-stored', 'collapsed'] as const satisfies (
  Origin | 'hit' | 'stale'
)[];
type CacheStatus = (typeof CACHE_STATUSES)[number];

const RESPONSE_TOO_LARGE = problem(
  'answer-too-large',
  `The response size limit of ${MAX_RESULTS_BYTES} bytes was reached before this value; request fewer keys.`,
);

/**
 * Renders the response: a result for each key, in order.
 *
 * @param maxBytes limit for the results that are values.
 * @returns the length of the body if no memory is available for it.
 */
export async function mgetResponse(
  outcomes: readonly MgetOutcome[],
  policy: Pick<KeyResponsePolicy, 'revalidate'>,
  allocate: Allocate,
  maxBytes = MAX_RESULTS_BYTES,
): Promise<HttpResponse | number> {
  const results = outcomes.map((outcome) => ({ parts: resultOf(outcome, policy), counted: hasValue(outcome) }));
  const measured = await ResultsBody.of(['{"results":[', ']}'], results, problemResult(RESPONSE_TOO_LARGE), maxBytes);
  const body = await measured.write(allocate);
  return body === undefined ? measured.bytes : jsonBodyResponse(200, body);
}

function resultOf(outcome: MgetOutcome, policy: Pick<KeyResponsePolicy, 'revalidate'>): readonly JsonPart[] {
  switch (outcome.kind) {
    case 'hit':
    case 'stale':
      return valueResult(outcome, outcome.kind, policy);
    case 'revalidating':
      return valueResult(outcome, 'stale', policy);
    case 'value':
      return valueResult(outcome, outcome.origin, policy);
    case 'missing':
      return [problemResult(OUTCOME_PROBLEMS.missing, 'hit')];
    case 'wrong-type':
      return [problemResult(outcome.problem ?? OUTCOME_PROBLEMS[outcome.kind], outcome.origin)];
    case 'absent':
    case 'value-too-large':
    case 'timeout':
    case 'unavailable':
    case 'overloaded':
      return [problemResult(OUTCOME_PROBLEMS[outcome.kind], outcome.origin)];
    case 'error-reply':
      return [problemResult(rejectedQuery(outcome.message), outcome.origin)];
    case 'not-allowed':
      return [problemResult(KEY_NOT_ALLOWED)];
    case 'omitted':
      return [problemResult(RESPONSE_TOO_LARGE)];
  }
}

function valueResult(
  { value, etag, freshness }: CachedValue,
  cacheStatus: CacheStatus,
  { revalidate }: Pick<KeyResponsePolicy, 'revalidate'>,
): readonly JsonPart[] {
  const encoding = isUtf8(value) ? 'utf8' : 'base64';
  const rest = JSON.stringify({
    encoding,
    etag: formatEtag(etag),
    age: ageSeconds(freshness.ageMs),
    maxAge: revalidate ? 0 : lifetimeSeconds(freshness.lifetimeMs),
    cacheStatus,
  });
  return ['{"status":200,"value":', { value, encoding }, `,${rest.slice(1)}`];
}

function problemResult(problem: Problem, cacheStatus?: CacheStatus): string {
  return JSON.stringify({ ...problem, title: undefined, cacheStatus });
}

function hasValue({ kind }: MgetOutcome): boolean {
  return kind === 'hit' || kind === 'value' || kind === 'stale' || kind === 'revalidating';
}
