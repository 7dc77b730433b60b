import { LRUCache } from 'lru-cache';
import { monotonicClock } from '../../src/cache/shared-lru/clock.ts';
import type { Etag } from '../../src/cache/shared-lru/etag.ts';
import type { Lookup } from '../../src/cache/shared-lru/cache-types.ts';
import { SharedLru } from '../../src/cache/shared-lru/shared-lru.ts';
import type { Requests, Workload } from './workload.ts';

/** Nothing expires while it is measured; but each read has to look. */
const TTL_MS = 3_600_000;

/** Whoever loads a value hashes it; what that costs is no matter of the cache. */
const ETAG: Etag = [1, 2, 3];

/** From this size on a value is better off with memory of its own: less is kept alive than that costs. */
const OWN_MEMORY_BYTES = 1024;

export const CONTESTANTS = ['SharedLru', 'lru-cache'] as const;
export type ContestantName = (typeof CONTESTANTS)[number];

/**
 * One side of the comparison: a cache, and what a proxy does to use it, where keys and values come in as parts of
 * larger buffers. Every method takes the i-th of the requests.
 */
export interface Contestant {
  /** Makes ready the keys of the requests in the form the cache takes them, as far as there is one to keep. */
  takeInHand(requests: Requests): void;
  /** Lets go of what was taken in hand. */
  letGo(): void;
  /** The value of a key in hand. */
  getInHand(requests: Requests, i: number): Buffer;
  /** The value of a key of which there are the bytes. */
  get(requests: Requests, i: number): Buffer;
  /** Stores a key of which it is known that it is not held. */
  set(requests: Requests, i: number): void;
  /** Looks for a key, and stores it if it is not held. */
  getOrSet(requests: Requests, i: number): void;
}

export function contestant(name: ContestantName, workload: Workload): Contestant {
  return name === 'SharedLru' ? new SharedLruContestant(workload) : new LruCacheContestant(workload);
}

class SharedLruContestant implements Contestant {
  readonly #workload: Workload;
  readonly #lru: SharedLru;
  readonly #keyBytes: number;
  readonly #key: Buffer;

  constructor(workload: Workload) {
    const { entries, keyBytes, valueBytes } = workload.shape;
    const maxBytes = entries * (keyBytes + valueBytes);
    const limits = {
      capacity: entries,
      maxBytes,
      maxValueBytes: valueBytes,
      maxLeases: 1024,
      leaseMs: 1000,
      staleMs: 0,
    };
    this.#workload = workload;
    this.#lru = SharedLru.create(limits, 1, monotonicClock());
    this.#keyBytes = keyBytes;
    this.#key = Buffer.alloc(keyBytes);
  }

  takeInHand(): void {
    // Its keys are bytes: there is no other form.
  }

  letGo(): void {
    // As above.
  }

  getInHand(requests: Requests, i: number): Buffer {
    // A Buffer for each of a million keys would lie scattered in memory, as no request's does: one takes all their bytes.
    const from = i * this.#keyBytes;
    for (let at = 0; at < this.#keyBytes; at++) this.#key[at] = requests.bytes[from + at];
    return hit(this.#lru.lookup(this.#key));
  }

  get(requests: Requests, i: number): Buffer {
    return hit(this.#lru.lookup(this.#keyOf(requests, i)));
  }

  set(requests: Requests, i: number): void {
    // Only who has missed a key may store it.
    this.#fill(this.#lru.lookup(this.#keyOf(requests, i)), requests.numbers[i]);
  }

  getOrSet(requests: Requests, i: number): void {
    const lookup = this.#lru.lookup(this.#keyOf(requests, i));
    if (lookup.kind !== 'hit') this.#fill(lookup, requests.numbers[i]);
  }

  #keyOf(requests: Requests, i: number): Buffer {
    return requests.bytes.subarray(i * this.#keyBytes, (i + 1) * this.#keyBytes);
  }

  #fill(lookup: Lookup, number: number): void {
    if (lookup.kind !== 'miss') throw new Error(`a miss was expected, not: ${lookup.kind}`);
    const result = this.#lru.commit(lookup.lease, this.#workload.value(number), ETAG, TTL_MS);
    if (result !== 'stored') throw new Error(`not stored: ${result}`);
  }
}

class LruCacheContestant implements Contestant {
  readonly #workload: Workload;
  readonly #cache: LRUCache<string, Buffer>;
  readonly #keyBytes: number;
  #inHand: string[] = [];

  constructor(workload: Workload) {
    this.#workload = workload;
    this.#cache = new LRUCache({ max: workload.shape.entries, ttl: TTL_MS });
    this.#keyBytes = workload.shape.keyBytes;
  }

  takeInHand(requests: Requests): void {
    // The very strings that are in the cache: they have their hashes already, and are equal by identity.
    const held = new Map<string, string>();
    for (const key of this.#cache.keys()) held.set(key, key);
    this.#inHand = Array.from(requests.numbers, (_, i) => {
      const key = held.get(this.#keyOf(requests, i));
      if (key === undefined) throw new Error('a key is not held');
      return key;
    });
  }

  letGo(): void {
    this.#inHand = [];
  }

  getInHand(_: Requests, i: number): Buffer {
    return found(this.#cache.get(this.#inHand[i]));
  }

  get(requests: Requests, i: number): Buffer {
    return found(this.#cache.get(this.#keyOf(requests, i)));
  }

  set(requests: Requests, i: number): void {
    this.#fill(this.#keyOf(requests, i), requests.numbers[i]);
  }

  getOrSet(requests: Requests, i: number): void {
    const key = this.#keyOf(requests, i);
    if (this.#cache.get(key) === undefined) this.#fill(key, requests.numbers[i]);
  }

  #keyOf(requests: Requests, i: number): string {
    const bytes = requests.bytes as Buffer & Latin1Bytes;
    return bytes.latin1Slice(i * this.#keyBytes, (i + 1) * this.#keyBytes);
  }

  #fill(key: string, number: number): void {
    this.#cache.set(key, copyOf(this.#workload.value(number)));
  }
}

/** A copy, as the part alone would keep alive all that was received with it; in the memory that suits its size best. */
function copyOf(value: Buffer): Buffer {
  // Of those that share a slab, one that lives keeps the memory of all: little for small ones, too much for large ones.
  if (value.length < OWN_MEMORY_BYTES) return Buffer.from(value);
  const copy = Buffer.allocUnsafeSlow(value.length);
  copy.set(value);
  return copy;
}

/** What `toString('latin1')` comes down to, and the fastest way from bytes to a string; not in the types. */
interface Latin1Bytes {
  latin1Slice(start: number, end: number): string;
}

function hit(lookup: Lookup): Buffer {
  if (lookup.kind !== 'hit') throw new Error(`a hit was expected, not: ${lookup.kind}`);
  return lookup.value;
}

function found(value: Buffer | undefined): Buffer {
  if (value === undefined) throw new Error('a hit was expected');
  return value;
}
