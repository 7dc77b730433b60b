import type { DirectedOutcome } from '../../cache/read-through/read-outcome.ts';
import { type Problem, problem } from './problem.ts';

type FailedRead = Exclude<DirectedOutcome['kind'], 'hit' | 'value' | 'stale'>;

const NOT_FOUND = problem('key-not-found', 'Redis has no such key.');

/** The problem of each outcome without a value. */
export const OUTCOME_PROBLEMS: Readonly<Record<FailedRead, Problem>> = {
  missing: NOT_FOUND,
  absent: NOT_FOUND,
  'wrong-type': problem('wrong-type', 'The value stored at this key is not a string.'),
  'value-too-large': problem('value-too-large', 'The value exceeds REDIS_MAX_VALUE_BYTES.'),
  timeout: problem('redis-timeout', 'Redis did not answer in time.'),
  unavailable: problem('redis-unavailable', 'Redis is unavailable.'),
  'not-cached': problem('not-cached', 'Not cached, and the request specified only-if-cached.'),
  overloaded: problem('overloaded', 'Too many Redis reads are queued.'),
};
