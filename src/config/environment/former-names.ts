import { describeSettings } from './environment.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/** Former names of settings and their present ones. They are accepted until version 1.0.0, with a warning. */
export const FORMER_NAMES: ReadonlyMap<string, string> = new Map([
  ['HTTP_LANE', 'HTTP_FAST_PATH'],
  ['UPSTASH_DIALECT', 'UPSTASH_REST_API'],
  ['CACHE_HONOUR_REDIS_TTL', 'CACHE_RESPECT_KEY_TTL'],
]);

/**
 * Returns the variables of one source (flags, environment or `.env`) under their present names. If both names are set in
 * one source, the present one wins.
 */
export function withPresentNames(variables: Variables): Variables {
  const present = Object.entries(variables).filter(([name]) => !FORMER_NAMES.has(name));
  const renamed = [...FORMER_NAMES].flatMap(([former, name]) =>
    variables[former] === undefined ? [] : [[name, variables[former]]],
  );
  return Object.fromEntries([...renamed, ...present]) as Variables;
}

/**
 * Returns for each setting the name under which its value was given.
 *
 * @param sources the variables of each source, the one that wins first.
 */
export function namesAsGiven(sources: readonly Variables[]): Readonly<Record<string, string>> {
  const formerNameOf = new Map([...FORMER_NAMES].map(([former, name]) => [name, former]));
  const isSet = (variables: Variables, name: string | undefined): name is string =>
    name !== undefined && variables[name] !== undefined;
  return Object.fromEntries(
    describeSettings().map(({ name }) => {
      const former = formerNameOf.get(name);
      const source = sources.find((variables) => isSet(variables, name) || isSet(variables, former));
      return [name, source !== undefined && !isSet(source, name) && former !== undefined ? former : name];
    }),
  );
}

/** Returns a warning for each former name that is set in any of the sources. */
export function formerNameWarnings(sources: readonly Variables[]): string[] {
  return [...FORMER_NAMES].flatMap(([former, name]) =>
    sources.some((variables) => variables[former] !== undefined)
      ? [`${former}: deprecated name of ${name}, accepted until version 1.0.0`]
      : [],
  );
}
