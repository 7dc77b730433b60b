import { type Fleet, isAffine } from './fleet.ts';
import { Popularity } from './popularity.ts';

/** Steps of the numerical integration over an entry's lifetime, per characteristic time or TTL. */
const STEPS = 256;
/** Request rates for which a lifetime is computed; rates between them are interpolated. */
const RATES = 96;

export interface Prediction {
  readonly hitRatio: number;
  readonly loadsPerSecond: number;
  /** Share of stale responses. */
  readonly staleShare: number;
}

/**
 * Predicts the results of a fleet without simulating it.
 *
 * H. Che, Y. Tung, Z. Wang ("Hierarchical Web Caching Systems", 2002): an LRU cache of many keys evicts an entry that has
 * not been read for the *characteristic time*, in which as many different keys are read as the cache has capacity for.
 * With a TTL, an entry is valid until it is evicted or expires; an expired entry keeps its slot until it is read. With
 * random balancing, each replica is a cache that receives its share of the requests for every key; with affinity, the fleet
 * is one large cache.
 */
export function predict(fleet: Fleet, popularity = new Popularity(fleet.keys, fleet.exponent)): Prediction {
  const { replicas, readsPerSecond, writesPerSecond, capacity, writes, keys, ttlMs, tracking } = fleet;
  const caches = isAffine(fleet) ? 1 : replicas;
  const perMs = readsPerSecond / caches / 1000;
  const writesTo = (share: number): number => (writesPerSecond / 1000) * (writes === 'uniform' ? 1 / keys : share);
  const purgesOf = tracking ? writesTo : () => 0;
  const timeMs = characteristicTime(popularity.shares, perMs, (capacity * replicas) / caches, purgesOf);
  const lifeAt = interpolated(popularity.shares, (share) =>
    life(perMs * share, writesTo(share), ttlMs, timeMs, tracking),
  );
  let [hitRatio, staleShare] = [0, 0];
  for (const share of popularity.shares) {
    const { hitShare, staleShare: stale } = lifeAt(share);
    hitRatio += share * hitShare;
    staleShare += share * stale;
  }
  return { hitRatio, staleShare, loadsPerSecond: readsPerSecond * (1 - hitRatio) };
}

/**
 * Returns the time in milliseconds in which `capacity` different keys are read and not purged afterwards; Infinity if all
 * keys fit.
 *
 * @param perMs requests for all keys per millisecond.
 * @param purgesOf returns how often per millisecond a key with this share of the requests is purged.
 */
export function characteristicTime(
  shares: Float64Array,
  perMs: number,
  capacity: number,
  purgesOf: (share: number) => number = () => 0,
): number {
  const heldAfter = (time: number): number =>
    shares.reduce((sum, share) => {
      const ends = perMs * share + purgesOf(share);
      return sum - ((perMs * share) / ends) * Math.expm1(-ends * time);
    }, 0);
  if (heldAfter(Infinity) <= capacity) return Infinity;
  let [low, high] = [0, capacity / perMs];
  while (heldAfter(high) < capacity) [low, high] = [high, 2 * high];
  while (high - low > high * 1e-6) {
    const middle = (low + high) / 2;
    if (heldAfter(middle) < capacity) low = middle;
    else high = middle;
  }
  return high;
}

interface Life {
  /** Shares of the requests for a key that are hits, and that return an overwritten value. */
  readonly hitShare: number;
  readonly staleShare: number;
}

/** Computes the results for one key, whose entries live until they are not read for `timeMs`, and at most for `ttlMs`. */
function life(perMs: number, writesPerMs: number, ttlMs: number, timeMs: number, tracking: boolean): Life {
  const stepMs = Math.min(timeMs / STEPS, ttlMs / STEPS);
  const steps = Math.round(ttlMs / stepMs);
  const idle = Math.round(timeMs / stepMs);
  const dies = perMs * Math.exp(-perMs * timeMs) * stepMs;
  // Probability that the entry exists after each step: it is evicted when the last request was `idle` steps ago.
  const held = new Float64Array(steps + 1);
  let [hits, stale] = [0, 0];
  for (let step = 0; step <= steps; step++) {
    if (step < idle) held[step] = 1;
    else if (step === idle) held[step] = 1 - Math.exp(-perMs * timeMs);
    else held[step] = held[step - 1] - (dies * (held[step - idle] + held[step - 1 - idle])) / 2;
    const weight = (step === 0 || step === steps ? 0.5 : 1) * held[step] * perMs * stepMs;
    const unwritten = Math.exp(-writesPerMs * step * stepMs);
    hits += weight * (tracking ? unwritten : 1);
    stale += weight * (tracking ? 0 : 1 - unwritten);
  }
  // Each lifetime starts with one request that misses.
  return { hitShare: hits / (1 + hits), staleShare: stale / (1 + hits) };
}

/** Interpolates the lifetimes of all keys from those of shares spaced evenly on a logarithmic scale. */
function interpolated(shares: Float64Array, lifeOf: (share: number) => Life): (share: number) => Life {
  const min = Math.log(shares.at(-1) ?? 1);
  const width = (Math.log(shares[0]) - min) / (RATES - 1) || 1;
  const lives = Array.from({ length: RATES }, (_, i) => lifeOf(Math.exp(min + i * width)));
  return (share) => {
    const at = Math.min(RATES - 1, Math.max(0, (Math.log(share) - min) / width));
    const [below, above] = [lives[Math.floor(at)], lives[Math.ceil(at)]];
    const part = at - Math.floor(at);
    return {
      hitShare: below.hitShare + part * (above.hitShare - below.hitShare),
      staleShare: below.staleShare + part * (above.staleShare - below.staleShare),
    };
  };
}
