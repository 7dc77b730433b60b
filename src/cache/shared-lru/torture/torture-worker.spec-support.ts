/** One thread of the torture test; runs with stripped types until its time has elapsed. */
import { parentPort, workerData } from 'node:worker_threads';
import { monotonicClock } from '../clock.ts';
import type { Etag } from '../etag.ts';
import { type CachedValue, type EntryId, type FillResult, LOAD_RESULTS, type Lease } from '../cache-types.ts';
import { SharedLru } from '../shared-lru.ts';
import { mulberry32 } from '../../../../test/support/random.ts';

export interface TortureOrders {
  readonly buffer: SharedArrayBuffer;
  /** Lock owner id of this thread, and the seed of its actions. */
  readonly thread: number;
  readonly keys: readonly Uint8Array[];
  /** The queries that are read, each with the index of its key; an empty selector is that of GET. */
  readonly queries: readonly { readonly key: number; readonly selector: Uint8Array }[];
  /** Random bytes; every value is a part of them. */
  readonly noise: SharedArrayBuffer;
  readonly largestValue: number;
  /** Generation of each key in the backing store. */
  readonly stored: SharedArrayBuffer;
  /** Minimum generation of each key in the cache: the purge of the one before has returned. */
  readonly purged: SharedArrayBuffer;
  /** Minimum milliseconds to run; Infinity for a thread that will be killed. */
  readonly runMs: number;
}

export interface TortureReport {
  readonly lookups: number;
  readonly hits: number;
  readonly largeHits: number;
  readonly voided: number;
  readonly stale: number;
  /** Maximum number of entries that one purge of a key ended. */
  readonly mostPurged: number;
}

const LARGE = 16 * 1024;
const OPERATIONS_BETWEEN_LOOKS = 256;
/** Minimum number of looks: a thread that could not run for long must reach the events of the test as well. */
const MIN_LOOKS = 500;

class Torture {
  readonly #orders: TortureOrders;
  readonly #lru: SharedLru;
  readonly #noise: Uint8Array;
  readonly #stored: Int32Array;
  readonly #purged: Int32Array;
  readonly #random: () => number;
  readonly #ids: readonly EntryId[];
  readonly #late: { readonly query: number; readonly generation: number; readonly lease: Lease }[] = [];
  #lookups = 0;
  #hits = 0;
  #largeHits = 0;
  #voided = 0;
  #stale = 0;
  #mostPurged = 0;

