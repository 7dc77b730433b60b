import { type Load, runGenerator } from './load.ts';
import { type Size, keyName } from './store.ts';
import type { Workbench } from './workbench.ts';

const CONNECTIONS = 64;

/** Reads of all values with GET, or of all hashes with HGETALL. */
export interface Reads {
  readonly of: Size | 'hash';
  /** Number of keys, which are read equally often. */
  readonly keys: number;
  /** Pipelined commands per connection. */
  readonly pipeline: number;
}

/** Loads a server with reads of existing keys over 64 connections. */
export async function redisBenchmark(bench: Workbench, port: number, reads: Reads, requests: number): Promise<Load> {
  const { of, keys, pipeline } = reads;
  const options = { '-h': '127.0.0.1', '-p': port, '-c': CONNECTIONS, '-n': requests, '-P': pipeline, '-r': keys };
  const args = [...Object.entries(options).flat().map(String), '-e', '--csv'];
  const key = keyName(of, 0).replace(/\d+$/, '__rand_int__');
  const { output, cpuSeconds } = await runGenerator(bench, 'redis-benchmark', [
    ...args,
    of === 'hash' ? 'HGETALL' : 'GET',
    key,
  ]);
  const problem = /.*(?:Error|ERR).*/.exec(output)?.[0];
  if (problem !== undefined) throw new Error(problem);
  const rate = Number(/^"(?:GET|HGETALL) [^"]*","([\d.]+)"/m.exec(output)?.[1]);
  if (!(rate > 0)) throw new Error(`redis-benchmark: ${output}`);
  return { requests, seconds: requests / rate, generatorSeconds: cpuSeconds };
}
