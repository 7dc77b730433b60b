import type { Verdicts } from './verdicts.ts';
import type { Vitals } from './vitals.ts';

export interface Outcome {
  readonly minutes: number;
  readonly seed: number;
  readonly verdicts: Verdicts;
  readonly vitals: Vitals;
  readonly handles: { readonly before: number; readonly after: number };
}

/** What a run has found, as text. */
export function report({ minutes, seed, verdicts, vitals, handles }: Outcome): string {
  const { counts, lateness, violated, violations } = verdicts;
  const { second, last } = vitals.quarters;
  return [
    `# ${minutes} min, seed ${seed}`,
    '',
    ...[...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([what, count]) => `- ${what}: ${count}`),
    '',
    `Answers: ${summary(lateness.coherent)}.`,
    `Answers that may be stale since Redis could not answer, all of the Redis protocol among them: ${summary(lateness.stale)}.`,
    `Resident memory: ${second.toFixed(0)} MiB in the second quarter, ${last.toFixed(0)} MiB in the last.`,
    `Open handles: ${handles.before} before, ${handles.after} after.`,
    `Violations: ${violated}.`,
    ...violations.map((violation) => `- ${violation}`),
  ].join('\n');
}

function summary(lateness: number[]): string {
  const late = lateness.filter((ms) => ms > 0).sort((a, b) => a - b);
  const at = (share: number): string => (late[Math.floor(late.length * share)] ?? 0).toFixed(1);
  const most = (late.at(-1) ?? 0).toFixed(1);
  return `${lateness.length}, late ${late.length}: ${at(0.5)} ms at the median, ${at(0.99)} ms at the 99th percentile, ${most} ms at most`;
}
