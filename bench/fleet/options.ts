import { parseArgs } from 'node:util';
import { BALANCINGS, type Balancing } from './balancers.ts';
import type { Fleet } from './fleet.ts';
import { BASE, SCENARIOS, type Scenario } from './scenarios.ts';

const DEFAULT_SEED = 1;
const OUT = new URL('.', import.meta.url).pathname;

const USAGE = `npm run bench:fleet -- [options]
  --only ${SCENARIOS.join(',')}   some of the scenarios
  --seed ${DEFAULT_SEED}
  --out FOLDER   writes results.md, results.svg and results.json there

All scenarios with seed ${DEFAULT_SEED} are written to bench/fleet; anything else is only printed.

A fleet of your own, instead of the scenarios:
  --replicas 20          any number that memory allows
  --balancing ${BALANCINGS.join('|')}
  --tracking             Redis tells every replica of every write
  --capacity ${BASE.capacity}        entries of each replica
  --ttl ${BASE.ttlMs / 1000}               seconds
  --keys ${BASE.keys}  --exponent ${BASE.exponent}
  --reads ${BASE.readsPerSecond}  --writes ${BASE.writesPerSecond}   a second, of all replicas together
  --popular              the keys that are read most are written most
  --theory               only what theory gives of it: at once`;

export type Options =
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'fleet'; readonly fleet: Fleet; readonly seed: number; readonly onlyTheory: boolean }
  | {
      readonly kind: 'scenarios';
      readonly scenarios: readonly Scenario[];
      readonly seed: number;
      /** Where the results are written; undefined: they are only printed. */
      readonly out: string | undefined;
    };

/** What the command line asks for. @throws Error for what it cannot mean. */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean', default: false },
      only: { type: 'string' },
      seed: { type: 'string', default: String(DEFAULT_SEED) },
      out: { type: 'string' },
      replicas: { type: 'string' },
      balancing: { type: 'string', default: BASE.balancing },
      tracking: { type: 'boolean', default: false },
      capacity: { type: 'string', default: String(BASE.capacity) },
      ttl: { type: 'string', default: String(BASE.ttlMs / 1000) },
      keys: { type: 'string', default: String(BASE.keys) },
      exponent: { type: 'string', default: String(BASE.exponent) },
      reads: { type: 'string', default: String(BASE.readsPerSecond) },
      writes: { type: 'string', default: String(BASE.writesPerSecond) },
      popular: { type: 'boolean', default: false },
      theory: { type: 'boolean', default: false },
    },
  });
  if (values.help) return { kind: 'help', text: USAGE };
  const seed = whole('seed', values.seed);
  if (values.replicas !== undefined) {
    const fleet: Fleet = {
      replicas: whole('replicas', values.replicas),
      balancing: oneOf('balancing', BALANCINGS, values.balancing),
      tracking: values.tracking,
      capacity: whole('capacity', values.capacity),
      ttlMs: positive('ttl', values.ttl) * 1000,
      keys: whole('keys', values.keys),
      exponent: positive('exponent', values.exponent),
      readsPerSecond: positive('reads', values.reads),
      writesPerSecond: positive('writes', values.writes),
      writes: values.popular ? 'popular' : 'uniform',
    };
    return { kind: 'fleet', fleet, seed, onlyTheory: values.theory };
  }
  const scenarios = values.only?.split(',').map((name) => oneOf('only', SCENARIOS, name)) ?? SCENARIOS;
  const isStandard = values.only === undefined && seed === DEFAULT_SEED;
  return { kind: 'scenarios', scenarios, seed, out: values.out ?? (isStandard ? OUT : undefined) };
}

function oneOf<Name extends Balancing | Scenario>(option: string, names: readonly Name[], text: string): Name {
  const found = names.find((name) => name === text);
  if (found === undefined) throw new Error(`--${option} ${text}: there is ${names.join(', ')}`);
  return found;
}

function whole(option: string, text: string): number {
  const number = positive(option, text);
  if (!Number.isSafeInteger(number)) throw new Error(`--${option} ${text}: a whole number from 1 on`);
  return number;
}

function positive(option: string, text: string): number {
  const number = Number(text);
  if (!Number.isFinite(number) || number <= 0) throw new Error(`--${option} ${text}: a number above 0`);
  return number;
}
