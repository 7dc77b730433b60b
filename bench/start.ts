/**
 * Measures the start of the proxy with 1, 2, 4 and 8 threads and one Redis: time to the first response, CPU time until it is
 * idle, resident memory then. `npm run bench:start`; options: `--rounds 3`, `--threads 1,2`, and `--against DIR`, the dist/
 * folder of another build, whose figures are printed in a row of their own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { sendRequest } from '../test/support/http-client.ts';
import { freePort } from '../test/support/processes.ts';
import { TestRedis } from '../test/support/redis.ts';
import { cpuSeconds, residentBytes } from './processes.ts';
import { median, spread } from './spread.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '1,2,4,8' },
    against: { type: 'string' },
  },
});

/** Milliseconds between two attempts to connect, and of the interval in which an idle proxy uses no CPU time. */
const RETRY_MS = 2;
const IDLE_MS = 500;
/** CPU seconds per {@link IDLE_MS} below which the proxy counts as idle: a tick of the kernel's clock. */
const IDLE_CPU_S = 0.01;
const KEY = 'key';
const MIB = 2 ** 20;

interface Start {
  readonly wallS: number;
  readonly cpuS: number;
  readonly mib: number;
}

const rounds = Number(options.rounds);
const counts = options.threads.split(',').map(Number);
const builds = new Map([['this build', resolve(import.meta.dirname, '../dist')]]);
if (options.against !== undefined) builds.set('the other build', resolve(options.against));

const redis = await TestRedis.start();
await redis.client.set(KEY, 'value');
const results = new Map<string, Start[]>();
try {
  for (let round = 1; round <= rounds; round++) {
    // Alternating, so that other load on the machine affects all of them.
    for (const threads of counts) {
      for (const [build, folder] of builds) {
        process.stderr.write(`round ${round} of ${rounds}: ${threads} thread(s), ${build}\n`);
        const name = `${threads} ${build}`;
        results.set(name, [...(results.get(name) ?? []), await start(folder, threads, await freePort())]);
      }
    }
  }
} finally {
  await redis.stop();
}
print();

/** Starts a proxy, reads a key until it responds, waits until the proxy is idle, and stops it. */
async function start(folder: string, threads: number, port: number): Promise<Start> {
  const env = {
    PATH: process.env.PATH,
    NODE_ENV: 'production',
    HTTP_HOST: '127.0.0.1',
    HTTP_PORT: String(port),
    RESP_PORT: '',
    REDIS_URL: redis.url,
    PROXY_THREADS: String(threads),
    CACHE_MAX_BYTES: String(16 * MIB),
    CACHE_CAPACITY: '1000',
  };
  const startedAt = performance.now();
  const proxy = spawn(process.execPath, [`${folder}/main.js`], {
    env,
    cwd: '/',
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    await firstValue(proxy, port);
    const wallS = (performance.now() - startedAt) / 1000;
    const { pid = 0 } = proxy;
    const cpuS = await cpuWhenIdle(pid);
    return { wallS, cpuS, mib: residentBytes(pid) / MIB };
  } finally {
    const exited = once(proxy, 'exit');
    proxy.kill('SIGKILL');
    await exited;
  }
}

/** Resolves when the proxy has responded with the value of the key. */
async function firstValue(proxy: ChildProcess, port: number): Promise<void> {
  while (proxy.exitCode === null) {
    const response = await sendRequest(`http://127.0.0.1:${port}`, `/v1/keys/${KEY}`).catch(() => undefined);
    if (response?.status === 200) return;
    await delay(RETRY_MS);
  }
  throw new Error('the proxy exited during its start');
}

/** Returns the CPU time of a process when it has become idle. */
async function cpuWhenIdle(pid: number): Promise<number> {
  for (let before = cpuSeconds(pid); ;) {
    await delay(IDLE_MS);
    const now = cpuSeconds(pid);
    if (now - before <= IDLE_CPU_S) return now;
    before = now;
  }
}

function print(): void {
  console.log(
    `${rounds} rounds, median (minimum–maximum), ${availableParallelism()} cores, Node.js ${process.version}.\n`,
  );
  const named = builds.size > 1;
  console.log(`| threads |${named ? ' build |' : ''} first response | CPU time | resident memory |`);
  console.log(`| --- |${named ? ' --- |' : ''} --- | --- | --- |`);
  const column = (threads: number, build: string, part: keyof Start): number[] =>
    (results.get(`${threads} ${build}`) ?? []).map((each) => each[part]);
  for (const threads of counts) {
    for (const build of builds.keys()) {
      const cells = [
        `${spread(column(threads, build, 'wallS'), 2)} s`,
        `${spread(column(threads, build, 'cpuS'), 2)} s`,
        `${spread(column(threads, build, 'mib'), 0)} MiB`,
      ];
      console.log(`| ${threads} |${named ? ` ${build} |` : ''} ${cells.join(' | ')} |`);
    }
  }
  const [few, many] = [Math.min(...counts), Math.max(...counts)];
  if (few === many) return;
  console.log();
  for (const build of builds.keys()) {
    const perThread = (part: keyof Start): number =>
      (median(column(many, build, part)) - median(column(few, build, part))) / (many - few);
    const figures = `${perThread('mib').toFixed(1)} MiB and ${perThread('cpuS').toFixed(2)} s of CPU time`;
    console.log(`Each further thread${named ? `, ${build}` : ''}: ${figures}.`);
  }
}
