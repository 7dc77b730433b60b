import { readFileSync, writeFileSync } from 'node:fs';
import { median } from '../spread.ts';
import type { Outcome } from './measure.ts';
import { type Result, figureOf, ratios, shortFigure } from './report.ts';

const README = new URL('../../README.md', import.meta.url);
const START = '<!-- npm run bench writes this table -->';
const END = '<!-- end of the table -->';

/** Replaces the table between the markers in README. */
export function updateReadme(results: readonly Result[]): void {
  const text = readFileSync(README, 'utf8');
  const [from, to] = [text.indexOf(START), text.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`README.md: ${START} … ${END} is missing`);
  writeFileSync(README, `${text.slice(0, from)}${START}\n\n${shortTable(results)}\n\n${text.slice(to)}`);
}

/** Formats a table with a row per case and a column per contestant; in parentheses, how many times as fast the first one is. */
export function shortTable(results: readonly Result[]): string {
  const shown = results.filter(({ outcomes }) => outcomes.every(({ resident }) => resident === undefined));
  const names = [...new Set(shown.flatMap(({ outcomes }) => outcomes.map(({ name }) => name)))];
  const lines = shown.map((result) => {
    const cells = names.map((name) => {
      const outcome = result.outcomes.find((one) => one.name === name);
      const figure = outcome && figureOf(result, outcome);
      return outcome === undefined || figure === undefined ? '' : cell(result, outcome, figure);
    });
    return `| ${result.case.title}${result.case.latency ? ', p99' : ''} | ${cells.join(' | ')} |`;
  });
  return [
    `| requests/s on one core | ${names.join(' | ')} |`,
    `| --- |${' --- |'.repeat(names.length)}`,
    ...lines,
  ].join('\n');
}

function cell(result: Result, outcome: Outcome, figure: number): string {
  const [first] = result.outcomes;
  const text = shortFigure(result, outcome, figure);
  if (outcome === first || result.case.latency || first.samples.length === 0) return text;
  return `${text} (${median(ratios(first, outcome)).toFixed(2)}×)`;
}
