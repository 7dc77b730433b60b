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
  const sorted = lateness.sort((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(1);
  const { second, last } = vitals.quarters;
  return [
    `# ${minutes} min, seed ${seed}`,
    '',
    ...[...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([what, count]) => `- ${what}: ${count}`),
    '',
    `Answers that were late: ${sorted.length}; by ${at(0.5)} ms at the median, ${at(0.99)} ms at the 99th percentile, ` +
      `${(sorted.at(-1) ?? 0).toFixed(1)} ms at most.`,
    `Resident memory: ${second.toFixed(0)} MiB in the second quarter, ${last.toFixed(0)} MiB in the last.`,
    `Open handles: ${handles.before} before, ${handles.after} after.`,
    `Violations: ${violated}.`,
    ...violations.map((violation) => `- ${violation}`),
  ].join('\n');
}
