/**
 * Compares SharedLru with lru-cache, both used as a proxy uses a cache, on a single thread:
 *
 * - Reads are Zipf-distributed (exponent 1) over cached keys; popular keys are spread over the cache, and all reads hit.
 *   Both caches get the same keys, values and reads, and a TTL that every read checks. lru-cache has no byte limit.
 * - *key in hand*: the key already has the form that the cache needs. For lru-cache this is the string object stored in
 *   the cache, already hashed and equal by identity, which a key received from a socket never is. *Key from bytes*: the
 *   key is part of a larger buffer; lru-cache needs a string of it, SharedLru a view. *Bytes to bytes*: additionally, the
 *   value is written to an output buffer. SharedLru always copies the value out of shared memory, as another thread may
 *   evict it; lru-cache returns a reference.
 * - *set*: stores a new key, which evicts the least recently used one. SharedLru has no set: this is a lookup that misses,
 *   and the commit of its lease. *Miss and set*: the same operations for both. The value is part of a larger buffer, so
 *   lru-cache needs a copy.
 * - *resident*: growth of resident memory after filling the cache, and after as many new keys, between reads, as it has
 *   entries.
 * - *full collection*: a forced garbage collection with a full cache. *Under load*: the longest garbage collection and the
 *   longest time between two operations, while every other operation is a Zipf read of twice as many keys as are cached
 *   and the others read new keys.
 *
 * Every round of every case runs in a process of its own; the two caches alternate.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism, cpus, freemem } from 'node:os';
import { parseArgs } from 'node:util';
import type { Case, Space, Speed } from './cache/case.ts';
import { CONTESTANTS, type ContestantName } from './cache/contestants.ts';
import { type Comparison, type Measures, shapeTitle, table } from './cache/report.ts';
import { MIN_KEY_BYTES, type Shape } from './cache/workload.ts';

const USAGE = `npm run bench:cache -- [options]
  --entries 10000,1000000   cached entries
  --values 100,4096         bytes of each value
  --key 20                  bytes of each key, at least ${MIN_KEY_BYTES}
  --rounds 5
  --operations 200000       reads of each measure; sets are half as many
  --quick                   takes a few seconds: few entries, rounds and operations
  --json                    prints all results instead of the table`;

/** Generous estimate of the memory of an entry beside its key and value. */
const OVERHEAD_BYTES = 1000;

interface Plan {
  readonly shapes: readonly Shape[];
  readonly rounds: number;
  readonly operations: number;
  readonly json: boolean;
}

/** Parses the command line; returns undefined for --help. */
function readPlan(): Plan | undefined {
  const { values } = parseArgs({
    options: {
      entries: { type: 'string' },
      values: { type: 'string' },
      key: { type: 'string', default: String(MIN_KEY_BYTES) },
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
  const [keyBytes] = numbers(values.key, MIN_KEY_BYTES);
  const [rounds] = numbers(values.rounds ?? (quick ? '2' : '5'));
  const [operations] = numbers(values.operations ?? (quick ? '100000' : '200000'));
  const shapes = entries.flatMap((count) => sizes.map((valueBytes) => ({ entries: count, keyBytes, valueBytes })));
  return { shapes, rounds, operations, json };
}

function numbers(list: string, min = 1): number[] {
  return list.split(',').map((text) => {
    const number = Number(text);
    if (!Number.isSafeInteger(number) || number < min)
      throw new Error(`${text}: expected an integer of at least ${min}`);
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

async function runCase(testCase: Case): Promise<unknown> {
  const child = fork(new URL('cache/case.ts', import.meta.url), { execArgv: ['--expose-gc'] });
  child.send(testCase);
  const ended = once(child, 'exit').then(([status, signal]: unknown[]) => {
    throw new Error(`${testCase.name} exited with ${String(status ?? signal)} before it was measured`);
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
    else console.error(`${shapeTitle(shape)}: skipped, not enough free memory; use fewer --entries`);
  }
  if (plan.json) {
    console.log(JSON.stringify(comparisons, null, 2));
    return;
  }
  console.log(table(comparisons));
  console.log(
    `\nNode.js ${process.versions.node}, ${cpus()[0].model}, ${availableParallelism()} cores; ` +
      `medians of ${plan.rounds} rounds (minimum–maximum), keys of ${plan.shapes[0].keyBytes} B`,
  );
}

const plan = readPlan();
if (plan === undefined) console.log(USAGE);
else await main(plan);
