/**
 * Measures one cache with several threads: reads per second, CPU time per read and the share of the time for which the lock is
 * held, with 1 and 2 threads and several shares of misses, and models more threads from that. `npm run bench:threads`
 */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { limitsFor } from './cache-limits.ts';
import { type Build, loadBuild } from './threads/build.ts';
import { measureHttp } from './threads/http.ts';
import { modelledRate } from './threads/model.ts';
import { KEY_BYTES, type ReaderReport, type ReaderTask, VALUE, keyInto } from './threads/reader.ts';

const USAGE = `npm run bench:threads -- [options]
  --against <folder>   an older checkout, measured in the same run
  --entries 100000     cached entries
  --rounds 5           the best of so many rounds counts
  --ms 500             duration of each measurement
  --no-http            omits the requests over HTTP`;

const THREADS = [1, 2];
const MISSES = [0, 0.1, 0.5];
const MODELLED_THREADS = [4, 8, 16, 32, 64];
const MAX_THREADS = Math.max(...MODELLED_THREADS);
const FILLING_THREAD = 1000;

interface Options {
  readonly entries: number;
  readonly rounds: number;
  readonly runMs: number;
  readonly http: boolean;
}

interface Contestant {
  readonly name: string;
  readonly root: string;
  readonly build: Build;
  readonly buffer: SharedArrayBuffer;
}

/** The best of all rounds, of one contestant with one share of misses and one number of threads. */
interface Best {
  /** Operations per second. */
  rate: number;
  cpuNs: number;
  /** Share of the operations that missed. */
  missed: number;
  /** Nanoseconds per operation for which the lock is held. */
  heldNs: number;
}

let nextNew = 1e9;
let nextThread = FILLING_THREAD + 1;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      against: { type: 'string' },
      entries: { type: 'string', default: '100000' },
      rounds: { type: 'string', default: '5' },
      ms: { type: 'string', default: '500' },
      http: { type: 'boolean', default: true },
      help: { type: 'boolean', default: false },
    },
    allowNegative: true,
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const options = {
    entries: Number(values.entries),
    rounds: Number(values.rounds),
    runMs: Number(values.ms),
    http: values.http,
  };
  const roots: [string, string][] = [['', new URL('../', import.meta.url).href]];
  if (values.against !== undefined) roots.unshift(['before', pathToFileURL(`${values.against}/`).href]);
  const contestants = await Promise.all(roots.map(([name, root]) => contestant(name, root, options)));
  const results = await measure(contestants, options);
  report(contestants, results, options);
  if (options.http) await measureHttp();
}

async function contestant(name: string, root: string, { entries }: Options): Promise<Contestant> {
  const build = await loadBuild(root);
  const limits = { ...limitsFor(entries), maxThreads: MAX_THREADS };
  return { name, root, build, buffer: build.SharedLru.create(limits, FILLING_THREAD, build.monotonicClock()).buffer };
}

/** Alternates between all cases, so that other load on the machine affects all of them. */
async function measure(contestants: readonly Contestant[], options: Options): Promise<Map<string, Best>> {
  const results = new Map<string, Best>();
  for (let round = 1; round <= options.rounds; round++) {
    for (const misses of MISSES) {
      for (const threads of THREADS) {
        for (const each of contestants) {
          process.stderr.write(
            `\rround ${round} of ${options.rounds}: ${title(misses)}, ${threads} thread(s) ${each.name}\x1b[K`,
          );
          await measureOnce(each, misses, threads, options, bestOf(results, each, misses, threads));
        }
      }
    }
  }
  process.stderr.write('\r\x1b[K');
  return results;
}

async function measureOnce(
  each: Contestant,
  misses: number,
  threads: number,
  options: Options,
  best: Best,
): Promise<void> {
  fill(each, options.entries);
  const reports = await run(each, misses, threads, options, false);
  const operations = total(reports, 'operations');
  best.rate = Math.max(best.rate, (operations * 1000) / Math.max(...reports.map(({ wallMs }) => wallMs)));
  best.cpuNs = Math.min(best.cpuNs, (total(reports, 'cpuMs') * 1e6) / operations);
  best.missed = total(reports, 'missed') / operations;
  fill(each, options.entries);
  const timed = await run(each, misses, threads, options, true);
  best.heldNs = Math.min(best.heldNs, (total(timed, 'heldMs') * 1e6) / total(timed, 'operations'));
}

function total(reports: readonly ReaderReport[], name: keyof ReaderReport): number {
  return reports.reduce((sum, report) => sum + report[name], 0);
}

