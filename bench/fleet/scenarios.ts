import type { Balancing } from './balancers.ts';
import { type Fleet, type Run, wholeRun } from './fleet.ts';
import { Popularity } from './popularity.ts';
import { CHANGES, type Resize, resize } from './resize.ts';
import { simulate } from './simulation.ts';
import type { Findings } from './tally.ts';
import { type Prediction, predict } from './theory.ts';

export interface Row {
  readonly fleet: Fleet;
  readonly found: Findings;
  readonly predicted: Prediction;
}

/** Results by scenario; undefined: not simulated. */
export interface Results {
  readonly seed: number;
  readonly grow?: readonly Row[] | undefined;
  readonly memory?: readonly Row[] | undefined;
  readonly sizing?: readonly Row[] | undefined;
  readonly popular?: readonly Row[] | undefined;
  readonly example?: readonly Row[] | undefined;
  readonly resize?: readonly Resize[] | undefined;
}

export const SCENARIOS = ['grow', 'memory', 'sizing', 'popular', 'example', 'resize'] as const;
export type Scenario = (typeof SCENARIOS)[number];

/** Small, so that a thousand replicas take minutes only: the reads of a key per replica and TTL determine the results. */
export const BASE: Fleet = {
  replicas: 1,
  balancing: 'random',
  tracking: false,
  capacity: 1000,
  ttlMs: 60_000,
  keys: 10_000,
  exponent: 1,
  readsPerSecond: 1000,
  writesPerSecond: 100,
  writes: 'uniform',
};

export const SIZES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
const COHERENCE = [false, true];
const TWENTY = { ...BASE, replicas: 20 };

/** Total number of entries, in one replica or in many. */
export const TOTAL_CAPACITY = 2000;

/** With one replica, balancing makes no difference: returns only the first. */
const balancings = <Name extends Balancing>(replicas: number, names: readonly Name[]): readonly Name[] =>
  replicas === 1 ? names.slice(0, 1) : names;

const GROW = SIZES.flatMap((replicas) =>
  balancings(replicas, ['random', 'ring', 'bounded']).flatMap((balancing) =>
    (balancing === 'bounded' ? [false] : COHERENCE).map((tracking): Fleet => ({
      ...BASE,
      replicas,
      balancing,
      tracking,
    })),
  ),
);

const MEMORY = [1, 2, 5, 10, 20, 50, 100].flatMap((replicas) =>
  balancings(replicas, ['random', 'ring']).map((balancing): Fleet => ({
    ...BASE,
    replicas,
    balancing,
    capacity: TOTAL_CAPACITY / replicas,
  })),
);

const SIZING = [100, 1000, 10_000].flatMap((capacity) =>
  [1000, 10_000, 60_000, 600_000].flatMap((ttlMs) =>
    COHERENCE.map((tracking): Fleet => ({ ...TWENTY, capacity, ttlMs, tracking })),
  ),
);

const POPULAR = (['random', 'ring'] as const).flatMap((balancing) =>
  COHERENCE.map((tracking): Fleet => ({ ...TWENTY, balancing, tracking, writesPerSecond: 10, writes: 'popular' })),
);

/** At full size: twenty pods, 100,000 requests per second, a million keys. */
const EXAMPLE_BASE: Fleet = { ...TWENTY, keys: 1_000_000, readsPerSecond: 100_000, writesPerSecond: 1000 };
const EXAMPLE: readonly Fleet[] = [
  { ...EXAMPLE_BASE, capacity: 10_000 },
  { ...EXAMPLE_BASE, capacity: 50_000 },
  { ...EXAMPLE_BASE, capacity: 50_000, balancing: 'bounded' },
  { ...EXAMPLE_BASE, capacity: 50_000, balancing: 'bounded', tracking: true },
  { ...EXAMPLE_BASE, capacity: 1_000_000, replicas: 1 },
];
const EXAMPLE_RUN = { warmUpMs: 60_000, measuredMs: 30_000 };

const RESIZED: readonly Balancing[] = ['random', 'ring', 'jump', 'modulo'];
const RESIZE_RUNS = 8;

/** Reports progress. */
export type Log = (what: string) => void;

export function simulateAll(scenarios: readonly Scenario[], seed: number, log: Log): Results {
  const rows = (scenario: Scenario, fleets: readonly Fleet[], runOf = wholeRun): readonly Row[] | undefined =>
    scenarios.includes(scenario) ? simulateEach(scenario, fleets, (fleet) => runOf(fleet, seed), log) : undefined;
  return {
    seed,
    grow: rows('grow', GROW),
    memory: rows('memory', MEMORY),
    sizing: rows('sizing', SIZING),
    popular: rows('popular', POPULAR),
    resize: scenarios.includes('resize') ? resizeEach(seed, log) : undefined,
    example: rows('example', EXAMPLE, () => ({ ...EXAMPLE_RUN, seed })),
  };
}

function simulateEach(name: string, fleets: readonly Fleet[], runOf: (fleet: Fleet) => Run, log: Log): Row[] {
  const popularity = new Popularity(fleets[0].keys, fleets[0].exponent);
  return fleets.map((fleet, i) => {
    const { replicas, balancing, tracking } = fleet;
    log(`${name} ${i + 1}/${fleets.length}: ${replicas} × ${balancing}, ${tracking ? 'tracking' : 'ttl'}`);
    return { fleet, found: simulate(fleet, runOf(fleet), popularity), predicted: predict(fleet, popularity) };
  });
}

function resizeEach(seed: number, log: Log): Resize[] {
  const popularity = new Popularity(TWENTY.keys, TWENTY.exponent);
  const seeds = Array.from({ length: RESIZE_RUNS }, (_, i) => seed + i);
  return RESIZED.flatMap((balancing) =>
    CHANGES.map((change) => {
      log(`resize: ${change}, ${balancing}`);
      return resize({ ...TWENTY, balancing }, change, seeds, popularity);
    }),
  );
}
