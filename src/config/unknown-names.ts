import { describeSettings } from './setting.decorators.ts';

/** A name that starts like one of ours and is none is a typo, and a typo must not pass for a default. */
const PREFIXES = /^(?:HTTP|RESP|REDIS|CACHE|PROXY|ACCESS|ADMIN|KEY|SHUTDOWN|LOG|UPSTASH)_/;

/** What a Service named `redis` or `proxy` makes Kubernetes put into the environment of every container. */
const KUBERNETES_LINK = /_(?:SERVICE_(?:HOST|PORT(?:_.+)?)|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/;
const LINK_VALUE = /^(?:tcp|udp|sctp):\/\//;

/** Names that others have given a meaning; those that clients of Upstash read may stand beside the proxy's. */
const FOREIGN = /^(?:HTTP_PROXY|UPSTASH_(?:\w+_REST_(?:URL|TOKEN)|CONSOLE|DISABLE_TELEMETRY))$/;

/** One problem for each name that looks like a setting and is none. */
export function unknownNames(
  names: readonly string[],
  variables: Readonly<Record<string, string | undefined>>,
): string[] {
  const known = describeSettings().flatMap(({ name, secret }) => (secret ? [name, `${name}_FILE`] : [name]));
  return names
    .filter((name) => PREFIXES.test(name) && !known.includes(name) && !FOREIGN.test(name))
    .filter((name) => !KUBERNETES_LINK.test(name) && !LINK_VALUE.test(variables[name] ?? ''))
    .map((name) => `${name}: there is no such setting; ${suggestion(name, known)}`);
}

function suggestion(name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known);
  return nearest === undefined ? 'accepted: those that --help lists' : `did you mean ${nearest}?`;
}

/** The one that was probably meant: it takes no more than four changes to get to it, nor half of the name. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const [nearest] = known
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .sort((a, b) => a.distance - b.distance);
  return nearest.distance <= Math.min(4, name.length / 2) ? nearest.candidate : undefined;
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
