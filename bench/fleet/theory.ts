import { type Fleet, isAffine } from './fleet.ts';
import { Popularity } from './popularity.ts';

/** Steps in which an entry's life is followed, for each characteristic time. */
const STEPS = 256;
/** Request rates for which a life is followed; those between them are interpolated. */
const RATES = 96;

export interface Prediction {
  readonly hitRatio: number;
  readonly loadsPerSecond: number;
  /** The share of the answers that are out of date. */
  readonly staleShare: number;
}

/**
 * What is to be expected of a fleet, without simulating it.
 *
 * H. Che, Y. Tung, Z. Wang ("Hierarchical Web Caching Systems", 2002): in a cache of many keys that forgets the least
 * recently used, an entry is evicted when it has not been asked for during one and the same *characteristic time*, that in
 * which as many different keys are asked for as it has room for. With a time to live as well, an entry is of use until
 * there has been no request for so long, or its time is over; what is expired keeps its place until it is met. With random
 * balancing each replica is a cache with its part of the requests of every key; with affinity the fleet is one large cache.
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
 * Milliseconds in which so many different keys are asked for, and not purged after it; Infinity when there are no more.
 *
 * @param perMs requests for all keys.
 * @param purgesOf how often, in a millisecond, a key of such a share of the requests is purged.
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
  /** Shares of the requests for a key that are hits, and that are answered with what has been overwritten. */
  readonly hitShare: number;
  readonly staleShare: number;
}

/** What becomes of the requests for one key, whose entries live until nobody asks for `timeMs`, and for `ttlMs` at most. */
function life(perMs: number, writesPerMs: number, ttlMs: number, timeMs: number, tracking: boolean): Life {
  const stepMs = Math.min(timeMs / STEPS, ttlMs / STEPS);
  const steps = Math.round(ttlMs / stepMs);
  const idle = Math.round(timeMs / stepMs);
  const dies = perMs * Math.exp(-perMs * timeMs) * stepMs;
  // Whether the entry is still there after so many steps: it goes when the last request was `idle` steps ago.
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
  // Each life begins with one request that is no hit.
  return { hitShare: hits / (1 + hits), staleShare: stale / (1 + hits) };
}

/** The lives of all keys, from those of some shares that lie evenly on a logarithmic scale. */
function interpolated(shares: Float64Array, lifeOf: (share: number) => Life): (share: number) => Life {
  const least = Math.log(shares.at(-1) ?? 1);
  const width = (Math.log(shares[0]) - least) / (RATES - 1) || 1;
  const lives = Array.from({ length: RATES }, (_, i) => lifeOf(Math.exp(least + i * width)));
  return (share) => {
    const at = Math.min(RATES - 1, Math.max(0, (Math.log(share) - least) / width));
    const [below, above] = [lives[Math.floor(at)], lives[Math.ceil(at)]];
    const part = at - Math.floor(at);
    return {
      hitShare: below.hitShare + part * (above.hitShare - below.hitShare),
      staleShare: below.staleShare + part * (above.staleShare - below.staleShare),
    };
  };
}
