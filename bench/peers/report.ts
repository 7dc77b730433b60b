import { median, spread } from '../spread.ts';
import type { Case } from './cases.ts';
import { type Outcome, type Sample, limitedByGenerator } from './measure.ts';
import type { Surroundings } from './surroundings.ts';

/** The measurements of one case. */
export interface Result {
  readonly case: Case;
  readonly outcomes: readonly Outcome[];
}

/** Share of a core used by other processes above which the report warns that the machine was busy. */
const QUIET = 0.05;

/** Formats the report in Markdown. */
export function report(results: readonly Result[], surroundings: Surroundings): string {
  const { rounds, seconds } = surroundings;
  return `# Against the peers

\`npm run bench\`: one core for what is measured, another for the load generator; ${rounds} rounds of ${seconds} s each, in
which the contestants alternate. Figures are medians (minimum–maximum) of the rounds. Absolute figures depend on the
machine; ratios are of the same round, and depend on it less.

${notices(results, surroundings)}${results.map(section).join('\n')}
${surroundings.text}
`;
}

function notices(results: readonly Result[], { siblings }: Surroundings): string {
  const samples = results.flatMap(({ outcomes }) => outcomes.flatMap((outcome) => outcome.samples));
  const others = Math.max(0, ...samples.map(({ othersBusy }) => othersBusy));
  const notes: string[] = [];
  if (others > QUIET) notes.push(`the machine was busy: other processes used up to ${percent(others)} of a core.`);
  if (siblings) notes.push('the two cores are hardware threads of one physical core, and slow each other down.');
  return notes.map((text) => `**Note**: ${text}\n\n`).join('');
}

function section(result: Result): string {
  const lines = [`## ${result.case.title}`, '', result.case.about, ''];
  const measured = result.outcomes.filter(({ samples }) => samples.length > 0);
  if (measured.length > 0) lines.push(...(result.case.latency ? latencyTable(result) : rateTable(result)), '');
  for (const { name, absent, problem } of result.outcomes) {
    if (absent !== undefined) lines.push(`- ${name} did not take part: ${absent}.`);
    if (problem !== undefined) lines.push(`- **${name} failed**: ${problem}`);
  }
  lines.push(...remarks(result).map((remark) => `- ${remark}`), '');
  return lines
    .join('\n')
    .replace(/\n{2,}$/, '\n')
    .replace(/\n{3,}/g, '\n\n');
}

function rateTable({ outcomes, case: { expect, entries } }: Result): string[] {
  const mixed = expect === undefined;
  const lines = [
    `| | requests/s | first line ÷ this | CPU time per request |${mixed ? ' served without Redis |' : ''}`,
    `| --- | --- | --- | --- |${mixed ? ' --- |' : ''}`,
  ];
  for (const { name, samples, problem } of outcomes) {
    if (samples.length === 0 || problem !== undefined) continue;
    const bound = samples.some(limitedByGenerator) ? '≥ ' : '';
    const rate = `${bound}${spread(figures(samples, 'rate', 1000), 1)} k`;
    const cpu = `${spread(figures(samples, 'cpuUs'), 1)} µs`;
    const hits = `${spread(figures(samples, 'withoutRedis', 0.01), 0)} %`;
    const ratio = name === outcomes[0].name ? '' : ratioText(ratios(outcomes[0], { name, samples }));
    const caches = entries.find((entry) => entry.name === name)?.contestant.caches;
    lines.push(`| ${name} | ${rate} | ${ratio} | ${cpu} |${mixed ? ` ${caches ? hits : '–'} |` : ''}`);
  }
  return lines;
}

function latencyTable({ outcomes }: Result): string[] {
  const lines = ['| | p50 | p99 | CPU time per request |', '| --- | --- | --- | --- |'];
  for (const { name, samples, problem } of outcomes) {
    if (samples.length === 0 || problem !== undefined) continue;
    const [p50, p99] = (['p50Us', 'p99Us'] as const).map((part) =>
      spread(
        samples.map(({ latency }) => latency?.[part] ?? NaN),
        0,
      ),
    );
    lines.push(`| ${name} | ${p50} µs | ${p99} µs | ${spread(figures(samples, 'cpuUs'), 1)} µs |`);
  }
  return lines;
}

function remarks({ outcomes }: Result): string[] {
  const said: string[] = [];
  const bounded = outcomes.filter(({ samples }) => samples.some(limitedByGenerator)).map(({ name }) => name);
  if (bounded.length > 0) said.push(`≥: the load generator was the limit, not ${bounded.join(', ')}.`);
  const late = outcomes.flatMap(({ samples }) => samples.map(({ latency }) => latency?.lateUs ?? 0));
  if (Math.max(...late) > 0) {
    said.push(
      `Included in all times: the generator's own delay in sending, ${spread(late, 0)} µs at the 99th percentile.`,
    );
  }
  said.push(...memory(outcomes));
  return said;
}

/** Describes the memory of an entry: the difference of two processes, whose other memory is the same. */
function memory(outcomes: readonly Outcome[]): string[] {
  const known = outcomes.flatMap(({ name, resident }) => (resident === undefined ? [] : [{ name, ...resident }]));
  const said = known.map(
    ({ name, idle, filled, loaded }) =>
      `${name}: ${mebibytes(idle)} resident when started, ${mebibytes(filled)} when filled, ${mebibytes(loaded)} after all rounds.`,
  );
  if (known.length !== 2) return said;
  const [many, few] = known;
  const between = (many.loaded - few.loaded) / (many.keys - few.keys);
  const beyond = (many.loaded - many.idle) / many.keys;
  said.push(
    `Resident memory of an entry: ${between.toFixed(0)} B, the difference of the two processes; ${beyond.toFixed(0)} B ` +
      'beyond the process as it was when started, with all that its heap has grown by since.',
  );
  return said;
}

/** Returns the rates of the first contestant divided by those of the other, for each round. */
export function ratios(first: Outcome, other: Outcome): number[] {
  return other.samples.slice(0, first.samples.length).map(({ rate }, round) => first.samples[round].rate / rate);
}

function ratioText(values: readonly number[]): string {
  return values.length === 0 ? '' : `${spread(values, 2)}`;
}

function figures(samples: readonly Sample[], figure: 'rate' | 'cpuUs' | 'withoutRedis', unit = 1): number[] {
  return samples.map((sample) => sample[figure] / unit);
}

/** Returns the figure of a case for the chart and the short table: requests per second, or microseconds at p99. */
export function figureOf({ case: { latency } }: Result, { samples, problem }: Outcome): number | undefined {
  if (samples.length === 0 || problem !== undefined) return undefined;
  return median(samples.map((sample) => (latency ? (sample.latency?.p99Us ?? NaN) : sample.rate)));
}

/** Formats that figure in a few characters. */
export function shortFigure({ case: { latency } }: Result, outcome: Outcome, figure: number): string {
  if (latency) return figure < 9_950 ? `${(figure / 1000).toFixed(2)} ms` : `${(figure / 1000).toFixed(0)} ms`;
  const bound = outcome.samples.some(limitedByGenerator) ? '≥ ' : '';
  return `${bound}${(figure / 1000).toFixed(figure < 99_950 ? 1 : 0)} k`;
}

function percent(part: number): string {
  return `${(part * 100).toFixed(0)} %`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}
