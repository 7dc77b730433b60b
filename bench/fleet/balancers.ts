/** Load balancing: how requests are distributed over the replicas. */
import { Ring, jumpHash, mixed } from './hashing.ts';

export const BALANCINGS = ['random', 'ring', 'bounded', 'jump', 'modulo'] as const;
export type Balancing = (typeof BALANCINGS)[number];

/** Returns the replica that receives a request. */
export type Balancer = (key: number, now: number) => number;

/** With bounded loads: the multiple of the average rate beyond which a replica's requests go to the next one. */
export const BOUND = 1.25;

interface Parts {
  /** Numbers of the replicas. */
  readonly members: readonly number[];
  readonly keys: number;
  /** Rate of all replicas together. */
  readonly readsPerSecond: number;
  readonly random: () => number;
}

export function balancer(balancing: Balancing, parts: Parts): Balancer {
  const { members, keys, random } = parts;
  switch (balancing) {
    case 'random':
      return () => members[Math.floor(random() * members.length)];
    case 'ring': {
      const ring = new Ring(members);
      return fixed(keys, (key) => ring.owner(key));
    }
    case 'bounded':
      return boundedRing(parts);
    case 'jump':
      return fixed(keys, (key) => members[jumpHash(key, members.length)]);
    case 'modulo':
      return fixed(keys, (key) => members[mixed(key) % members.length]);
  }
}

function fixed(keys: number, owner: (key: number) => number): Balancer {
  const owners = Uint32Array.from({ length: keys }, (_, key) => owner(key));
  return (key) => owners[key];
}

/**
 * Consistent hashing with bounded loads (V. Mirrokni, M. Thorup, M. Zadimoghaddam, 2018): a key goes to the first replica
 * from its point on that has capacity left. Proxies such as Envoy and HAProxy count in-flight requests; the simulation uses
 * a leaky bucket per replica, which leaks at {@link BOUND} times the average rate and holds one second of it, or ten
 * requests.
 */
function boundedRing({ members, keys, readsPerSecond }: Parts): Balancer {
  const ring = new Ring(members);
  const points = Uint32Array.from({ length: keys }, (_, key) => ring.point(key));
  const perMs = (BOUND * readsPerSecond) / members.length / 1000;
  const room = Math.max(10, perMs * 1000);
  const size = Math.max(...members) + 1;
  const levels = new Float64Array(size);
  const times = new Float64Array(size);
  return (key, now) => {
    for (let step = 0, point = points[key]; step < ring.owners.length; step++) {
      const member = ring.owners[point];
      const level = Math.max(0, levels[member] - (now - times[member]) * perMs);
      if (level + 1 <= room) {
        levels[member] = level + 1;
        times[member] = now;
        return member;
      }
      point = point + 1 === ring.owners.length ? 0 : point + 1;
    }
    return ring.owners[points[key]];
  };
}
