import { parseArgs } from 'node:util';
import { type Case, allCases } from './cases.ts';
import type { Effort } from './measure.ts';

export interface Options extends Effort {
  readonly cases: readonly Case[];
  /** Folder that the results are written to; undefined: they are only printed. */
  readonly out: string | undefined;
  /** Whether the table in README is updated: after a run of all cases with at least the default rounds and seconds. */
  readonly forReadme: boolean;
}

const DEFAULTS = { rounds: '3', seconds: '4', rate: '20000' };
const BENCH = new URL('..', import.meta.url).pathname;

/** Parses the command line; returns the usage text for --help. */
export function readOptions(args: readonly string[]): Options | string {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      rounds: { type: 'string', default: DEFAULTS.rounds },
      seconds: { type: 'string', default: DEFAULTS.seconds },
      rate: { type: 'string', default: DEFAULTS.rate },
      out: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const all = allCases(whole(values.rate));
  if (values.help) return usage(all);
  const cases = values.only === undefined ? all : values.only.split(',').map((id) => caseOf(all, id));
  const full = values.only === undefined && values.out === undefined;
  const forReadme = full && whole(values.rounds) >= 3 && whole(values.seconds) >= Number(DEFAULTS.seconds);
  const out = values.out ?? (forReadme ? BENCH : undefined);
  return { cases, rounds: whole(values.rounds), seconds: whole(values.seconds), out, forReadme };
}

function usage(all: readonly Case[]): string {
  return `npm run bench -- [options]
  --only ${all[0].id},…   some of the cases, listed below
  --rounds ${DEFAULTS.rounds}
  --seconds ${DEFAULTS.seconds}        of each measurement
  --rate ${DEFAULTS.rate}       requests per second of http-latency
  --out FOLDER       writes results.md, results.svg and results.json there

A run of all cases with at least these rounds and seconds updates bench/results.* and the table in README. Results of any
other run are only printed.

${all.map(({ id, title }) => `  ${id.padEnd(15)} ${title}`).join('\n')}`;
}

function caseOf(all: readonly Case[], id: string): Case {
  const found = all.find((one) => one.id === id);
  if (found === undefined)
    throw new Error(`--only ${id}: unknown case; expected one of ${all.map((one) => one.id).join(', ')}`);
  return found;
}

function whole(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`${text}: expected an integer of at least 1`);
  return number;
}
