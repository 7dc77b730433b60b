import { coreSeconds, cpuSeconds, family, residentBytes } from '../processes.ts';
import type { Case, Entry } from './cases.ts';
import type { Running } from './contestant.ts';
import type { Latency } from './load.ts';
import type { Store } from './store.ts';
import type { Workbench } from './workbench.ts';
import type { Run } from './workloads.ts';

/** Accepted share of reads that are not what the case expects, such as the first ones. */
const TOLERANCE = 0.01;

/** Result of one run. */
export interface Sample {
  /** Requests per second. */
  readonly rate: number;
  /** CPU time of all processes of the contestant, per request, in microseconds. */
  readonly cpuUs: number;
  /** Share of the requests served without a read of Redis. */
  readonly withoutRedis: number;
  /** Shares of a core used by the contestant, by the generator, and by other processes on the two cores. */
  readonly serverBusy: number;
  readonly generatorBusy: number;
  readonly othersBusy: number;
  readonly latency?: Latency;
}

/** Result of one contestant in a case. */
export interface Outcome {
  readonly name: string;
  readonly samples: readonly Sample[];
  /** Resident bytes after the start, with all keys cached, and after all rounds. */
  readonly resident?: Resident;
  /** Why it did not take part. */
  readonly absent?: string;
  /** Why it failed. */
  readonly problem?: string;
}

export interface Resident {
  readonly idle: number;
  readonly filled: number;
  readonly loaded: number;
  readonly keys: number;
}

interface Ready {
  readonly running: Running;
  readonly run: Run;
  readonly idleBytes: number;
  readonly filledBytes: number;
}

export interface Effort {
  readonly rounds: number;
  readonly seconds: number;
}

/** Reports progress. */
export type Log = (what: string) => void;

/** Starts the contestants of a case, loads them alternately, round by round, and stops them. */
export async function measure(
  bench: Workbench,
  store: Store,
  plan: Case,
  effort: Effort,
  log: Log,
): Promise<Outcome[]> {
  const attempts = plan.entries.map((entry) => new Attempt(bench, store, plan, entry));
  try {
    for (const attempt of attempts) {
      log(`${attempt.name}: starting, checking and warming up`);
      await attempt.start();
      if (attempt.skipReason !== undefined) log(`${attempt.name}: ${attempt.skipReason}`);
    }
    for (let round = 0; round < effort.rounds; round++) {
      // Rotates the order, so that no contestant always follows the slowest one.
      const order = attempts.map((_, i) => attempts[(i + round) % attempts.length]);
      for (const attempt of order.filter(({ skipReason }) => skipReason === undefined)) {
        const result = await attempt.run(effort.seconds);
        log(`round ${round + 1} of ${effort.rounds}, ${attempt.name}: ${result}`);
      }
    }
    return attempts.map((attempt) => attempt.outcome());
  } finally {
    for (const attempt of attempts) await attempt.stop();
  }
}

/** One contestant in one case. Its failure is reported and does not affect the others. */
class Attempt {
  readonly #bench: Workbench;
  readonly #store: Store;
  readonly #case: Case;
  readonly #entry: Entry;
  readonly #samples: Sample[] = [];
  readonly #absent: string | undefined;
  #ready: Ready | undefined;
  #started: Running | undefined;
  #problem: string | undefined;

  constructor(bench: Workbench, store: Store, plan: Case, entry: Entry) {
    this.#bench = bench;
    this.#store = store;
    this.#case = plan;
    this.#entry = entry;
    this.#absent = entry.contestant.absent();
  }

  get name(): string {
    return this.#entry.name;
  }

  /** Why it is not measured; undefined if it is. */
  get skipReason(): string | undefined {
    return this.#absent ?? this.#problem;
  }

  async start(): Promise<void> {
    if (this.#absent !== undefined) return;
    await this.#try(async () => {
      const { cachedKeys: capacity = this.#case.needs.capacity } = this.#entry;
      const needs = { ...this.#case.needs, capacity };
      const running = await this.#entry.contestant.start(this.#bench, this.#store, needs);
      this.#started = running;
      const idleBytes = residentBytes(running.cachePid);
      const run = await this.#entry.workload(running, this.#bench);
      this.#ready = { running, run, idleBytes, filledBytes: residentBytes(running.cachePid) };
    });
  }

  /** Runs a round; returns its result in a few words. */
  async run(seconds: number): Promise<string> {
    await this.#try(async () => this.#samples.push(await this.#sample(seconds)));
    if (this.#problem !== undefined) return this.#problem;
    const { rate, latency } = this.#samples[this.#samples.length - 1];
    return latency === undefined
      ? `${Math.round(rate).toLocaleString('en')} requests/s`
      : `p50 ${latency.p50Us.toFixed(0)} µs, p99 ${latency.p99Us.toFixed(0)} µs`;
  }

  outcome(): Outcome {
    const { name, cachedKeys: keys } = this.#entry;
    const ready = this.#ready;
    const measured = keys !== undefined && ready !== undefined && this.#problem === undefined;
    const resident = measured
      ? { idle: ready.idleBytes, filled: ready.filledBytes, loaded: residentBytes(ready.running.cachePid), keys }
      : undefined;
    return { name, samples: this.#samples, resident, absent: this.#absent, problem: this.#problem };
  }

  async stop(): Promise<void> {
    await this.#started?.stop();
  }

  async #try(act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error);
    }
  }

  async #sample(seconds: number): Promise<Sample> {
    if (this.#ready === undefined) throw new Error('the contestant has not been started');
    const { running, run } = this.#ready;
    const before = await this.#usage(running);
    const load = await run(seconds);
    const after = await this.#usage(running);
    const cpu = after.cpu - before.cpu;
    const cores = after.cores - before.cores;
    const withoutRedis = 1 - (after.reads - before.reads) / load.requests;
    this.#expect(withoutRedis);
    return {
      rate: load.requests / load.seconds,
      cpuUs: (cpu * 1e6) / load.requests,
      withoutRedis,
      serverBusy: cpu / load.seconds,
      generatorBusy: load.generatorSeconds / load.seconds,
      othersBusy: Math.max(0, cores - cpu - load.generatorSeconds) / (after.atS - before.atS),
      latency: load.latency,
    };
  }

  async #usage({ pids }: Running): Promise<{ atS: number; cpu: number; cores: number; reads: number }> {
    const reads = await this.#store.reads();
    const { server, load } = this.#bench.cores;
    const cpu = pids.flatMap(family).reduce((sum, pid) => sum + cpuSeconds(pid), 0);
    return { atS: performance.now() / 1000, cpu, cores: coreSeconds(server) + coreSeconds(load), reads };
  }

  #expect(withoutRedis: number): void {
    if (!this.#entry.contestant.caches) return;
    const part = `${(withoutRedis * 100).toFixed(1)} % served without Redis`;
    if (this.#case.expect === 'hits' && withoutRedis < 1 - TOLERANCE) throw new Error(`not hits: ${part}`);
    if (this.#case.expect === 'misses' && withoutRedis > TOLERANCE) throw new Error(`not misses: ${part}`);
  }
}

/** Whether the load generator limited the rate, which is then only a lower bound. */
export function limitedByGenerator({ serverBusy, generatorBusy, latency }: Sample): boolean {
  // The generator of a fixed rate never sleeps.
  return latency === undefined && generatorBusy > 0.95 && serverBusy < 0.95;
}
