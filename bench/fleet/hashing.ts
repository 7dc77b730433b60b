/** Consistent hashing: most keys keep their replica when the number of replicas changes. */
import { mulberry32 } from '../../test/support/random.ts';

/** Points per replica, as in `hash … consistent` of nginx. */
const POINTS = 160;
/** Upper bound for numbers of replicas: a 32-bit hash and one of them fit into the 53 bits of a double. */
const MEMBERS = 2 ** 20;

/** Mixes the bits of a 32-bit integer: the finaliser of MurmurHash3. */
export function mixed(number: number): number {
  let hash = number | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A hash ring: each replica has many points, and a key belongs to the replica of the next point. */
export class Ring {
  /** The replica of each point, in ring order. */
  readonly owners: Uint32Array;
  readonly #hashes: Uint32Array;

  constructor(members: readonly number[]) {
    const points = new Float64Array(members.length * POINTS);
    members.forEach((member, i) => {
      for (let point = 0; point < POINTS; point++) {
        points[i * POINTS + point] = mixed(mixed(~member) + point) * MEMBERS + member;
      }
    });
    points.sort();
    this.owners = Uint32Array.from(points, (point) => point % MEMBERS);
    this.#hashes = Uint32Array.from(points, (point) => Math.floor(point / MEMBERS));
  }

  /** Returns the index in {@link owners} of the point that a key belongs to. */
  point(key: number): number {
    const hash = mixed(key);
    let [low, high] = [0, this.#hashes.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#hashes[middle] >= hash) high = middle;
      else low = middle + 1;
    }
    return low === this.#hashes.length ? 0 : low;
  }

  owner(key: number): number {
    return this.owners[this.point(key)];
  }
}

/**
 * Returns the bucket of a key (J. Lamping, E. Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm", 2014, with another
 * random number generator). Distributes keys more evenly than a ring, but only the last bucket can be removed.
 */
export function jumpHash(key: number, places: number): number {
  const random = mulberry32(mixed(key));
  let place = 0;
  for (let next = 0; next < places; next = Math.floor((place + 1) / (1 - random()))) place = next;
  return place;
}
