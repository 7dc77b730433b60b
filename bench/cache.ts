/**
 * Compares SharedLru with lru-cache, both used the way a proxy uses a cache. What is measured, on a single thread:
 *
 * - Reads are Zipf-distributed (exponent 1), the popular keys anywhere among those held; all hit. Either side has the
 *   same keys, values and reads, and a time to live that every read checks. No byte budget is set for lru-cache.
 * - *key in hand*: the key is there in the form the cache takes it. For lru-cache that is the string object that is in
 *   the cache, hashed already and equal by identity, which a key off a socket never is. *Key from bytes*: the key lies
 *   in a larger buffer; lru-cache needs a string of it, SharedLru a view. *Bytes to bytes*: the value is written to a
 *   buffer to be sent, too. SharedLru always copies the value out of shared memory, as another thread may evict it;
 *   lru-cache hands out a reference.
 * - *set*: a new key, the least recently used one being evicted. SharedLru has no set: it is a lookup that misses, and
 *   the fill of its lease. *Miss and set*: the same of both. The value is part of a larger buffer, so lru-cache gets a
 *   copy.
 * - *resident*: what the process takes more than before, when the cache has just been filled, and when as many new keys
 *   have come in since, between reads, as it holds.
 * - *full collection*: a forced garbage collection with the cache full. *Under load*: the longest collection, and the
 *   longest time between two operations, when every other is a Zipf read of twice as many keys as are held and the rest
 *   are of new keys.
 *
 * Every round of every case has a process of its own; the two sides take turns.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism, cpus, freemem } from 'node:os';
import { parseArgs } from 'node:util';
import type { Case, Space, Speed } from './cache/case.ts';
import { CONTESTANTS, type ContestantName } from './cache/contestants.ts';
import { type Comparison, type Measures, shapeTitle, table } from './cache/report.ts';
import { LEAST_KEY_BYTES, type Shape } from './cache/workload.ts';

const USAGE = `npm run bench:cache -- [options]
  --entries 10000,1000000   entries held
  --values 100,4096         bytes of each value
  --key 20                  bytes of each key, ${LEAST_KEY_BYTES} at least
  --rounds 5
  --operations 200000       reads of each measure; sets are half as many
  --quick                   a few seconds: few entries, rounds and operations
  --json                    every single result instead of the table`;

/** Bytes that an entry may take beside key and value, roughly and with room. */
const OVERHEAD_BYTES = 1000;

interface Plan {
  readonly shapes: readonly Shape[];
  readonly rounds: number;
  readonly operations: number;
  readonly json: boolean;
}

/** What the command line asks for; undefined when that is help. */
function readPlan(): Plan | undefined {
  const { values } = parseArgs({
    options: {
      entries: { type: 'string' },
      values: { type: 'string' },
      key: { type: 'string', default: String(LEAST_KEY_BYTES) },
      rounds: { type: 'string' },
      operations: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const { quick, json } = values;
  const entries = numbers(values.entries ?? (quick ? '10000' : '10000,1000000'));
  const sizes = numbers(values.values ?? (quick ? '100' : '100,4096'));
  const [keyBytes] = numbers(values.key, LEAST_KEY_BYTES);
  const [rounds] = numbers(values.rounds ?? (quick ? '2' : '5'));
  const [operations] = numbers(values.operations ?? (quick ? '100000' : '200000'));
  const shapes = entries.flatMap((count) => sizes.map((valueBytes) => ({ entries: count, keyBytes, valueBytes })));
  return { shapes, rounds, operations, json };
}

function numbers(list: string, least = 1): number[] {
  return list.split(',').map((text) => {
    const number = Number(text);
    if (!Number.isSafeInteger(number) || number < least) throw new Error(`${text}: a whole number from ${least} on`);
    return number;
  });
}

async function compare(shape: Shape, { rounds, operations }: Plan): Promise<Comparison> {
  const results: Record<ContestantName, Measures[]> = { SharedLru: [], 'lru-cache': [] };
  for (let round = 1; round <= rounds; round++) {
    for (const name of CONTESTANTS) {
      process.stderr.write(`${shapeTitle(shape)}, round ${round} of ${rounds}: ${name}\n`);
      const run = (kind: Case['kind']): Promise<unknown> => runCase({ kind, name, shape, operations });
      const speed = (await run('speed')) as Speed;
      results[name].push({ ...speed, ...((await run('space')) as Space) });
    }
  }
  return { shape, rounds: results };
}

async function runCase(orders: Case): Promise<unknown> {
  const child = fork(new URL('cache/case.ts', import.meta.url), { execArgv: ['--expose-gc'] });
  child.send(orders);
  const ended = once(child, 'exit').then(([status, signal]: unknown[]) => {
    throw new Error(`${orders.name} ended with ${String(status ?? signal)} before it was measured`);
  });
  const [measures] = (await Promise.race([once(child, 'message'), ended])) as unknown[];
  child.disconnect();
  await ended.catch(() => undefined);
  return measures;
}

function fits({ entries, keyBytes, valueBytes }: Shape): boolean {
  return entries * (keyBytes + valueBytes + OVERHEAD_BYTES) < freemem();
}

async function main(plan: Plan): Promise<void> {
  const comparisons: Comparison[] = [];
  for (const shape of plan.shapes) {
    if (fits(shape)) comparisons.push(await compare(shape, plan));
    else console.error(`${shapeTitle(shape)}: left out, there is too little free memory; --entries takes fewer`);
  }
  if (plan.json) {
    console.log(JSON.stringify(comparisons, null, 2));
    return;
  }
  console.log(table(comparisons));
  console.log(
    `\nNode.js ${process.versions.node}, ${cpus()[0].model}, ${availableParallelism()} cores; ` +
      `medians of ${plan.rounds} rounds (least–most), keys of ${plan.shapes[0].keyBytes} B`,
  );
}

const plan = readPlan();
if (plan === undefined) console.log(USAGE);
else await main(plan);
