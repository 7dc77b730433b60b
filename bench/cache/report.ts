import type { Space, Speed } from './case.ts';
import { CONTESTANTS, type ContestantName } from './contestants.ts';
import type { Shape } from './workload.ts';

export type Measures = Speed & Space;

/** The measurements of one shape: one item per round for each contestant. */
export interface Comparison {
  readonly shape: Shape;
  readonly rounds: Readonly<Record<ContestantName, readonly Measures[]>>;
}

interface Row {
  readonly measure: keyof Measures;
  readonly title: string;
  readonly unit: number;
  readonly less?: 'better';
}

const ROWS: readonly Row[] = [
  { measure: 'getInHand', title: 'get, key in hand, M/s', unit: 1e6 },
  { measure: 'get', title: 'get, key from bytes, M/s', unit: 1e6 },
  { measure: 'getOut', title: 'get, bytes to bytes, M/s', unit: 1e6 },
  { measure: 'set', title: 'set, M/s', unit: 1e6 },
  { measure: 'missAndSet', title: 'miss and set, M/s', unit: 1e6 },
  { measure: 'filledBytes', title: 'resident when filled, B an entry', unit: 1, less: 'better' },
  { measure: 'usedBytes', title: 'resident when used, B an entry', unit: 1, less: 'better' },
  { measure: 'fullGc', title: 'full collection, ms', unit: 1, less: 'better' },
  { measure: 'longestGc', title: 'longest collection under load, ms', unit: 1, less: 'better' },
  { measure: 'longestGap', title: 'longest gap under load, ms', unit: 1, less: 'better' },
];

/** Formats a Markdown table: medians with minimum and maximum, and the advantage of the first contestant. */
export function table(comparisons: readonly Comparison[]): string {
  const [ours, theirs] = CONTESTANTS;
  const lines = [`| | ${ours} | ${theirs} | advantage |`, '| --- | --- | --- | --- |'];
  for (const { shape, rounds } of comparisons) {
    lines.push(`| **${shapeTitle(shape)}** | | | |`);
    for (const { measure, title, unit, less } of ROWS) {
      const values = (name: ContestantName): number[] => rounds[name].map((measures) => measures[measure] / unit);
      const [our, their] = [values(ours), values(theirs)];
      // Ratios of the same round, so that load on the machine affects both sides.
      const advantages = our.map((value, round) => (less ? their[round] / value : value / their[round]));
      lines.push(`| ${title} | ${spread(our)} | ${spread(their)} | ${spread(advantages, '×')} |`);
    }
  }
  return lines.join('\n');
}

export function shapeTitle({ entries, valueBytes }: Shape): string {
  return `${entries.toLocaleString('en')} × ${valueBytes.toLocaleString('en')} B`;
}

function spread(values: readonly number[], unit = ''): string {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  return `${short(median)}${unit} (${short(sorted[0])}–${short(sorted[sorted.length - 1])})`;
}

function short(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return value.toPrecision(value < 1 ? 2 : 3);
}
