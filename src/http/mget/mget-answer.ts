import { Buffer, isUtf8 } from 'node:buffer';
import { formatEtag } from '../../cache/etag.ts';
import type { HeldValue } from '../../cache/lookup.ts';
import type { Origin, ReadOutcome } from '../../cache/read-outcome.ts';
import type { Unread } from '../../cache/kept-outcomes.ts';
import type { Answer } from '../answer.ts';
import { ageSeconds, lifetimeSeconds } from '../delta-seconds.ts';
import type { KeyAnswerPolicy } from '../key-answer.ts';
import { KEY_NOT_ALLOWED } from '../key-refusal.ts';
import { OUTCOME_PROBLEMS } from '../outcome-problem.ts';
import { type Problem, problem } from '../problem.ts';
import { MAX_ANSWER_BYTES, resultsBody } from '../results-body.ts';

/** What came of one of the keys. */
export type MgetOutcome = ReadOutcome | Unread | { readonly kind: 'not-allowed' };

/** How a result came to be, as in `Cache-Status`. */
export const CACHE_STATUSES = ['hit', 'stale', 'stored', 'not-stored', 'collapsed'] as const satisfies (
  Origin | 'hit' | 'stale'
)[];
type CacheStatus = (typeof CACHE_STATUSES)[number];

const ANSWER_TOO_LARGE = problem(
  'answer-too-large',
  `The values before this one leave no room for it in an answer of ${MAX_ANSWER_BYTES} bytes: ask for fewer keys.`,
);

/** The answer: a result for each key, in order. */
export async function mgetAnswer(
  outcomes: readonly MgetOutcome[],
  policy: Pick<KeyAnswerPolicy, 'revalidate'>,
): Promise<Answer> {
  const body = await resultsBody(['{"results":[', ']}'], outcomes, (outcome, maxBytes) => ({
    body: resultOf(outcome, maxBytes, policy),
    takesRoom: hasValue(outcome),
  }));
  return {
    status: 200,
    headers: ['Content-Type', 'application/json', 'Content-Length', String(body.length), 'Cache-Control', 'no-store'],
    body,
  };
}

function resultOf(outcome: MgetOutcome, maxBytes: number, policy: Pick<KeyAnswerPolicy, 'revalidate'>): Buffer {
  switch (outcome.kind) {
    case 'hit':
    case 'stale':
      return valueResult(outcome, outcome.kind, maxBytes, policy);
    case 'value':
      return valueResult(outcome, outcome.origin, maxBytes, policy);
    case 'missing':
      return problemResult(OUTCOME_PROBLEMS.missing, 'hit');
    case 'absent':
    case 'wrong-type':
    case 'value-too-large':
    case 'timeout':
    case 'unavailable':
    case 'overloaded':
      return problemResult(OUTCOME_PROBLEMS[outcome.kind], outcome.origin);
    case 'not-allowed':
      return problemResult(KEY_NOT_ALLOWED);
    case 'unread':
      return problemResult(ANSWER_TOO_LARGE);
  }
}

function valueResult(
  found: HeldValue,
  cacheStatus: CacheStatus,
  maxBytes: number,
  { revalidate }: Pick<KeyAnswerPolicy, 'revalidate'>,
): Buffer {
  const { value, freshness } = found;
  if (value.length > maxBytes) return problemResult(ANSWER_TOO_LARGE);
  const encoding = isUtf8(value) ? 'utf8' : 'base64';
  const result = bytesOf({
    status: 200,
    value: value.toString(encoding),
    encoding,
    etag: formatEtag(found.etag),
    age: ageSeconds(freshness.ageMs),
    maxAge: revalidate ? 0 : lifetimeSeconds(freshness.lifetimeMs),
    cacheStatus,
  });
  return result.length > maxBytes ? problemResult(ANSWER_TOO_LARGE) : result;
}

function problemResult({ status, code, detail }: Problem, cacheStatus?: CacheStatus): Buffer {
  return bytesOf({ status, code, detail, cacheStatus });
}

function bytesOf(result: object): Buffer {
  return Buffer.from(JSON.stringify(result));
}

function hasValue({ kind }: MgetOutcome): boolean {
  return kind === 'hit' || kind === 'value' || kind === 'stale';
}
