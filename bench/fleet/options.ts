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

Results of all scenarios with seed ${DEFAULT_SEED} are written to bench/fleet; other results are only printed.

  --cold-start   the misses after a start with an empty cache, without and with CACHE_TTL_JITTER; writes bench/fleet/cold-start.svg

A custom fleet instead of the scenarios:
  --replicas 20          limited by memory only
  --balancing ${BALANCINGS.join('|')}
  --tracking             Redis sends every write's invalidation to every replica
  --capacity ${BASE.capacity}        entries of each replica
  --ttl ${BASE.ttlMs / 1000}               seconds
  --keys ${BASE.keys}  --exponent ${BASE.exponent}
  --reads ${BASE.readsPerSecond}  --writes ${BASE.writesPerSecond}   per second, for all replicas together
  --popular              writes are distributed like reads
  --theory               prints only the theoretical results, at once`;

export type Options =
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'fleet'; readonly fleet: Fleet; readonly seed: number; readonly onlyTheory: boolean }
  | {
      readonly kind: 'cold-start';
      readonly seed: number;
      /** Folder of the picture; undefined: none is drawn. */
      readonly out: string | undefined;
    }
  | {
      readonly kind: 'scenarios';
      readonly scenarios: readonly Scenario[];
      readonly seed: number;
      /** Folder that the results are written to; undefined: they are only printed. */
      readonly out: string | undefined;
    };

/** Parses the command line. @throws Error if an option is invalid. */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean', default: false },
      'cold-start': { type: 'boolean', default: false },
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
  if (values['cold-start']) {
    return { kind: 'cold-start', seed, out: values.out ?? (seed === DEFAULT_SEED ? OUT : undefined) };
  }
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
  if (found === undefined) throw new Error(`--${option} ${text}: expected one of ${names.join(', ')}`);
  return found;
}

function whole(option: string, text: string): number {
  const number = positive(option, text);
  if (!Number.isSafeInteger(number)) throw new Error(`--${option} ${text}: expected an integer of at least 1`);
  return number;
}

function positive(option: string, text: string): number {
  const number = Number(text);
  if (!Number.isFinite(number) || number <= 0) throw new Error(`--${option} ${text}: expected a number above 0`);
  return number;
}
