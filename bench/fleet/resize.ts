import type { Fleet } from './fleet.ts';
import type { Popularity } from './popularity.ts';
import { Simulation } from './simulation.ts';

/** A new, empty replica joins, or a replica leaves. */
export const CHANGES = ['join', 'leave'] as const;
export type Change = (typeof CHANGES)[number];

/** The hit ratio over time when the number of replicas changes. */
export interface Resize {
  readonly fleet: Fleet;
  readonly change: Change;
  readonly before: number;
  /** After the change, one value per {@link SLICE_MS}. */
  readonly after: readonly number[];
  /** Additional loads in all slices, compared with no change. */
  readonly extraLoads: number;
}

export const SLICE_MS = 5000;
const SLICES = 24;
/** Number of slices over which the hit ratio before the change is measured. */
const SLICES_BEFORE = 12;

/** Averages several runs, as a slice is short; compares each with a run without the change. */
export function resize(fleet: Fleet, change: Change, seeds: readonly number[], popularity: Popularity): Resize {
  let [before, extraLoads] = [0, 0];
  const after = new Array<number>(SLICES).fill(0);
  for (const seed of seeds) {
    const [changed, unchanged] = [0, 1].map(() => new Simulation(fleet, seed, popularity));
    for (const simulation of [changed, unchanged]) simulation.run(2 * fleet.ttlMs);
    before += changed.run(SLICES_BEFORE * SLICE_MS).hitRatio / seeds.length;
    unchanged.run(SLICES_BEFORE * SLICE_MS);
    changed.resize(membersAfter(fleet, change));
    for (let slice = 0; slice < SLICES; slice++) {
      const tally = changed.run(SLICE_MS);
      after[slice] += tally.hitRatio / seeds.length;
      extraLoads += (unchanged.run(SLICE_MS).hits - tally.hits) / seeds.length;
    }
  }
  return { fleet, change, before, after, extraLoads };
}

/** Returns the replicas after a change. The last one leaves: jump hash allows no other. */
function membersAfter({ replicas }: Fleet, change: Change): number[] {
  return Array.from({ length: change === 'join' ? replicas + 1 : replicas - 1 }, (_, number) => number);
}
