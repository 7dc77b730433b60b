import type { Checks } from './checks.ts';
import type { Vitals } from './vitals.ts';

export interface Outcome {
  readonly minutes: number;
  readonly seed: number;
  readonly checks: Checks;
  readonly vitals: Vitals;
  readonly handles: { readonly before: number; readonly after: number };
}

/** Formats the result of a run as text. */
export function report({ minutes, seed, checks, vitals, handles }: Outcome): string {
  const { counts, lateness, violationCount, violations } = checks;
  const { second, last } = vitals.quarters;
  return [
    `# ${minutes} min, seed ${seed}`,
    '',
    ...[...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([what, count]) => `- ${what}: ${count}`),
    '',
    `Responses: ${summary(lateness.coherent)}.`,
    `Responses that may be stale-if-error, including all of the Redis protocol: ${summary(lateness.stale)}.`,
    `Resident memory: ${second.toFixed(0)} MiB in the second quarter, ${last.toFixed(0)} MiB in the last.`,
    `Open handles: ${handles.before} before, ${handles.after} after.`,
    `Violations: ${violationCount}.`,
    ...violations.map((violation) => `- ${violation}`),
  ].join('\n');
}

function summary(lateness: number[]): string {
  const late = lateness.filter((ms) => ms > 0).sort((a, b) => a - b);
  const at = (share: number): string => (late[Math.floor(late.length * share)] ?? 0).toFixed(1);
  const max = (late.at(-1) ?? 0).toFixed(1);
  return `${lateness.length}, late ${late.length}: median ${at(0.5)} ms, 99th percentile ${at(0.99)} ms, maximum ${max} ms`;
}
