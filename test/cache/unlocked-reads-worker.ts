/** One thread of the torture of reads without the lock: a reader, or one that changes the cache as fast as it can. */
import { parentPort, workerData } from 'node:worker_threads';
import { monotonicClock } from '../../src/cache/shared-lru/clock.ts';
import type { Etag } from '../../src/cache/shared-lru/etag.ts';
import { HitBuffer } from '../../src/cache/shared-lru/hit-buffer.ts';
import { LruMemory, RING_WORDS, Ring } from '../../src/cache/shared-lru/memory/layout.ts';
import { SharedLru } from '../../src/cache/shared-lru/shared-lru.ts';
import { seeded } from '../support/random.ts';
import { Query } from '../../src/redis/query.ts';

export interface UnlockedReadsTask {
  readonly role: 'read' | 'read objects' | 'change';
  readonly buffer: SharedArrayBuffer;
  readonly thread: number;
  readonly seed: number;
  readonly keys: readonly Uint8Array[];
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
const keys = task.keys.map((key) => Buffer.from(key));
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
function firstWord(key: number, generation: number, size: number): number {
  return Math.imul(key + 1, 0x9e3779b1) ^ Math.imul(generation, 0x85ebca6b) ^ Math.imul(size, 0xc2b2ae35);
}

function check(key: number, bytes: Buffer, length: number, [ofKey, generation, size]: Etag, atLeast: number): void {
  if (ofKey !== key) throw new Error(`key ${key} returned the value of key ${ofKey}`);
  if (size !== length) throw new Error(`key ${key}: ${length} bytes of a value of ${size}`);
  if (generation < atLeast) throw new Error(`key ${key}: generation ${generation} after the removal of ${atLeast - 1}`);
  let word = firstWord(key, generation, size);
  for (let at = 0; at + 4 <= length; at += 4, word = (word + 0x01000193) | 0) {
    if (bytes.readInt32LE(at) !== word) {
      throw new Error(`key ${key}, generation ${generation}: another value at ${at} of ${length} bytes`);
    }
  }
}

function value(key: number, generation: number, size: number): Buffer {
  let word = firstWord(key, generation, size);
  for (let at = 0; at < size; at += 4, word = (word + 0x01000193) | 0) written.writeInt32LE(word, at);
  return written.subarray(0, size);
}

function read(): void {
  const key = below(keys.length);
  const atLeast = Atomics.load(removed, key);
  if (!lru.tryGetInto(keys[key], 0, keys[key].length, hit)) return;
  if (hit.ageMs >= hit.lifetimeMs) throw new Error(`key ${key}: ${hit.ageMs} ms old, expired after ${hit.lifetimeMs}`);
  check(key, hit.bytes, hit.length, hit.etag, atLeast);
  hits++;
}

function readObjects(): void {
  const key = below(keys.length);
  const atLeast = Atomics.load(removed, key);
  const found = lru.peek(Query.get(keys[key]));
  if (found?.kind !== 'hit') return;
  check(key, found.value, found.value.length, found.etag, atLeast);
  hits++;
}

function change(): void {
  changes++;
  const dice = below(1000);
  if (dice < 40) remove([below(keys.length)], (key) => lru.purge(keys[key]));
  else if (dice < 43) remove([...keys.keys()], () => lru.flush());
  else if (dice < 46) remove([...keys.keys()], () => lru.expireAll());
  else load(below(keys.length));
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

function load(key: number): void {
  const found = lru.lookup(Query.get(keys[key]));
  if (found.kind !== 'miss') return;
  const generation = Atomics.load(stored, key);
  const size = task.sizes[below(task.sizes.length)];
  const lifetimeMs = below(4) === 0 ? 0.05 : 1000;
  lru.commit(found.lease, value(key, generation, size), [key, generation, size], lifetimeMs);
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
