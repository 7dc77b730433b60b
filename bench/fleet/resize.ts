import type { Fleet } from './fleet.ts';
import type { Popularity } from './popularity.ts';
import { Simulation } from './simulation.ts';

/** A replica that comes, empty, or goes. */
export const CHANGES = ['join', 'leave'] as const;
export type Change = (typeof CHANGES)[number];

/** The course of the hit ratio when the number of replicas changes. */
export interface Resize {
  readonly fleet: Fleet;
  readonly change: Change;
  readonly before: number;
  /** After the change, one for each {@link SLICE_MS}. */
  readonly after: readonly number[];
  /** Loads beyond those without the change, all slices together. */
  readonly extraLoads: number;
}

export const SLICE_MS = 5000;
const SLICES = 24;
/** Slices from which the hit ratio before the change is taken. */
const SLICES_BEFORE = 12;

/** The mean of some runs, since a slice is short, each beside one in which nothing changes. */
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

/** The last one leaves: numbered places, as of jump hash, allow for no other. */
function membersAfter({ replicas }: Fleet, change: Change): number[] {
  return Array.from({ length: change === 'join' ? replicas + 1 : replicas - 1 }, (_, number) => number);
}
