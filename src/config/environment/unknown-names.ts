import type { EnvFileVariable } from './env-file.ts';
import { FORMER_NAMES } from './former-names.ts';
import { describeSettings } from './setting.decorators.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/** A name that starts like one of ours and is none may be a typo, and a typo must not pass for a default. */
const PREFIXES = /^(?:HTTP|RESP|REDIS|CACHE|PROXY|ACCESS|ADMIN|KEY|SHUTDOWN|LOG|UPSTASH)_/;

/** Names that are mostly of Node.js itself: only one that is close to NODE_INTERNALS is of ours. */
const NODE_PREFIX = /^NODE_/;

/** What a Service named `redis` or `proxy` makes Kubernetes put into the environment of every container. */
const KUBERNETES_LINK = /_(?:SERVICE_(?:HOST|PORT(?:_.+)?)|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/;
const LINK_VALUE = /^(?:tcp|udp|sctp):\/\//;

/** Names that others have given a meaning; those that clients of Upstash read may stand beside the proxy's. */
const FOREIGN = /^(?:HTTP_PROXY|UPSTASH_(?:\w+_REST_(?:URL|TOKEN)|CONSOLE|DISABLE_TELEMETRY))$/;

/** A name this close to that of a setting is a typo, whoever set it. */
const MAX_TYPO_DISTANCE = 2;

/**
 * Finds the names in the process' environment that look like a setting and are none. The process does not own its
 * environment: a name is a problem only if it is a typo, otherwise it belongs to another program, and is a warning.
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
 * Finds the names in a `.env` file that are none of a setting: those that look like one, and those that are one but for
 * a typo or for upper case. The file is the proxy's own.
 */
export function unknownNamesInFile(variables: readonly EnvFileVariable[], file: string): string[] {
  const known = settingNames();
  const accepted = [...known, ...FORMER_NAMES.keys()];
  return variables.flatMap(({ name, value, line }) => {
    if (value === '' || accepted.includes(name) || isForeign(name.toUpperCase(), value)) return [];
    if (!resemblesSetting(name)) return [];
    const meant = advice(name.toUpperCase(), known) || '; accepted: those that --help lists';
    return [`${file}, line ${line}: ${name}: unknown setting${meant}`];
  });
}

/** Whether a name in a `.env` file was probably meant to be that of a setting, whatever its case. */
export function resemblesSetting(name: string): boolean {
  const upperCase = name.toUpperCase();
  return PREFIXES.test(upperCase) || nearest(upperCase, settingNames()).distance <= MAX_TYPO_DISTANCE;
}

/** Variables that Kubernetes has set for a Service of a name like ours: `HTTP_PORT=tcp://…` for one named `http`. */
export function isServiceLink(value: string | undefined): boolean {
  return LINK_VALUE.test(value ?? '');
}

function settingNames(): string[] {
  return describeSettings().flatMap(({ name, secret }) => (secret ? [name, `${name}_FILE`] : [name]));
}

function isForeign(name: string, value: string): boolean {
  return FOREIGN.test(name) || KUBERNETES_LINK.test(name) || isServiceLink(value);
}

/** Names the setting that was probably meant: one that differs by a typo, or that begins alike (REDIS_PASS). */
function advice(name: string, known: readonly string[]): string {
  const { candidate, distance } = nearest(name, known);
  const meant =
    distance <= MAX_TYPO_DISTANCE
      ? candidate
      : known.find((setting) => setting.startsWith(name) || name.startsWith(`${setting}_`));
  return meant === undefined ? '' : `; did you mean ${meant}?`;
}

/** The one that was probably meant: it takes no more than four changes to get to it, nor half of the name. */
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

/** Levenshtein distance. */
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
