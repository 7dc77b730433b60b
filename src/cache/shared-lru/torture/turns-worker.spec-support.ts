/** A thread that reads keys in turn with other threads: each read starts when the one before has returned. */
import { parentPort, workerData } from 'node:worker_threads';
import { monotonicClock } from '../clock.ts';
import { HitBuffer } from '../hit-buffer.ts';
import { SharedLru } from '../shared-lru.ts';

export interface TurnsOrders {
  readonly buffer: SharedArrayBuffer;
  readonly thread: number;
  readonly keys: readonly Uint8Array[];
  /** Thread and key of each turn. */
  readonly turns: readonly { readonly thread: number; readonly key: number }[];
  /** One word: number of turns taken. */
  readonly taken: SharedArrayBuffer;
}

/** Looks at the word that often before it sleeps: the next read then starts within a fraction of a microsecond. */
const SPINS = 2000;

const { buffer, thread, keys, turns, taken } = workerData as TurnsOrders;
const lru = SharedLru.attach(buffer, thread, monotonicClock());
const word = new Int32Array(taken);
const hit = new HitBuffer();
for (const [turn, { thread: reader, key }] of turns.entries()) {
  if (reader !== thread) continue;
  for (let spin = 0; Atomics.load(word, 0) !== turn; spin++) {
    if (spin < SPINS) continue;
    const now = Atomics.load(word, 0);
    if (now !== turn) Atomics.wait(word, 0, now, 1);
  }
  // Both ways to hit.
  const bytes = keys[key];
  const isHit =
    turn % 3 === 0
      ? lru.lookup({ id: bytes, selectorLength: 0 }).kind === 'hit'
      : lru.tryGetInto(bytes, 0, bytes.length, hit);
  if (!isHit) throw new Error(`turn ${turn}: key ${key} is not cached`);
  Atomics.store(word, 0, turn + 1);
  Atomics.notify(word, 0);
}
parentPort?.postMessage('done');
