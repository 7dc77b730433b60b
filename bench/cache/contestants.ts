import { LRUCache } from 'lru-cache';
import { monotonicClock } from '../../src/cache/shared-lru/clock.ts';
import type { Etag } from '../../src/cache/shared-lru/etag.ts';
import type { Lookup } from '../../src/cache/shared-lru/cache-types.ts';
import { SharedLru } from '../../src/cache/shared-lru/shared-lru.ts';
import { limitsFor } from '../cache-limits.ts';
import type { Requests, Workload } from './workload.ts';
import { Query } from '../../src/redis/query.ts';

/** No entry expires during the measurement, but every read must check it. */
const TTL_MS = 3_600_000;

/** Constant: hashing a value is part of loading it, not of the cache. */
const ETAG: Etag = [1, 2, 3];

/** Values of at least this size get memory of their own instead of a part of a slab. */
const OWN_MEMORY_BYTES = 1024;

export const CONTESTANTS = ['SharedLru', 'lru-cache'] as const;
export type ContestantName = (typeof CONTESTANTS)[number];

/**
 * A cache, used as a proxy uses it: keys and values arrive as parts of larger buffers. Methods with an index process the
 * i-th request.
 */
export interface Contestant {
  /** Converts the keys of the requests to the form that the cache needs, if it differs from bytes. */
  prepareKeys(requests: Requests): void;
  /** Releases the prepared keys. */
  releaseKeys(): void;
  /** Returns the value of a prepared key. */
  getPrepared(requests: Requests, i: number): Buffer;
  /** Returns the value of a key given as bytes. */
  get(requests: Requests, i: number): Buffer;
  /** Stores a key that is not cached. */
  set(requests: Requests, i: number): void;
  /** Looks a key up, and stores it if it is not cached. */
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
    const limits = { ...limitsFor(entries), maxBytes, maxValueBytes: valueBytes };
    this.#workload = workload;
    this.#lru = SharedLru.create(limits, 1, monotonicClock());
    this.#keyBytes = keyBytes;
    this.#key = Buffer.alloc(keyBytes);
  }

  prepareKeys(): void {
    // Keys are bytes: no conversion is needed.
  }

  releaseKeys(): void {
    // No keys are prepared.
  }

  getPrepared(requests: Requests, i: number): Buffer {
    // Copies into one buffer: a Buffer for each of a million keys would be scattered in memory, unlike a received request.
    const from = i * this.#keyBytes;
    for (let at = 0; at < this.#keyBytes; at++) this.#key[at] = requests.bytes[from + at];
    return hit(this.#lru.lookup(Query.get(this.#key)));
  }

  get(requests: Requests, i: number): Buffer {
    return hit(this.#lru.lookup(Query.get(this.#keyOf(requests, i))));
  }

  set(requests: Requests, i: number): void {
    // Storing requires the lease of a miss.
    this.#fill(this.#lru.lookup(Query.get(this.#keyOf(requests, i))), requests.numbers[i]);
  }

  getOrSet(requests: Requests, i: number): void {
    const lookup = this.#lru.lookup(Query.get(this.#keyOf(requests, i)));
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
  #preparedKeys: string[] = [];

  constructor(workload: Workload) {
    this.#workload = workload;
    this.#cache = new LRUCache({ max: workload.shape.entries, ttl: TTL_MS });
    this.#keyBytes = workload.shape.keyBytes;
  }

  prepareKeys(requests: Requests): void {
    // The string objects of the cache itself: already hashed, and equal by identity.
    const cached = new Map<string, string>();
    for (const key of this.#cache.keys()) cached.set(key, key);
    this.#preparedKeys = Array.from(requests.numbers, (_, i) => {
      const key = cached.get(this.#keyOf(requests, i));
      if (key === undefined) throw new Error('a key is not cached');
      return key;
    });
  }

  releaseKeys(): void {
    this.#preparedKeys = [];
  }

  getPrepared(_: Requests, i: number): Buffer {
    return found(this.#cache.get(this.#preparedKeys[i]));
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

/** Copies a value, as a view would keep the whole receive buffer alive. */
function copyOf(value: Buffer): Buffer {
  // One live value keeps its whole slab alive: acceptable for small values, too expensive for large ones.
  if (value.length < OWN_MEMORY_BYTES) return Buffer.from(value);
  const copy = Buffer.allocUnsafeSlow(value.length);
  copy.set(value);
  return copy;
}

/** The implementation of `toString('latin1')`, the fastest conversion of bytes to a string; missing in the types. */
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
