import { mulberry32 } from '../random.ts';
import { type Balancer, balancer } from './balancers.ts';
import { type Fleet, PUSH_MS, type Run } from './fleet.ts';
import { Popularity } from './popularity.ts';
import { Replica } from './replica.ts';
import { type Findings, Tally, findings } from './tally.ts';
import { Versions } from './versions.ts';

/**
 * A fleet in simulated time. Reads and writes come at random (Poisson), and a load takes no time: what is waited for is
 * not of interest here, and collapsed loads would only be fewer. The caches are those of the proxy.
 */
export class Simulation {
  readonly #fleet: Fleet;
  readonly #seed: number;
  readonly #random: () => number;
  readonly #popularity: Popularity;
  readonly #versions: Versions;
  /** The latest version that anybody was given of each key. */
  readonly #answered: Uint32Array;
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
    this.#answered = new Uint32Array(fleet.keys);
    this.#choose = this.#balance(Array.from({ length: fleet.replicas }, (_, number) => number));
    this.#nextMs = this.#pauseMs();
  }

  /** Has the requests spread over these replicas from now on; those that are new are cold. */
  resize(members: readonly number[]): void {
    this.#choose = this.#balance(members);
  }

  /** Goes on for so long, and answers what happened. */
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
      // What is loaded first is as old as if it had been loaded long ago; otherwise much would expire at the same time.
      replica.load(key, version, this.#now < ttlMs / 10 ? ttlMs * this.#random() : ttlMs);
    } else {
      this.#tally.hits++;
      const overwrittenAt = this.#versions.overwrittenAt(version);
      if (overwrittenAt !== undefined) this.#tally.stalenessMs.push(this.#now - overwrittenAt);
    }
    // The first versions of all keys come before all others, and say nothing of one another.
    if (version >= keys && version > this.#answered[key]) this.#answered[key] = version;
    else if (version < this.#answered[key]) this.#tally.backward++;
  }

  #write(): void {
    const { keys, writes, tracking } = this.#fleet;
    const first = this.#random();
    const key = writes === 'uniform' ? Math.floor(first * keys) : this.#popularity.draw(first, this.#random());
    this.#versions.write(key, this.#now);
    if (tracking) this.#pushes.push({ key, dueMs: this.#now + PUSH_MS });
  }

  /** Redis tells everybody, whoever holds the key. */
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
    // Draws of its own, so that all ways of balancing have the same requests.
    const random = mulberry32(~this.#seed);
    return balancer(balancing, { members, keys, readsPerSecond, random });
  }
}

/** Runs a fleet until it is warm, and then for as long as it is to be measured. */
export function simulate(fleet: Fleet, { seed, warmUpMs, measuredMs }: Run, popularity?: Popularity): Findings {
  const simulation = new Simulation(fleet, seed, popularity);
  simulation.run(warmUpMs);
  return findings(simulation.run(measuredMs), measuredMs);
}
