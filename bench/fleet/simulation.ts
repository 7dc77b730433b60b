import { mulberry32 } from '../../test/support/random.ts';
import { type Balancer, balancer } from './balancers.ts';
import { type Fleet, PUSH_MS, type Run } from './fleet.ts';
import { Popularity } from './popularity.ts';
import { Replica } from './replica.ts';
import { type Findings, Tally, findings } from './tally.ts';
import { Versions } from './versions.ts';

/**
 * Simulates a fleet with the proxy's own caches. Reads and writes are Poisson arrivals. Loads take no time: latencies are
 * not simulated, and coalescing would only reduce the number of loads.
 */
export class Simulation {
  readonly #fleet: Fleet;
  readonly #seed: number;
  readonly #random: () => number;
  readonly #popularity: Popularity;
  readonly #versions: Versions;
  /** The latest version of each key that any replica has returned. */
  readonly #latestReturned: Uint32Array;
  readonly #replicas: Replica[] = [];
  readonly #pushes: { readonly key: number; readonly dueMs: number }[] = [];
  #pushed = 0;
  #choose: Balancer;
  #now = 0;
  #nextMs = 0;
  #tally = new Tally(0);

  constructor(fleet: Fleet, seed: number, popularity = new Popularity(fleet.keys, fleet.exponent)) {
    this.#fleet = fleet;
    this.#seed = seed;
    this.#random = mulberry32(seed);
    this.#popularity = popularity;
    this.#versions = new Versions(fleet.keys);
    this.#latestReturned = new Uint32Array(fleet.keys);
    this.#choose = this.#balance(Array.from({ length: fleet.replicas }, (_, number) => number));
    this.#nextMs = this.#pauseMs();
  }

  /** Distributes requests over these replicas from now on; new ones start empty. */
  resize(members: readonly number[]): void {
    this.#choose = this.#balance(members);
  }

  /** Continues the simulation and returns the counts of this period. */
  run(milliseconds: number): Tally {
    this.#tally = new Tally(this.#replicas.length);
    const end = this.#now + milliseconds;
    const { readsPerSecond, writesPerSecond } = this.#fleet;
    const writeShare = writesPerSecond / (readsPerSecond + writesPerSecond);
    while (this.#nextMs < end) {
      this.#deliverUntil(this.#nextMs);
      this.#now = this.#nextMs;
      this.#nextMs += this.#pauseMs();
      if (this.#random() < writeShare) this.#write();
      else this.#read();
    }
    this.#deliverUntil(end);
    this.#now = end;
    return this.#tally;
  }

  #read(): void {
    const { keys, ttlMs } = this.#fleet;
    const key = this.#popularity.draw(this.#random(), this.#random());
    const member = this.#choose(key, this.#now);
    const replica = this.#replicas[member];
    this.#tally.reads++;
    this.#tally.readsOf[member]++;
    let version = replica.read(key);
    if (version === undefined) {
      version = this.#versions.current(key);
      // The first entries get random ages; otherwise many of them would expire at the same time.
      replica.load(key, version, this.#now < ttlMs / 10 ? ttlMs * this.#random() : ttlMs);
    } else {
      this.#tally.hits++;
      const overwrittenAt = this.#versions.overwrittenAt(version);
      if (overwrittenAt !== undefined) this.#tally.stalenessMs.push(this.#now - overwrittenAt);
    }
    // Initial versions precede all others, and are not comparable with each other.
    if (version >= keys && version > this.#latestReturned[key]) this.#latestReturned[key] = version;
    else if (version < this.#latestReturned[key]) this.#tally.backward++;
  }

  #write(): void {
    const { keys, writes, tracking } = this.#fleet;
    const first = this.#random();
    const key = writes === 'uniform' ? Math.floor(first * keys) : this.#popularity.draw(first, this.#random());
    this.#versions.write(key, this.#now);
    if (tracking) this.#pushes.push({ key, dueMs: this.#now + PUSH_MS });
  }

  /** Delivers invalidations to all replicas, whether or not they cache the key. */
  #deliverUntil(time: number): void {
    for (; this.#pushed < this.#pushes.length && this.#pushes[this.#pushed].dueMs <= time; this.#pushed++) {
      const { key, dueMs } = this.#pushes[this.#pushed];
      this.#now = dueMs;
      for (const replica of this.#replicas) if (replica.purge(key)) this.#tally.purges++;
      this.#tally.invalidations += this.#replicas.length;
    }
  }

  #pauseMs(): number {
    const perMs = (this.#fleet.readsPerSecond + this.#fleet.writesPerSecond) / 1000;
    return -Math.log(1 - this.#random()) / perMs;
  }

  #balance(members: readonly number[]): Balancer {
    const { balancing, capacity, keys, readsPerSecond } = this.#fleet;
    while (this.#replicas.length <= Math.max(...members)) {
      this.#replicas.push(new Replica(capacity, () => this.#now));
    }
    // A separate generator, so that all balancers get the same requests.
    const random = mulberry32(~this.#seed);
    return balancer(balancing, { members, keys, readsPerSecond, random });
  }
}

/** Warms up a fleet, then measures it. */
export function simulate(fleet: Fleet, { seed, warmUpMs, measuredMs }: Run, popularity?: Popularity): Findings {
  const simulation = new Simulation(fleet, seed, popularity);
  simulation.run(warmUpMs);
  return findings(simulation.run(measuredMs), measuredMs);
}
