import type { Checks } from './checks.ts';
import type { Vitals } from './vitals.ts';

/** Prefix of the counters of faults. */
const FAULT = 'fault: ';

export interface Outcome {
  readonly minutes: number;
  readonly seed: number;
  readonly checks: Checks;
  readonly vitals: Vitals;
  readonly handles: { readonly before: number; readonly after: number };
}

/** Formats the result of a run as Markdown. */
export function report({ minutes, seed, checks, vitals, handles }: Outcome): string {
  const { counts, lateness, violationCount, violations } = checks;
  const { second, last } = vitals.quarters;
  const byName = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  const faults = byName.filter(([what]) => what.startsWith(FAULT));
  return [
    `${minutes} min, seed ${seed}, ${process.version}: ${violationCount} violations.`,
    '',
    '| results | of them older than the moment of their request | median | p99 | maximum |',
    '| --- | --- | --- | --- | --- |',
    `| ${summary(lateness.coherent)} |`,
    `| ${summary(lateness.stale, ', stale or over the Redis protocol, which does not mark stale values')} |`,
    '',
    `Requests and writes: ${list(byKind(byName.filter((count) => !faults.includes(count))))}.`,
    `Faults: ${list(faults)}.`,
    `Resident memory: ${second.toFixed(0)} MiB in the second quarter of the time, ${last.toFixed(0)} MiB in the last.`,
    `Open handles: ${handles.before} before, ${handles.after} after.`,
    ...violations.map((violation) => `- ${violation}`),
  ].join('\n');
}

/** Sums the counts of each transport and status, and of each kind of write. */
function byKind(counts: readonly (readonly [string, number])[]): [string, number][] {
  const sums = new Map<string, number>();
  for (const [what, count] of counts) {
    const kind = /^write: .*|^\w+: (?:no response|\S+)/.exec(what)?.[0] ?? what;
    sums.set(kind, (sums.get(kind) ?? 0) + count);
  }
  return [...sums];
}

function list(counts: readonly (readonly [string, number])[]): string {
  return counts.map(([what, count]) => `${what.replace(FAULT, '')} ${count.toLocaleString('en')}`).join(', ');
}

function summary(lateness: number[], description = ''): string {
  const late = lateness.filter((ms) => ms > 0).sort((a, b) => a - b);
  const at = (share: number): string => `${(late[Math.floor(late.length * share)] ?? 0).toFixed(0)} ms`;
  const [all, older] = [lateness.length, late.length].map((count) => count.toLocaleString('en'));
  return [`${all}${description}`, older, at(0.5), at(0.99), `${(late.at(-1) ?? 0).toFixed(0)} ms`].join(' | ');
}
