import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { pinnedTo } from './cores.ts';
import type { Workbench } from './workbench.ts';

/** Result of a load generator. */
export interface Load {
  readonly requests: number;
  readonly seconds: number;
  /** CPU time of the generator. */
  readonly generatorSeconds: number;
  readonly latency?: Latency;
}

/** Latencies from the due time of a request to its response, in microseconds. */
export interface Latency {
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
  /** The generator's own delay in sending, at the 99th percentile; it is part of the latencies. */
  readonly lateUs: number;
}

/** Runs a program on the load core; returns its output and its CPU time in seconds. @param env further variables. */
export async function runGenerator(
  bench: Workbench,
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ output: string; cpuSeconds: number }> {
  // `times` of the shell prints the CPU time of its children.
  const [taskset, ...pinned] = pinnedTo(bench.cores.load);
  const child = spawn(
    taskset,
    [...pinned, 'sh', '-c', '"$@" 2>&1; status=$?; times; exit $status', 'sh', command, ...args],
    {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  bench.endWithThis(child);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) throw new Error(`${command} exited with ${status}: ${output.slice(-300)}`);
  const times = [...(output.trimEnd().split('\n').at(-1) ?? '').matchAll(/(\d+)m([\d.]+)s/g)];
  return { output, cpuSeconds: times.reduce((sum, [, min, s]) => sum + Number(min) * 60 + Number(s), 0) };
}