async function run(
  { root, buffer, build }: Contestant,
  misses: number,
  threads: number,
  { entries, runMs }: Options,
  timesLock: boolean,
): Promise<ReaderReport[]> {
  const start = new SharedArrayBuffer(8);
  const words = new Int32Array(start);
  const tasks = Array.from({ length: threads }, (): ReaderTask => {
    const task = { root, buffer, entries, misses, runMs, timesLock, start, thread: nextThread++, firstNew: nextNew };
    nextNew += 1e8;
    return task;
  });
  const reports = tasks.map(async (workerData) => {
    const worker = new Worker(new URL('threads/reader.ts', import.meta.url), { workerData });
    const exited = once(worker, 'exit');
    const [report] = (await once(worker, 'message')) as [ReaderReport];
    await exited;
    return report;
  });
  for (let ready = 0; ready < threads; ready = Atomics.load(words, 0)) {
    const wait = Atomics.waitAsync(words, 0, ready, 100);
    if (wait.async) await wait.value;
  }
  Atomics.store(words, 1, 1);
  Atomics.notify(words, 1);
  const ended = await Promise.all(reports);
  // As the supervisor does, so that the next threads can take what these had.
  const lru = build.SharedLru.attach(buffer, FILLING_THREAD, build.monotonicClock());
  for (const { thread } of tasks) lru.recoverFrom(thread);
  return ended;
}

/** Loads the keys that are not cached. */
function fill({ build, buffer }: Contestant, entries: number): void {
  const lru = build.SharedLru.attach(buffer, FILLING_THREAD, build.monotonicClock());
  const key = Buffer.alloc(KEY_BYTES);
  for (let i = 0; i < entries; i++) {
    const found = lru.lookup(build.entryOf(keyInto(key, i)));
    if (found.kind === 'miss') lru.commit(found.lease, VALUE, [1, 2, 3], 3_600_000);
  }
}

function report(
  contestants: readonly Contestant[],
  results: Map<string, Best>,
  { entries, rounds, runMs }: Options,
): void {
  console.log(
    `The cache alone: ${entries.toLocaleString('en')} entries of ${VALUE.length} bytes, Zipf reads and new keys, a full cache; ` +
      `${availableParallelism()} cores, Node.js ${process.version}; the best of ${rounds} rounds of ${runMs} ms.\n`,
  );
  console.log('| reads | threads | reads/s | of one thread | CPU time per read | lock held per read | lock held |');
  console.log(`|${' --- |'.repeat(7)}`);
  for (const misses of MISSES) {
    for (const each of contestants) {
      const one = bestOf(results, each, misses, 1).rate;
      for (const threads of THREADS) {
        const { rate, cpuNs, missed, heldNs } = bestOf(results, each, misses, threads);
        const name = [title(misses) + (missed > 0 ? ` (${percent(missed)} missed)` : ''), each.name]
          .filter(Boolean)
          .join(', ');
        const columns = [name, threads, millions(rate), `${(rate / one).toFixed(2)}×`, `${cpuNs.toFixed(0)} ns`];
        console.log(`| ${[...columns, `${heldNs.toFixed(0)} ns`, percent((rate * heldNs) / 1e9)].join(' | ')} |`);
      }
    }
  }
  console.log(
    '\nModel, each thread on a core of its own; without effects of the memory that these measurements do not show:\n',
  );
  console.log(`| reads/s | ${MODELLED_THREADS.map((threads) => `${threads} threads`).join(' | ')} |`);
  console.log(`|${' --- |'.repeat(MODELLED_THREADS.length + 1)}`);
  for (const misses of MISSES) {
    for (const each of contestants) {
      const { cpuNs } = bestOf(results, each, misses, 1);
      const { heldNs } = bestOf(results, each, misses, 2);
      const rates = MODELLED_THREADS.map((threads) => modelledRate(threads, heldNs, Math.max(0, cpuNs - heldNs)));
      console.log(`| ${[title(misses), each.name].filter(Boolean).join(', ')} | ${rates.map(millions).join(' | ')} |`);
    }
  }
  console.log();
}

function bestOf(results: Map<string, Best>, { name }: Contestant, misses: number, threads: number): Best {
  const key = `${name} ${misses} ${threads}`;
  const found = results.get(key) ?? { rate: 0, cpuNs: Infinity, missed: 0, heldNs: Infinity };
  results.set(key, found);
  return found;
}

function title(misses: number): string {
  return misses === 0 ? 'hits only' : `${percent(misses)} new keys`;
}

function millions(rate: number): string {
  return `${(rate / 1e6).toFixed(2)} M`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

await main();
