import { Buffer } from 'node:buffer';
import { HitBuffer } from '../../src/cache/shared-lru/hit-buffer.ts';
import type { Clock } from '../../src/cache/shared-lru/clock.ts';
import { SharedLru } from '../../src/cache/shared-lru/shared-lru.ts';

const KEY_BYTES = 4;
const VALUE_BYTES = 4;
const THREAD = 1;

/** What all replicas use one after the other. */
const hit = new HitBuffer();
const keyBytes = Buffer.alloc(KEY_BYTES);
const valueBytes = Buffer.alloc(VALUE_BYTES);

/** The cache of one proxy: keys are numbers, and the value of each is the number of its version. */
export class Replica {
  readonly #lru: SharedLru;

  constructor(capacity: number, clock: Clock) {
    const limits = {
      capacity,
      maxBytes: capacity * (KEY_BYTES + VALUE_BYTES),
      maxValueBytes: VALUE_BYTES,
      // A load takes no time here, so there is one at a time.
      maxLeases: 1,
      leaseMs: 1000,
      staleMs: 0,
    };
    this.#lru = SharedLru.create(limits, THREAD, clock);
  }

  /** The version that is held of a key; undefined: none, or its time is over. */
  read(key: number): number | undefined {
    keyBytes.writeUInt32LE(key);
    return this.#lru.tryGetInto(keyBytes, 0, KEY_BYTES, hit) ? hit.bytes.readUInt32LE() : undefined;
  }

  /** Loads what {@link read} has not found, for so many milliseconds. */
  load(key: number, version: number, lifetimeMs: number): void {
    keyBytes.writeUInt32LE(key);
    const found = this.#lru.lookup(keyBytes);
    if (found.kind !== 'miss') throw new Error(`a key that is not held was found to be a ${found.kind}`);
    valueBytes.writeUInt32LE(version);
    const result = this.#lru.commit(found.lease, valueBytes, [0, 0, 0], lifetimeMs);
    if (result !== 'stored') throw new Error(`a version was not stored but ${result}`);
  }

  /** Answers whether the key was held. */
  purge(key: number): boolean {
    keyBytes.writeUInt32LE(key);
    return this.#lru.purge(keyBytes);
  }
}
