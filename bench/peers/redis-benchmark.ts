import { type Load, runGenerator } from './load.ts';
import type { Size } from './store.ts';
import type { Workbench } from './workbench.ts';

const CONNECTIONS = 64;

export interface Gets {
  readonly size: Size;
  /** Number of keys, which are read equally often. */
  readonly keys: number;
  /** Pipelined commands per connection. */
  readonly pipeline: number;
}

/** Loads a server with GETs of existing keys over 64 connections. */
export async function redisBenchmark(bench: Workbench, port: number, gets: Gets, requests: number): Promise<Load> {
  const { size, keys, pipeline } = gets;
  const options = { '-h': '127.0.0.1', '-p': port, '-c': CONNECTIONS, '-n': requests, '-P': pipeline, '-r': keys };
  const args = [...Object.entries(options).flat().map(String), '-e', '--csv'];
  const key = `${size === 'small' ? 'key' : 'big'}:__rand_int__`;
  const { output, cpuSeconds } = await runGenerator(bench, 'redis-benchmark', [...args, 'GET', key]);
  const problem = /.*(?:Error|ERR).*/.exec(output)?.[0];
  if (problem !== undefined) throw new Error(problem);
  const rate = Number(/^"GET [^"]*","([\d.]+)"/m.exec(output)?.[1]);
  if (!(rate > 0)) throw new Error(`redis-benchmark: ${output}`);
  return { requests, seconds: requests / rate, generatorSeconds: cpuSeconds };
}
