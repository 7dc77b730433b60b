/** A worker of the benchmark: reads random fields of the hash until the main thread stops it, and stores those that are not cached. */
import { Buffer } from 'node:buffer';
import { workerData } from 'node:worker_threads';
import { monotonicClock } from '../../src/cache/shared-lru/clock.ts';
import { HitBuffer } from '../../src/cache/shared-lru/hit-buffer.ts';
import { SharedLru } from '../../src/cache/shared-lru/shared-lru.ts';
import { Query } from '../../src/redis/query.ts';

export const VALUE = Buffer.alloc(100, 'v');
export const LIFETIME_MS = 3_600_000;
/** Reads between two looks at whether to stop. */
const BATCH = 100;

export interface ReaderTask {
  readonly buffer: SharedArrayBuffer;
  readonly thread: number;
  /** Key of the hash. */
  readonly key: string;
  readonly fields: number;
  /** One word, not 0 once all readers must stop. */
  readonly over: SharedArrayBuffer;
  /** A word for each thread: its reads so far. */
  readonly reads: SharedArrayBuffer;
}

/** Returns the name of a field, which has 12 bytes. */
export function fieldOf(field: number): string {
  return `field:${String(field).padStart(6, '0')}`;
}

/** Returns the query of a field of a hash. */
export function hget(key: string, field: number): Query {
  return Query.of(Buffer.from(key), [Buffer.from('HGET'), Buffer.from(fieldOf(field))]);
}

/** Reads a query, and stores a value if none is cached. */
export function readOrStore(lru: SharedLru, query: Query, hit: HitBuffer): void {
  if (lru.tryGetInto(query.id, 0, query.id.length, hit, query.selectorLength)) return;
  const found = lru.lookup(query);
  if (found.kind === 'miss') lru.commit(found.lease, VALUE, [1, 2, 3], LIFETIME_MS);
}

function run({ buffer, thread, key, fields, over, reads }: ReaderTask): void {
  const lru = SharedLru.attach(buffer, thread, monotonicClock());
  const hit = new HitBuffer();
  const queries = Array.from({ length: fields }, (_, field) => hget(key, field));
  const count = new Int32Array(reads);
  while (Atomics.load(new Int32Array(over), 0) === 0) {
    for (let i = 0; i < BATCH; i++) readOrStore(lru, queries[Math.floor(Math.random() * fields)], hit);
    Atomics.add(count, thread, BATCH);
  }
}

const task = workerData as ReaderTask | undefined;
if (task?.buffer !== undefined) run(task);
