import type { EnvFileVariable } from './env-file.ts';
import { FORMER_NAMES } from './former-names.ts';
import { describeSettings } from './environment.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/** Prefixes of settings. An unknown name with one of them may be a typo, which must not silently leave a default in force. */
const PREFIXES = /^(?:HTTP|RESP|REDIS|CACHE|PROXY|ACCESS|ADMIN|KEY|OPS|SHUTDOWN|LOG|UPSTASH)_/;

/** Prefix of variables that mostly belong to Node.js: only names close to NODE_INTERNALS are checked. */
const NODE_PREFIX = /^NODE_/;

/** Variables that Kubernetes adds to every container for a Service named `redis` or `proxy`. */
const KUBERNETES_LINK = /_(?:SERVICE_(?:HOST|PORT(?:_.+)?)|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/;
const LINK_VALUE = /^(?:tcp|udp|sctp):\/\//;

/** Names that other programs use, among them the variables of Upstash's clients. */
const FOREIGN = /^(?:HTTP_PROXY|UPSTASH_(?:\w+_REST_(?:URL|TOKEN)|CONSOLE|DISABLE_TELEMETRY))$/;

/** The greatest edit distance from a setting at which a name is a typo. */
const MAX_TYPO_DISTANCE = 2;

/**
 * Finds the variables of the process that look like settings but are not. Other programs share the environment: a name is
 * an error only if it is a typo, and otherwise a warning.
 */
export function unknownNames(environment: Variables): { readonly problems: string[]; readonly warnings: string[] } {
  const known = settingNames();
  const accepted = [...known, ...FORMER_NAMES.keys()];
  const problems: string[] = [];
  const warnings: string[] = [];
  for (const [name, value = ''] of Object.entries(environment)) {
    if (value === '' || accepted.includes(name) || isForeign(name, value)) continue;
    const looksLikeOurs = PREFIXES.test(name);
    if (!looksLikeOurs && !NODE_PREFIX.test(name)) continue;
    const isTypo = nearest(name, known).distance <= MAX_TYPO_DISTANCE;
    if (isTypo) problems.push(`${name}: unknown setting${advice(name, known)}`);
    else if (looksLikeOurs) warnings.push(`${name}: unknown setting, ignored${advice(name, known)}`);
  }
  return { problems, warnings };
}

/**
 * Finds the names in a `.env` file that look like settings but are not, including settings in lower case and typos. All of
 * them are errors, since the file belongs to the proxy.
 */
export function unknownNamesInFile(variables: readonly EnvFileVariable[], file: string): string[] {
  const known = settingNames();
  const accepted = [...known, ...FORMER_NAMES.keys()];
  return variables.flatMap(({ name, value, line }) => {
    if (value === '' || accepted.includes(name) || isForeign(name.toUpperCase(), value)) return [];
    if (!resemblesSetting(name)) return [];
    const meant = advice(name.toUpperCase(), known) || '; see --help';
    return [`${file}, line ${line}: ${name}: unknown setting${meant}`];
  });
}

/** Returns whether a name in a `.env` file probably means a setting, in upper or lower case. */
export function resemblesSetting(name: string): boolean {
  const upperCase = name.toUpperCase();
  return PREFIXES.test(upperCase) || nearest(upperCase, settingNames()).distance <= MAX_TYPO_DISTANCE;
}

/** Returns whether a value is that of a Kubernetes service link, such as `HTTP_PORT=tcp://…` for a Service named `http`. */
export function isServiceLink(value: string | undefined): boolean {
  return LINK_VALUE.test(value ?? '');
}

function settingNames(): string[] {
  return describeSettings().flatMap(({ name, secret }) => (secret ? [name, `${name}_FILE`] : [name]));
}

function isForeign(name: string, value: string): boolean {
  return FOREIGN.test(name) || KUBERNETES_LINK.test(name) || isServiceLink(value);
}

/** Returns a suggestion of the intended setting: one within a typo, or one with the same beginning (REDIS_PASS). */
function advice(name: string, known: readonly string[]): string {
  const { candidate, distance } = nearest(name, known);
  const meant =
    distance <= MAX_TYPO_DISTANCE
      ? candidate
      : known.find((setting) => setting.startsWith(name) || name.startsWith(`${setting}_`));
  return meant === undefined ? '' : `; did you mean ${meant}?`;
}

/** Returns the nearest known name, if its edit distance is at most four and at most half of the name's length. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const { candidate, distance } = nearest(name, known);
  return distance <= Math.min(4, name.length / 2) ? candidate : undefined;
}

function nearest(name: string, known: readonly string[]): { readonly candidate: string; readonly distance: number } {
  const [first] = known
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .sort((a, b) => a.distance - b.distance);
  return first;
}

/** Returns the Levenshtein distance of two names. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}
