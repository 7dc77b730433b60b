/** Counts of a period. */
export class Tally {
  reads = 0;
  hits = 0;
  /** Invalidations: one per write and replica. */
  invalidations = 0;
  /** Invalidations of cached keys. */
  purges = 0;
  /** Responses with an older version than an earlier response of any replica. */
  backward = 0;
  /** For each stale response, the milliseconds since its version was overwritten. */
  readonly stalenessMs: number[] = [];
  readonly readsOf: number[];

  constructor(replicas: number) {
    this.readsOf = new Array<number>(replicas).fill(0);
  }

  get hitRatio(): number {
    return this.hits / this.reads;
  }
}

/** Simulated results of a fleet. */
export interface Findings {
  readonly hitRatio: number;
  readonly loadsPerSecond: number;
  readonly invalidationsPerSecond: number;
  /** Share of the invalidations whose key was cached. */
  readonly invalidationsOfUse: number;
  /** Share of stale responses. */
  readonly staleShare: number;
  /** Staleness of the stale responses. */
  readonly staleMeanMs: number;
  readonly staleP99Ms: number;
  /** Share of the stale responses that followed a newer value of the key, returned by any replica. */
  readonly backwardShare: number;
  /** Requests of the busiest replica, as a multiple of the average. */
  readonly busiest: number;
}

export function findings(tally: Tally, milliseconds: number): Findings {
  const { reads, hits, invalidations, purges, backward, readsOf } = tally;
  const stale = Float64Array.from(tally.stalenessMs).sort();
  const seconds = milliseconds / 1000;
  return {
    hitRatio: tally.hitRatio,
    loadsPerSecond: (reads - hits) / seconds,
    invalidationsPerSecond: invalidations / seconds,
    invalidationsOfUse: invalidations === 0 ? 0 : purges / invalidations,
    staleShare: stale.length / reads,
    staleMeanMs: stale.length === 0 ? 0 : stale.reduce((sum, ms) => sum + ms, 0) / stale.length,
    staleP99Ms: stale.length === 0 ? 0 : stale[Math.floor(stale.length * 0.99)],
    backwardShare: stale.length === 0 ? 0 : backward / stale.length,
    busiest: (Math.max(...readsOf) * readsOf.length) / reads,
  };
}
