import { isDeepStrictEqual } from 'node:util';
import type { Running } from './contestant.ts';
import { get, getAll } from './get.ts';
import { requestFor } from './http-connection.ts';
import type { Load } from './load.ts';
import { openLoop } from './open-loop.ts';
import { redisBenchmark, type Reads } from './redis-benchmark.ts';
import { checkValues } from './redis-values.ts';
import { type Size, fieldsOf, keyName, valueOf } from './store.ts';
import type { Workbench } from './workbench.ts';
import { wrk, wrkOfKeys } from './wrk.ts';

const WARM_UP_S = 2;
const SAMPLE_KEYS = 500;
const CALIBRATING_REQUESTS = 50_000;

/** Loads a contestant for a number of seconds. */
export type Run = (seconds: number) => Promise<Load>;
/** Checks the responses of a contestant, warms it up, and returns a function that loads it. */
export type Workload = (running: Running, bench: Workbench) => Promise<Run>;

/** Reads one key repeatedly, which costs wrk the least. */
export function oneKey(size: Size): Workload {
  return async (running, bench) => {
    const path = await checkedPath(running, size);
    const run: Run = (seconds) => wrk(bench, running, path, seconds);
    await run(WARM_UP_S);
    return run;
  };
}

/** A workload of keys with values of 100 B. */
export interface ManyKeys {
  readonly keys: number;
  /** Returns the order in which the keys are read. */
  readonly draws: () => Uint32Array;
  /** Number of keys read once before, from the last to the first, so that low numbers stay cached; 0: only samples. */
  readonly fill: number;
}

export function manyKeys({ keys, draws, fill }: ManyKeys): Workload {
  return async ({ port, prefix, suffix }, bench) => {
    const step = fill > 0 ? 1 : Math.ceil(keys / SAMPLE_KEYS);
    const numbers = Array.from({ length: Math.ceil((fill || keys) / step) }, (_, i) => i * step).reverse();
    const paths = numbers.map((number) => `${prefix}${keyName('small', number)}${suffix}`);
    await getAll(port, paths, (index, body) => check(paths[index], body, valueOf('small', numbers[index])));
    const order = draws();
    const drawsFile = bench.file(`draws-${port}`, new Uint8Array(order.buffer));
    let first = 0;
    const run: Run = async (seconds) => {
      const load = await wrkOfKeys(bench, port, { prefix, suffix, keys, drawsFile, first }, seconds);
      first = (first + load.requests) % order.length;
      return load;
    };
    await run(WARM_UP_S);
    return run;
  };
}

/** Reads one key of 100 B at a fixed rate in requests per second. */
export function fixedRate(rate: number): Workload {
  return async (running, bench) => {
    const path = await checkedPath(running, 'small');
    await wrk(bench, running, path, WARM_UP_S);
    const bodyBytes = valueOf('small', 0).length;
    return (seconds) => openLoop(running.port, { rate, seconds, request: requestFor(path), bodyBytes });
  };
}

/** Reads one hash of 20 fields repeatedly, as JSON. */
export function oneHash(): Workload {
  return async ({ port, hashPrefix }, bench) => {
    if (hashPrefix === undefined) throw new Error('it serves no hashes');
    const path = `${hashPrefix}${keyName('hash', 0)}`;
    const body = JSON.parse(String(await get(port, path))) as Record<string, unknown>;
    // webdis returns the reply under the name of the command.
    if (!isDeepStrictEqual(body.HGETALL ?? body, fieldsOf(0)))
      throw new Error(`GET ${path}: not the fields of the hash`);
    const run: Run = (seconds) => wrk(bench, { port }, path, seconds);
    await run(WARM_UP_S);
    return run;
  };
}

/** Reads values or hashes over the Redis protocol, all equally often. */
export function reads(plan: Reads): Workload {
  return async ({ port }, bench) => {
    await checkValues(port, plan.of, plan.keys);
    const first = await redisBenchmark(bench, port, plan, CALIBRATING_REQUESTS);
    let rate = first.requests / first.seconds;
    const run: Run = async (seconds) => {
      // redis-benchmark expects a number of requests instead of a duration.
      const load = await redisBenchmark(bench, port, plan, Math.ceil(rate * seconds));
      rate = load.requests / load.seconds;
      return load;
    };
    await run(WARM_UP_S);
    return run;
  };
}

async function checkedPath({ port, isSecure, prefix, suffix }: Running, size: Size): Promise<string> {
  const path = `${prefix}${keyName(size, 0)}${suffix}`;
  check(path, await get(port, path, isSecure), valueOf(size, 0));
  return path;
}

function check(path: string, body: Buffer, value: string): void {
  if (body.toString('latin1') !== value) throw new Error(`GET ${path}: not the value of the key, ${body.length} B`);
}
