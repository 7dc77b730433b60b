import type { DashboardSnapshot } from '../../dashboard-snapshot.ts';
import { type ReadKind, hitRatio, quantile, readsByKind, isSameRun } from './statistics.ts';

/** Five minutes of samples. */
const MAX_SAMPLES = 300;
/** Window of ratios and quantiles, which fluctuate too much over a single second of little traffic. */
const WINDOW_MS = 10_000;

/** Rates between two consecutive snapshots. Null: not known. */
export interface Sample {
  /** Unix time in seconds. */
  readonly at: number;
  /** Reads per second. */
  readonly reads: Readonly<Record<ReadKind, number>> | null;
  /** Of the last ten seconds, 0 to 1. */
  readonly hitRatio: number | null;
  /** Cached entries and bytes as shares of their limits, 0 to 1. */
  readonly fill: { readonly entries: number; readonly bytes: number };
  /** Load duration of the last ten seconds, in seconds. */
  readonly median: number | null;
  readonly p99: number | null;
  /** Redis reads per second. */
  readonly loads: number | null;
  /** Failed Redis reads per second. */
  readonly failedLoads: number | null;
  /** Entries removed per second, by cause; `evicted` at either limit. */
  readonly evictions: { readonly evicted: number; readonly expired: number; readonly purged: number } | null;
}

/** The samples of the last minutes, computed from the snapshots. */
export class History {
  readonly #samples: Sample[] = [];
  /** Snapshots within the window, all of one process. */
  #snapshots: DashboardSnapshot[] = [];

  get samples(): readonly Sample[] {
    return this.#samples;
  }

  push(snapshot: DashboardSnapshot): Sample {
    const last = this.#snapshots.at(-1);
    if (last !== undefined && !isSameRun(last, snapshot)) this.#snapshots = [];
    this.#snapshots.push(snapshot);
    while (this.#snapshots.length > 2 && snapshot.at - this.#snapshots[1].at >= WINDOW_MS) this.#snapshots.shift();
    const sample = this.#sample(snapshot);
    // The time axis must not go backwards when the proxy's clock is set back.
    while ((this.#samples.at(-1)?.at ?? 0) >= sample.at) this.#samples.pop();
    this.#samples.push(sample);
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
    return sample;
  }

  #sample(snapshot: DashboardSnapshot): Sample {
    const before = this.#snapshots.at(-2);
    const { entries, capacity, bytes, maxBytes } = snapshot.cache;
    const present = {
      at: snapshot.at / 1000,
      fill: { entries: capacity === 0 ? 0 : entries / capacity, bytes: bytes / maxBytes },
    };
    if (before === undefined) {
      return {
        ...present,
        reads: null,
        hitRatio: null,
        median: null,
        p99: null,
        loads: null,
        failedLoads: null,
        evictions: null,
      };
    }
    const seconds = (snapshot.at - before.at) / 1000;
    const [oldest] = this.#snapshots;
    const [from, to] = [oldest.loads.durations, snapshot.loads.durations];
    return {
      ...present,
      reads: perSecond(readsByKind(before.reads), readsByKind(snapshot.reads), seconds),
      hitRatio: hitRatio(oldest.cache, snapshot.cache),
      median: quantile(from, to, 0.5),
      p99: quantile(from, to, 0.99),
      loads: (snapshot.loads.count - before.loads.count) / seconds,
      failedLoads: (snapshot.loads.errors - before.loads.errors) / seconds,
      evictions: perSecond(evictionsOf(before), evictionsOf(snapshot), seconds),
    };
  }
}

function evictionsOf({ cache: { evictions } }: DashboardSnapshot) {
  return { evicted: evictions.capacity + evictions.bytes, expired: evictions.expired, purged: evictions.purged };
}

function perSecond<Name extends string>(
  from: Record<Name, number>,
  to: Record<Name, number>,
  seconds: number,
): Record<Name, number> {
  const rates = Object.keys(to).map((name) => [name, (to[name as Name] - from[name as Name]) / seconds]);
  return Object.fromEntries(rates) as Record<Name, number>;
}
