import type { DirectedOutcome } from '../../cache/read-through/read-outcome.ts';
import { type Problem, problem } from './problem.ts';

type FailedRead = Exclude<DirectedOutcome['kind'], 'hit' | 'value' | 'stale'>;

const NOT_FOUND = problem('key-not-found', 'Redis has no such key.');

/** What is wrong when a read gives no value. */
export const OUTCOME_PROBLEMS: Readonly<Record<FailedRead, Problem>> = {
  missing: NOT_FOUND,
  absent: NOT_FOUND,
  'wrong-type': problem('wrong-type', 'The key holds no string.'),
  'value-too-large': problem('value-too-large', 'Redis holds a value of more bytes than are read.'),
  timeout: problem('redis-timeout', 'Redis did not answer in time.'),
  unavailable: problem('redis-unavailable', 'Redis cannot be asked now.'),
  'not-cached': problem('not-cached', 'The cache does not hold it, and was not to ask Redis.'),
  overloaded: problem('overloaded', 'Too many reads of Redis wait already.'),
};
