/** One thread of the torture test; runs with stripped types until its time has elapsed. */
import { parentPort, workerData } from 'node:worker_threads';
import { monotonicClock } from './clock.ts';
import type { Etag } from './etag.ts';
import { type FillResult, type CachedValue, LOAD_RESULTS, type Lease } from './cache-types.ts';
import { SharedLru } from './shared-lru.ts';

export interface TortureOrders {
  readonly buffer: SharedArrayBuffer;
  /** Lock owner id of this thread, and the seed of its actions. */
  readonly thread: number;
  readonly keys: readonly Uint8Array[];
  /** Random bytes; every value is a part of them. */
  readonly noise: SharedArrayBuffer;
  readonly largestValue: number;
  /** Generation of each key in the backing store. */
  readonly stored: SharedArrayBuffer;
  /** Minimum generation of each key in the cache: the purge of the one before has returned. */
  readonly purged: SharedArrayBuffer;
  /** Milliseconds to run; Infinity for a thread that will be killed. */
  readonly runMs: number;
}

export interface TortureReport {
  readonly lookups: number;
  readonly hits: number;
  readonly largeHits: number;
  readonly voided: number;
  readonly stale: number;
}

const LARGE = 16 * 1024;
const OPERATIONS_BETWEEN_LOOKS = 256;

class Torture {
  readonly #orders: TortureOrders;
  readonly #lru: SharedLru;
  readonly #noise: Uint8Array;
  readonly #stored: Int32Array;
  readonly #purged: Int32Array;
  readonly #random: () => number;
  readonly #late: { readonly key: number; readonly generation: number; readonly lease: Lease }[] = [];
  #lookups = 0;
  #hits = 0;
  #largeHits = 0;
  #voided = 0;
  #stale = 0;

  constructor(orders: TortureOrders) {
    this.#orders = orders;
    this.#lru = SharedLru.attach(orders.buffer, orders.thread, monotonicClock());
    this.#noise = new Uint8Array(orders.noise);
    this.#stored = new Int32Array(orders.stored);
    this.#purged = new Int32Array(orders.purged);
    this.#random = mulberry32(orders.thread);
  }

  run(): TortureReport {
    const until = performance.now() + this.#orders.runMs;
    while (performance.now() < until) {
      for (let i = 0; i < OPERATIONS_BETWEEN_LOOKS; i++) this.#operate();
      this.#checkLimits();
    }
    return {
      lookups: this.#lookups,
      hits: this.#hits,
      largeHits: this.#largeHits,
      voided: this.#voided,
      stale: this.#stale,
    };
  }

