/**
 * Measures purges by prefix and by pattern of a million entries, while another thread reads them: the CPU time, and the longest
 * step, for which other work of the purging thread waits, and the longest read of the other thread. All rounds make the same
 * steps, and the shortest time of each step counts, so that other processes hardly matter.
 * `npm run bench:purge-matching`
 */
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { type SelectedKeys, keysMatching, keysWithPrefix } from '../src/access/key-selection.ts';
import { monotonicClock } from '../src/cache/shared-lru/clock.ts';
import { SharedLru } from '../src/cache/shared-lru/shared-lru.ts';
import { Query } from '../src/redis/query.ts';
import { limitsFor } from './cache-limits.ts';
import { type HitsTask, keyOf } from './purge/hits.ts';
import { spread } from './spread.ts';

const ENTRIES = 1_000_000;
const VALUE = Buffer.alloc(100, 'v');
const LIFETIME_MS = 3_600_000;
const ROUNDS = 15;
const BUSY_MS = 200;

interface Result {
  readonly purged: number;
  /** Milliseconds of CPU time of all steps, and of wall time of each. */
  readonly cpuMs: number;
  readonly steps: readonly number[];
  /** Milliseconds of the longest read of the other thread in the meantime. */
  readonly longestReadMs: number;
}

const lru = SharedLru.create({ ...limitsFor(ENTRIES), maxThreads: 1 }, 100, monotonicClock());

const CASES: readonly (readonly [name: string, selection: string | SelectedKeys | undefined])[] = [
  ['no purge, the thread is busy otherwise', undefined],
  ['prefix of no key', keysWithPrefix(Buffer.from('none:'))],
  ['pattern of no key, `*:*9x`', keysMatching(Buffer.from('*:*9x'))],
  ['prefix of half the keys', keysWithPrefix(Buffer.from('a:'))],
  ['pattern of all keys, `[ab]:*`', keysMatching(Buffer.from('[ab]:*'))],
];

console.log(`${cpus().length} cores, Node.js ${process.version}; medians of ${ROUNDS} rounds (minimum–maximum).\n`);
console.log(
  '| purge of 1,000,000 entries | entries ended | CPU time, ms | steps | longest step, ms | longest read, ms |',
);
console.log(`|${' --- |'.repeat(6)}`);
for (const [name, selection] of CASES) {
  if (typeof selection === 'string') throw new Error(`${name}: ${selection}`);
  const rounds: Result[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    fill();
    rounds.push(await whileRead(() => (selection === undefined ? beBusy() : purge(selection))));
  }
  const [{ purged, steps }] = rounds;
  const cpu = spread(
    rounds.map(({ cpuMs }) => cpuMs),
    0,
  );
  const longest = longestStep(rounds.map((round) => round.steps));
  const longestRead = spread(
    rounds.map(({ longestReadMs }) => longestReadMs),
    2,
  );
  console.log(
    `| ${name} | ${purged.toLocaleString('en')} | ${cpu} | ${steps.length.toLocaleString('en')} | ${longest.toFixed(2)} | ${longestRead} |`,
  );
}

/** Returns the longest step, of the shortest times of each step in all rounds. */
function longestStep(rounds: readonly (readonly number[])[]): number {
  return Math.max(0, ...rounds[0].map((_, step) => Math.min(...rounds.map((steps) => steps[step] ?? Infinity))));
}

function fill(): void {
  for (let i = 0; i < ENTRIES; i++) {
    const found = lru.lookup(Query.get(Buffer.from(keyOf(i))));
    if (found.kind === 'miss') lru.commit(found.lease, VALUE, [1, 2, 3], LIFETIME_MS);
  }
}

async function whileRead(run: () => Promise<Omit<Result, 'longestReadMs'>>): Promise<Result> {
  const over = new SharedArrayBuffer(4);
  const workerData: HitsTask = { buffer: lru.buffer, thread: 1, entries: ENTRIES, over };
  const worker = new Worker(new URL('./purge/hits.ts', import.meta.url), { workerData });
  const exited = once(worker, 'exit');
  await once(worker, 'message');
  const result = await run();
  const reported = once(worker, 'message');
  Atomics.store(new Int32Array(over), 0, 1);
  const [longestReadMs] = (await reported) as [number];
  await exited;
  lru.recoverFrom(1);
  return { ...result, longestReadMs };
}

/** Occupies this thread for about as long as a purge does, so that its effect on the other one can be told from that of the system. */
async function beBusy(): Promise<Omit<Result, 'longestReadMs'>> {
  const end = performance.now() + BUSY_MS;
  while (performance.now() < end) await setImmediate();
  return { purged: 0, cpuMs: 0, steps: [] };
}

async function purge(selection: SelectedKeys): Promise<Omit<Result, 'longestReadMs'>> {
  const steps: number[] = [];
  const purging = lru.purgeMatching(selection);
  // The system counts CPU time in ticks of milliseconds, too coarse for a step.
  const cpuBefore = process.threadCpuUsage();
  for (let isDone = false; !isDone;) {
    const before = performance.now();
    isDone = purging.step();
    steps.push(performance.now() - before);
    await setImmediate();
  }
  const { user, system } = process.threadCpuUsage(cpuBefore);
  return { purged: purging.purged, cpuMs: (user + system) / 1000, steps };
}
