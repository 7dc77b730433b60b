/** What has been counted over some time. */
export class Tally {
  reads = 0;
  hits = 0;
  /** Of a write, one for each replica that was told. */
  invalidations = 0;
  /** Invalidations of keys that were held. */
  purges = 0;
  /** Answers older than one that was given before, by any replica. */
  backward = 0;
  /** For each answer that was out of date, the milliseconds since the write that made it so. */
  readonly stalenessMs: number[] = [];
  readonly readsOf: number[];

  constructor(replicas: number) {
    this.readsOf = new Array<number>(replicas).fill(0);
  }

  get hitRatio(): number {
    return this.hits / this.reads;
  }
}

/** What a fleet was found to do. */
export interface Findings {
  readonly hitRatio: number;
  readonly loadsPerSecond: number;
  readonly invalidationsPerSecond: number;
  /** The share of the invalidations whose key was held. */
  readonly invalidationsOfUse: number;
  /** The share of all answers that were out of date. */
  readonly staleShare: number;
  /** How long those that were stale had been so. */
  readonly staleMeanMs: number;
  readonly staleP99Ms: number;
  /** The share of the stale answers that came after somebody, anywhere, had been given a later value. */
  readonly backwardShare: number;
  /** Requests of the replica that has most, as a multiple of the average. */
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
