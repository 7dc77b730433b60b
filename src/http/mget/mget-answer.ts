import { Buffer, isUtf8 } from 'node:buffer';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { formatEtag } from '../../cache/etag.ts';
import type { HeldValue } from '../../cache/lookup.ts';
import type { Origin, ReadOutcome } from '../../cache/read-outcome.ts';
import type { Unread } from '../../cache/kept-outcomes.ts';
import type { Answer } from '../answer.ts';
import type { KeyAnswerPolicy } from '../key-answer.ts';
import { KEY_NOT_ALLOWED } from '../key-refusal.ts';
import { OUTCOME_PROBLEMS } from '../outcome-problem.ts';
import { type Problem, problem } from '../problem.ts';

/** Bytes that the values take in one answer, as JSON writes them. */
export const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** After so many bytes others have their turn. */
const STEP_BYTES = 256 * 1024;

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

/** The answer: a result for each key, in order. It is put together in steps, as it may be long. */
export async function mgetAnswer(
  outcomes: readonly MgetOutcome[],
  policy: Pick<KeyAnswerPolicy, 'revalidate'>,
): Promise<Answer> {
  const parts: Buffer[] = [];
  let left = MAX_ANSWER_BYTES;
  let step = STEP_BYTES;
  for (const outcome of outcomes) {
    const part = resultOf(outcome, left, policy);
    if (hasValue(outcome)) left -= part.length;
    parts.push(parts.length === 0 ? OPENING : COMMA, part);
    step -= part.length;
    if (step <= 0) {
      await nextTurn();
      step = STEP_BYTES;
    }
  }
  const body = Buffer.concat([...(parts.length === 0 ? [OPENING] : parts), CLOSING]);
  return {
    status: 200,
    headers: ['Content-Type', 'application/json', 'Content-Length', String(body.length), 'Cache-Control', 'no-store'],
    body,
  };
}

const OPENING = Buffer.from('{"results":[');
const COMMA = Buffer.from(',');
const CLOSING = Buffer.from(']}');

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
    age: Math.floor(freshness.ageMs / 1000),
    maxAge: revalidate ? 0 : Math.floor(freshness.lifetimeMs / 1000),
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
