/** One thread of the torture of reads without the lock: a reader, or one that changes the cache as fast as it can. */
import { parentPort, workerData } from 'node:worker_threads';
import { monotonicClock } from '../../src/cache/shared-lru/clock.ts';
import type { Etag } from '../../src/cache/shared-lru/etag.ts';
import { HitBuffer } from '../../src/cache/shared-lru/hit-buffer.ts';
import { LruMemory, RING_WORDS, Ring } from '../../src/cache/shared-lru/memory/layout.ts';
import { SharedLru } from '../../src/cache/shared-lru/shared-lru.ts';
import { seeded } from '../support/random.ts';

export interface UnlockedReadsTask {
  readonly role: 'read' | 'read objects' | 'change';
  readonly buffer: SharedArrayBuffer;
  readonly thread: number;
  readonly seed: number;
  readonly keys: readonly Uint8Array[];
  /** The queries that are read, each with the index of its key; an empty selector is that of GET. */
  readonly queries: readonly { readonly key: number; readonly selector: Uint8Array }[];
  /** Bytes of values, of which one is drawn for each fill. */
  readonly sizes: readonly number[];
  /** Generation of each key in the backing store. */
  readonly stored: SharedArrayBuffer;
  /** Minimum generation of each key in the cache: whatever removed the one before has returned. */
  readonly removed: SharedArrayBuffer;
  /** One word, not 0 once all threads have to end. */
  readonly over: SharedArrayBuffer;
}

export interface UnlockedReadsReport {
  readonly hits: number;
  /** Reads that were discarded, because the entry changed while it was read. */
  readonly discarded: number;
  readonly changes: number;
}

const BATCH = 500;
const PROGRESS_MS = 1000;

const task = workerData as UnlockedReadsTask;
const { keys } = task;
const ids = task.queries.map(({ key, selector }) => ({
  id: Buffer.concat([keys[key], selector]),
  selectorLength: selector.length,
}));
const keyOf = Int32Array.from(task.queries, ({ key }) => key);
const lru = SharedLru.attach(task.buffer, task.thread, monotonicClock());
const memory = new LruMemory(task.buffer);
const stored = new Int32Array(task.stored);
const removed = new Int32Array(task.removed);
const over = new Int32Array(task.over);
const below = seeded(task.seed);
const hit = new HitBuffer();
const longest = Math.max(...task.sizes);
const written = Buffer.alloc(longest + 4);
let hits = 0;
let changes = 0;

/** First 32-bit word of a value; each further one is larger by a constant. */
function firstWord(query: number, generation: number, size: number): number {
  return Math.imul(query + 1, 0x9e3779b1) ^ Math.imul(generation, 0x85ebca6b) ^ Math.imul(size, 0xc2b2ae35);
}

function check(query: number, bytes: Buffer, length: number, [of, generation, size]: Etag, atLeast: number): void {
  if (of !== query) throw new Error(`query ${query} returned the value of query ${of}`);
  if (size !== length) throw new Error(`query ${query}: ${length} bytes of a value of ${size}`);
  if (generation < atLeast) {
    throw new Error(`query ${query}: generation ${generation} after the removal of ${atLeast - 1}`);
  }
  let word = firstWord(query, generation, size);
  for (let at = 0; at + 4 <= length; at += 4, word = (word + 0x01000193) | 0) {
    if (bytes.readInt32LE(at) !== word) {
      throw new Error(`query ${query}, generation ${generation}: another value at ${at} of ${length} bytes`);
    }
  }
}

function value(query: number, generation: number, size: number): Buffer {
  let word = firstWord(query, generation, size);
  for (let at = 0; at < size; at += 4, word = (word + 0x01000193) | 0) written.writeInt32LE(word, at);
  return written.subarray(0, size);
}

function read(): void {
  const query = below(ids.length);
  const atLeast = Atomics.load(removed, keyOf[query]);
  const { id, selectorLength } = ids[query];
  if (!lru.tryGetInto(id, 0, id.length, hit, selectorLength)) return;
  if (hit.ageMs >= hit.lifetimeMs) {
    throw new Error(`query ${query}: ${hit.ageMs} ms old, expired after ${hit.lifetimeMs}`);
  }
  check(query, hit.bytes, hit.length, hit.etag, atLeast);
  hits++;
}

function readObjects(): void {
  const query = below(ids.length);
  const atLeast = Atomics.load(removed, keyOf[query]);
  const found = lru.peek(ids[query]);
  if (found?.kind !== 'hit') return;
  check(query, found.value, found.value.length, found.etag, atLeast);
  hits++;
}

function change(): void {
  changes++;
  const dice = below(1000);
  if (dice < 40) remove([below(keys.length)], (key) => lru.purge(keys[key]));
  else if (dice < 43) remove([...keys.keys()], () => lru.flush());
  else if (dice < 46) remove([...keys.keys()], () => lru.expireAll());
  else load(below(ids.length));
}

/** Writes keys in the backing store and removes them from the cache. */
function remove(which: readonly number[], from: (key: number) => void): void {
  const generations = which.map((key) => Atomics.add(stored, key, 1) + 1);
  from(which[0]);
  for (const [i, key] of which.entries()) {
    for (let was = Atomics.load(removed, key); was < generations[i];) {
      was = Atomics.compareExchange(removed, key, was, generations[i]);
    }
  }
}

function load(query: number): void {
  const found = lru.lookup(ids[query]);
  if (found.kind !== 'miss') return;
  const generation = Atomics.load(stored, keyOf[query]);
  const size = task.sizes[below(task.sizes.length)];
  const lifetimeMs = below(4) === 0 ? 0.05 : 1000;
  lru.commit(found.lease, value(query, generation, size), [query, generation, size], lifetimeMs);
}

/** Touches of this thread that were not those of a hit. */
function discarded(): number {
  for (let at = 0; at < memory.rings.length; at += RING_WORDS) {
    if (memory.rings[at + Ring.OWNER] === task.thread) return ((memory.rings[at + Ring.HEAD] - hits) | 0) >>> 0;
  }
  return 0;
}

const once = { read, 'read objects': readObjects, change }[task.role];
let reportedAt = performance.now();
const report = (): UnlockedReadsReport => ({ hits, discarded: task.role === 'read' ? discarded() : 0, changes });
while (Atomics.load(over, 0) === 0) {
  for (let i = 0; i < BATCH; i++) once();
  if (performance.now() - reportedAt < PROGRESS_MS) continue;
  reportedAt = performance.now();
  parentPort?.postMessage(report());
}
parentPort?.postMessage(report());
