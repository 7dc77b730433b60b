import { Buffer } from 'node:buffer';
import { HitBuffer } from '../../src/cache/shared-lru/hit-buffer.ts';
import type { Clock } from '../../src/cache/shared-lru/clock.ts';
import { SharedLru } from '../../src/cache/shared-lru/shared-lru.ts';
import { Query } from '../../src/redis/query.ts';

const KEY_BYTES = 4;
const VALUE_BYTES = 4;
const THREAD = 1;

/** Buffers shared by all replicas. */
const hit = new HitBuffer();
const keyBytes = Buffer.alloc(KEY_BYTES);
const valueBytes = Buffer.alloc(VALUE_BYTES);

/** The cache of one proxy. Keys are numbers, and values are version numbers. */
export class Replica {
  readonly #lru: SharedLru;

  constructor(capacity: number, clock: Clock) {
    const limits = {
      capacity,
      maxBytes: capacity * (KEY_BYTES + VALUE_BYTES),
      maxValueBytes: VALUE_BYTES,
      // Loads take no time in the simulation, so there is at most one.
      maxLeases: 1,
      leaseMs: 1000,
      staleMs: 0,
    };
    this.#lru = SharedLru.create(limits, THREAD, clock);
  }

  /** Returns the cached version of a key; undefined if it is not cached or has expired. */
  read(key: number): number | undefined {
    keyBytes.writeUInt32LE(key);
    return this.#lru.tryGetInto(keyBytes, 0, KEY_BYTES, hit) ? hit.bytes.readUInt32LE() : undefined;
  }

  /** Stores a key that {@link read} has not found, with a TTL in milliseconds. */
  load(key: number, version: number, ttlMs: number): void {
    keyBytes.writeUInt32LE(key);
    const found = this.#lru.lookup(Query.get(keyBytes));
    if (found.kind !== 'miss') throw new Error(`expected a miss, not: ${found.kind}`);
    valueBytes.writeUInt32LE(version);
    const result = this.#lru.commit(found.lease, valueBytes, [0, 0, 0], ttlMs);
    if (result !== 'stored') throw new Error(`not stored: ${result}`);
  }

  /** Purges a key; returns whether it was cached. */
  purge(key: number): boolean {
    keyBytes.writeUInt32LE(key);
    return this.#lru.purge(keyBytes) > 0;
  }
}
