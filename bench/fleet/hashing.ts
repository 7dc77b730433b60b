/** Where keys go to: hashes that keep most keys where they are when there is one replica more or less. */
import { mulberry32 } from '../random.ts';

/** Points of each replica, as many as nginx' `hash … consistent` has. */
const POINTS = 160;
/** Numbers of replicas are below this; a hash of 32 bits and one of them fit into the 53 bits of a number. */
const MEMBERS = 2 ** 20;

/** A whole number of 32 bits, mixed: the last step of MurmurHash3. */
export function mixed(number: number): number {
  let hash = number | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Replicas on a circle, each in many places; a key belongs to the first one that comes after it. */
export class Ring {
  /** The replica at each point, in the order of the circle. */
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

  /** The index, in {@link owners}, of the point to which a key belongs. */
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
 * Which of numbered places a key belongs to (J. Lamping, E. Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm",
 * 2014, with another generator of random numbers): spread more evenly than by a ring, but only the last place can go.
 */
export function jumpHash(key: number, places: number): number {
  const random = mulberry32(mixed(key));
  let place = 0;
  for (let next = 0; next < places; next = Math.floor((place + 1) / (1 - random()))) place = next;
  return place;
}
