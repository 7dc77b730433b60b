import type { Buffer } from 'node:buffer';
import type { CacheService } from '../../cache/cache.service.ts';
import type { RequestSpan } from '../../cache/read-tracer.ts';
import type { DirectedOutcome } from '../../cache/read-through/read-outcome.ts';
import type { Query } from '../../redis/query.ts';
import { RESOURCES } from '../resources/resource.ts';
import { type Problem, problem } from '../response/problem.ts';
import { KEYS_PATH } from '../request/key-path.ts';
import { OUTCOME_PROBLEMS } from './key-response.ts';

/** Paths that read keys, by type. */
const PATHS: ReadonlyMap<string, string> = new Map([
  ['string', KEYS_PATH],
  ...Object.entries(RESOURCES).map(([type, { path }]) => [type, path] as const),
]);
/** Types as sentences name them; other types keep their name. */
const TYPE_NAMES: ReadonlyMap<string, string> = new Map([
  ['zset', 'sorted set'],
  ['ReJSON-RL', 'JSON document'],
]);
/** Errors of Redis, and of old versions of its JSON module, about a key of another type. */
const WRONG_TYPE = /^WRONGTYPE |wrong Redis type/;
const UNKNOWN_COMMAND = /^ERR unknown command/;

/**
 * Returns the problem of a query that Redis rejected, a promise if Redis must be asked for the type of the key; undefined if it
 * did not reject it, or there is nothing more to say than the outcome itself.
 *
 * @param span of the request; undefined if it is not sampled.
 */
export function rejectionOf(
  cache: Pick<CacheService, 'queries'>,
  { key, command }: Pick<Query, 'key' | 'command'>,
  outcome: DirectedOutcome,
  span: RequestSpan | undefined,
): Problem | Promise<Problem | undefined> | undefined {
  if (outcome.kind === 'wrong-type') return wrongTypeProblems(cache, [key], span).then(([first]) => first);
  if (outcome.kind !== 'error-reply') return undefined;
  const { message } = outcome;
  if (WRONG_TYPE.test(message)) return wrongTypeProblems(cache, [key], span).then(([first]) => first);
  if (UNKNOWN_COMMAND.test(message))
    return problem('unknown-command', `This Redis has no command ${String(command[0])}.`);
  // Only what the client has chosen can be invalid.
  return command.length > 1 ? problem('bad-request', `Redis replied: ${message}`) : undefined;
}

/**
 * Asks Redis for the types of keys whose values have another type than was requested. Returns a problem for each key, in
 * order, which names the type and the URL that reads it, as a template: errors do not contain keys. It names neither if Redis
 * could not be asked.
 */
export async function wrongTypeProblems(
  { queries }: Pick<CacheService, 'queries'>,
  keys: readonly Buffer[],
  span: RequestSpan | undefined,
): Promise<readonly Problem[]> {
  const outcomes = await queries.types(keys, span);
  return outcomes.map((outcome) =>
    outcome.kind === 'type' ? wrongTypeProblem(outcome.type) : OUTCOME_PROBLEMS['wrong-type'],
  );
}

function wrongTypeProblem(keyType: string): Problem {
  const path = PATHS.get(keyType);
  const stored = `The value stored at this key is a ${TYPE_NAMES.get(keyType) ?? keyType}`;
  if (path === undefined) {
    return { ...problem('wrong-type', `${stored}, which is read over the Redis protocol only.`), keyType };
  }
  const urlTemplate = `${path}{key}`;
  return { ...problem('wrong-type', `${stored}; read it at ${urlTemplate}.`), keyType, urlTemplate };
}
