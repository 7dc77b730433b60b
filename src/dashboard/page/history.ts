import type { DashboardSnapshot } from '../dashboard-snapshot.ts';
import { type ReadKind, hitRatio, quantile, readsByKind, sameRun } from './figures.ts';

/** Samples that are kept: five minutes. */
const MOST_SAMPLES = 300;
/** Ratios and quantiles of a single second jump about when there is little traffic. */
const SMOOTHED_MS = 10_000;

/** What happened between one tick and the next. Null: nothing can be said. */
export interface Sample {
  /** Seconds since 1970. */
  readonly at: number;
  /** Reads per second. */
  readonly reads: Readonly<Record<ReadKind, number>> | null;
  /** Of the last ten seconds. */
  readonly hitRatio: number | null;
  /** Entries and bytes held, as shares of their limits. */
  readonly fill: { readonly entries: number; readonly bytes: number };
  /** Seconds, of the last ten seconds. */
  readonly median: number | null;
  readonly p99: number | null;
  /** Reads of Redis per second. */
  readonly loads: number | null;
  /** Reads of Redis per second that failed. */
  readonly failedLoads: number | null;
  /** Entries per second: those that had to make room, those whose time was over, those that were purged. */
  readonly dropped: { readonly evicted: number; readonly expired: number; readonly purged: number } | null;
}

/** The last minutes, made of ticks. */
export class History {
  readonly #samples: Sample[] = [];
  /** Those of the last seconds, of one run of the proxy. */
  #ticks: DashboardSnapshot[] = [];

  get samples(): readonly Sample[] {
    return this.#samples;
  }

  push(tick: DashboardSnapshot): Sample {
    const last = this.#ticks.at(-1);
    if (last !== undefined && !sameRun(last, tick)) this.#ticks = [];
    this.#ticks.push(tick);
    while (this.#ticks.length > 2 && tick.at - this.#ticks[1].at >= SMOOTHED_MS) this.#ticks.shift();
    const sample = this.#sample(tick);
    // A clock that was set back must not turn the time axis around.
    while ((this.#samples.at(-1)?.at ?? 0) >= sample.at) this.#samples.pop();
    this.#samples.push(sample);
    if (this.#samples.length > MOST_SAMPLES) this.#samples.shift();
    return sample;
  }

  #sample(tick: DashboardSnapshot): Sample {
    const before = this.#ticks.at(-2);
    const { entries, capacity, bytes, maxBytes } = tick.cache;
    const present = {
      at: tick.at / 1000,
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
        dropped: null,
      };
    }
    const seconds = (tick.at - before.at) / 1000;
    const [oldest] = this.#ticks;
    const [from, to] = [oldest.loads.durations, tick.loads.durations];
    return {
      ...present,
      reads: perSecond(readsByKind(before.reads), readsByKind(tick.reads), seconds),
      hitRatio: hitRatio(oldest.cache, tick.cache),
      median: quantile(from, to, 0.5),
      p99: quantile(from, to, 0.99),
      loads: (tick.loads.count - before.loads.count) / seconds,
      failedLoads: (tick.loads.errors - before.loads.errors) / seconds,
      dropped: perSecond(droppedBy(before), droppedBy(tick), seconds),
    };
  }
}

function droppedBy({ cache: { dropped } }: DashboardSnapshot) {
  return { evicted: dropped.capacity + dropped.bytes, expired: dropped.expired, purged: dropped.purged };
}

function perSecond<Name extends string>(
  from: Record<Name, number>,
  to: Record<Name, number>,
  seconds: number,
): Record<Name, number> {
  const rates = Object.keys(to).map((name) => [name, (to[name as Name] - from[name as Name]) / seconds]);
  return Object.fromEntries(rates) as Record<Name, number>;
}
