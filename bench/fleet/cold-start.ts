import { mulberry32 } from '../../test/support/random.ts';
import { Popularity } from './popularity.ts';
import { Replica } from './replica.ts';

const SECONDS = 240;
const JITTERS = [0, 0.2];

/** The workload of a proxy that starts with an empty cache, in which all keys fit. */
const WORKLOAD = { ttlMs: 60_000, keys: 5000, exponent: 0.5, readsPerSecond: 5000 } as const;

/** A simulated start. */
export interface ColdStart {
  /** The setting of the run, for a legend. */
  readonly name: string;
  /** Share of the reads that are misses, in each second. */
  readonly missRatios: readonly number[];
}

/** Simulates a cold start without and with jitter. */
export function coldStarts(seed: number): ColdStart[] {
  return JITTERS.map((jitter) => ({ name: `jitter ${jitter}`, missRatios: coldStart(jitter, seed) }));
}

/**
 * Simulates a proxy from its start with an empty cache. Reads are Poisson arrivals, with the same times and keys whatever the
 * jitter; loads take no time.
 *
 * @param jitter the share by which TTLs are shortened at most, as CACHE_TTL_JITTER.
 * @returns the share of the reads that are misses, in each second.
 */
function coldStart(jitter: number, seed: number): number[] {
  const { ttlMs, keys, exponent, readsPerSecond } = WORKLOAD;
  const random = mulberry32(seed);
  // A separate generator, so that the reads do not depend on it.
  const randomOfTtl = mulberry32(~seed);
  const popularity = new Popularity(keys, exponent);
  let now = 0;
  const replica = new Replica(keys, () => now);
  return Array.from({ length: SECONDS }, (_, second) => {
    let [reads, misses] = [0, 0];
    for (; now < (second + 1) * 1000; now += (-Math.log(1 - random()) * 1000) / readsPerSecond) {
      const key = popularity.draw(random(), random());
      reads++;
      if (replica.read(key) !== undefined) continue;
      misses++;
      replica.load(key, key, ttlMs * (1 - jitter * randomOfTtl()));
    }
    return misses / reads;
  });
}