  #operate(): void {
    const key = this.#anyKey();
    const dice = this.#random();
    if (dice < 0.02) this.#write(key);
    else if (dice < 0.021) this.#writeAll();
    else if (dice < 0.022) this.#writeMatching();
    else if (dice < 0.04) this.#fillLate();
    else if (dice < 0.042) this.#lru.expireAll();
    else if (dice < 0.1) this.#readStale(key);
    else this.#read(key);
  }

  #read(key: number): void {
    const atLeast = Atomics.load(this.#purged, key);
    this.#lookups++;
    const maxAgeMs = this.#random() < 0.1 ? this.#random() : Infinity;
    const found = this.#lru.lookup({ id: this.#orders.keys[key], selectorLength: 0 }, false, maxAgeMs);
    switch (found.kind) {
      case 'hit':
        this.#check(key, found, atLeast);
        this.#hits++;
        if (found.value.length > LARGE) this.#largeHits++;
        break;
      case 'miss':
        this.#load(key, found.lease);
        break;
      case 'missing':
        this.#hits++;
        break;
      case 'loading':
      case 'unleased':
      case 'buffer-full':
        break;
    }
  }

  #readStale(key: number): void {
    const atLeast = Atomics.load(this.#purged, key);
    const found = this.#lru.getStale({ id: this.#orders.keys[key], selectorLength: 0 });
    if (found === undefined) return;
    this.#check(key, found, atLeast);
    this.#stale++;
  }

  #check(key: number, { value, etag: [ofKey, generation, size] }: CachedValue, atLeast: number): void {
    ensure(ofKey === key, `key ${key} returned the value of key ${ofKey}`);
    ensure(generation >= atLeast, `key ${key}: generation ${generation} outlived the purge of ${atLeast - 1}`);
    const expected = this.#value(key, generation, size);
    ensure(Buffer.compare(value, expected) === 0, `key ${key}: bytes of another value, ${size} expected`);
  }

  #load(key: number, lease: Lease): void {
    const generation = Atomics.load(this.#stored, key);
    const dice = this.#random();
    if (dice < 0.85) this.#fill(key, generation, lease);
    else if (dice < 0.9) this.#note(this.#lru.commitNegative(lease, 1));
    else if (dice < 0.93) this.#lru.abandon(lease, LOAD_RESULTS[Math.floor(this.#random() * LOAD_RESULTS.length)]);
    else if (dice < 0.98) this.#late.push({ key, generation, lease });
    // The other leases are never ended, as by a crashed thread.
  }

  #fillLate(): void {
    const load = this.#late.shift();
    if (load !== undefined) this.#fill(load.key, load.generation, load.lease);
  }

  #fill(key: number, generation: number, lease: Lease): void {
    const size = this.#size();
    const etag: Etag = [key, generation, size];
    const lifetimeMs = this.#random() < 0.5 ? 0.5 : 1000;
    this.#note(this.#lru.commit(lease, this.#value(key, generation, size), etag, lifetimeMs));
  }

  #note(result: FillResult): void {
    if (result === 'void') this.#voided++;
  }

  #write(key: number): void {
    const generation = Atomics.add(this.#stored, key, 1) + 1;
    this.#lru.purge(this.#orders.keys[key]);
    raise(this.#purged, key, generation);
  }

  #writeAll(): void {
    const generations = this.#orders.keys.map((_, key) => Atomics.add(this.#stored, key, 1) + 1);
    this.#lru.flush();
    generations.forEach((generation, key) => raise(this.#purged, key, generation));
  }

  #writeMatching(): void {
    const remainder = Math.floor(this.#random() * 8);
    const matches = (bytes: Uint8Array, from: number, to: number): boolean =>
      to > from && bytes[to - 1] % 8 === remainder;
    const meant = [...this.#orders.keys.keys()].filter((key) => {
      const bytes = this.#orders.keys[key];
      return matches(bytes, 0, bytes.length);
    });
    const generations = meant.map((key) => Atomics.add(this.#stored, key, 1) + 1);
    const purging = this.#lru.purgeMatching({ keyBytesPerStep: 64, matches });
    while (!purging.step()) this.#read(this.#anyKey());
    meant.forEach((key, i) => raise(this.#purged, key, generations[i]));
  }

  /** Chooses a key. Squared, so that all threads read a few keys most of the time. */
  #anyKey(): number {
    return Math.floor(this.#random() ** 2 * this.#orders.keys.length);
  }

  #checkLimits(): void {
    const { entries, bytes, leases } = this.#lru.stats();
    const { capacity, maxBytes, maxLeases } = this.#lru.limits;
    ensure(entries <= capacity, `${entries} entries`);
    ensure(bytes >= 0 && bytes <= maxBytes, `${bytes} bytes`);
    ensure(leases <= maxLeases, `${leases} leases`);
  }

  #size(): number {
    const dice = this.#random();
    if (dice < 0.1) return 0;
    if (dice < 0.6) return Math.floor(this.#random() * 300);
    return Math.floor(this.#random() * this.#orders.largestValue);
  }

  /** Returns a part of the noise at an offset that depends on key and generation. */
  #value(key: number, generation: number, size: number): Uint8Array {
    const from = (Math.imul(key * 31 + generation, 0x9e3779b1) >>> 0) % (this.#noise.length - size);
    return this.#noise.subarray(from, from + size);
  }
}

function raise(words: Int32Array, index: number, to: number): void {
  let was = Atomics.load(words, index);
  while (was < to) {
    const found = Atomics.compareExchange(words, index, was, to);
    if (found === was) return;
    was = found;
  }
}

function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function ensure(holds: boolean, message: string): void {
  if (!holds) throw new Error(message);
}

const torture = new Torture(workerData as TortureOrders);
parentPort?.postMessage('started');
parentPort?.postMessage(torture.run());