  constructor(orders: TortureOrders) {
    this.#orders = orders;
    this.#lru = SharedLru.attach(orders.buffer, orders.thread, monotonicClock());
    this.#noise = new Uint8Array(orders.noise);
    this.#stored = new Int32Array(orders.stored);
    this.#purged = new Int32Array(orders.purged);
    this.#random = mulberry32(orders.thread);
    this.#ids = orders.queries.map(({ key, selector }) => ({
      id: Buffer.concat([orders.keys[key], selector]),
      selectorLength: selector.length,
    }));
  }

  run(): TortureReport {
    const until = performance.now() + this.#orders.runMs;
    for (let looks = 0; looks < MIN_LOOKS || performance.now() < until; looks++) {
      for (let i = 0; i < OPERATIONS_BETWEEN_LOOKS; i++) this.#operate();
      this.#checkLimits();
    }
    return {
      lookups: this.#lookups,
      hits: this.#hits,
      largeHits: this.#largeHits,
      voided: this.#voided,
      stale: this.#stale,
      mostPurged: this.#mostPurged,
    };
  }

  #operate(): void {
    const query = this.#anyQuery();
    const dice = this.#random();
    if (dice < 0.02) this.#write(this.#orders.queries[query].key);
    else if (dice < 0.021) this.#writeAll();
    else if (dice < 0.022) this.#writeMatching();
    else if (dice < 0.04) this.#fillLate();
    else if (dice < 0.042) this.#lru.expireAll();
    else if (dice < 0.1) this.#readStale(query);
    else this.#read(query);
  }

  #read(query: number): void {
    const atLeast = this.#purgedGeneration(query);
    this.#lookups++;
    const maxAgeMs = this.#random() < 0.1 ? this.#random() : Infinity;
    const found = this.#lru.lookup(this.#ids[query], false, maxAgeMs);
    switch (found.kind) {
      case 'hit':
        this.#check(query, found, atLeast);
        this.#hits++;
        if (found.value.length > LARGE) this.#largeHits++;
        break;
      case 'miss':
        this.#load(query, found.lease);
        break;
      case 'missing':
        this.#hits++;
        break;
      case 'loading':
      case 'unleased':
      case 'buffer-full':
        break;
      case 'refresh':
      case 'revalidating':
        throw new Error(`${found.kind}, although the limits allow none`);
    }
  }

  #readStale(query: number): void {
    const atLeast = this.#purgedGeneration(query);
    const found = this.#lru.getStale(this.#ids[query]);
    if (found === undefined) return;
    this.#check(query, found, atLeast);
    this.#stale++;
  }

  #purgedGeneration(query: number): number {
    return Atomics.load(this.#purged, this.#orders.queries[query].key);
  }

  #check(query: number, { value, etag: [ofQuery, generation, size] }: CachedValue, atLeast: number): void {
    ensure(ofQuery === query, `query ${query} returned the value of query ${ofQuery}`);
    ensure(generation >= atLeast, `query ${query}: generation ${generation} outlived the purge of ${atLeast - 1}`);
    const expected = this.#value(query, generation, size);
    ensure(Buffer.compare(value, expected) === 0, `query ${query}: bytes of another value, ${size} expected`);
  }

  #load(query: number, lease: Lease): void {
    const generation = Atomics.load(this.#stored, this.#orders.queries[query].key);
    const dice = this.#random();
    if (dice < 0.85) this.#fill(query, generation, lease);
    else if (dice < 0.9) this.#note(this.#lru.commitNegative(lease, 1));
    else if (dice < 0.93) this.#lru.abandon(lease, LOAD_RESULTS[Math.floor(this.#random() * LOAD_RESULTS.length)]);
    else if (dice < 0.98) this.#late.push({ query, generation, lease });
    // The other leases are never ended, as by a crashed thread.
  }

  #fillLate(): void {
    const load = this.#late.shift();
    if (load !== undefined) this.#fill(load.query, load.generation, load.lease);
  }

  #fill(query: number, generation: number, lease: Lease): void {
    const size = this.#size();
    const etag: Etag = [query, generation, size];
    const lifetimeMs = this.#random() < 0.5 ? 0.5 : 1000;
    this.#note(this.#lru.commit(lease, this.#value(query, generation, size), etag, lifetimeMs));
  }

  #note(result: FillResult): void {
    if (result === 'void') this.#voided++;
  }

  #write(key: number): void {
    const generation = Atomics.add(this.#stored, key, 1) + 1;
    this.#mostPurged = Math.max(this.#mostPurged, this.#lru.purge(this.#orders.keys[key]));
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
    while (!purging.step()) this.#read(this.#anyQuery());
    meant.forEach((key, i) => raise(this.#purged, key, generations[i]));
  }

  /** Chooses a query. Squared, so that all threads read a few of them most of the time. */
  #anyQuery(): number {
    return Math.floor(this.#random() ** 2 * this.#orders.queries.length);
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

  /** Returns a part of the noise at an offset that depends on query and generation. */
  #value(query: number, generation: number, size: number): Uint8Array {
    const from = (Math.imul(query * 31 + generation, 0x9e3779b1) >>> 0) % (this.#noise.length - size);
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

function ensure(holds: boolean, message: string): void {
  if (!holds) throw new Error(message);
}

const torture = new Torture(workerData as TortureOrders);
parentPort?.postMessage('started');
parentPort?.postMessage(torture.run());
