/**
 * Measures hits over HTTP with 1 and 2 threads: requests per second, and CPU time of the proxy per request. `wrk` generates
 * the load, on the same cores. `npm run bench:threads`
 */
import { spawnSync } from 'node:child_process';
import { TestProxy } from '../../test/support/proxy.ts';
import { TestRedis } from '../../test/support/redis.ts';
import { cpuSeconds } from '../processes.ts';
import { row } from '../spread.ts';

const ROUNDS = 3;
const SECONDS = 4;
const CONNECTIONS = 64;

/** Prints a table, or that `wrk` is not installed. */
export async function measureHttp(): Promise<void> {
  if (spawnSync('wrk', ['--version']).error !== undefined) {
    console.log('HTTP requests skipped: wrk is not on the PATH.');
    return;
  }
  const redis = await TestRedis.start();
  await redis.client.set('key', 'v'.repeat(100));
  const proxies = new Map<number, TestProxy>();
  for (const threads of [1, 2]) proxies.set(threads, await start(redis, threads));
  const results = new Map(
    [...proxies.keys()].map((threads) => [threads, { rates: [] as number[], costs: [] as number[] }]),
  );
  for (let round = 0; round < ROUNDS; round++) {
    for (const [threads, proxy] of proxies) {
      process.stderr.write(`HTTP, round ${round + 1} of ${ROUNDS}, ${threads} thread(s)\n`);
      const { rate, costUs } = load(proxy);
      results.get(threads)?.rates.push(rate / 1000);
      results.get(threads)?.costs.push(costUs);
    }
  }
  console.log(`Over HTTP, ${CONNECTIONS} keep-alive connections, wrk on the same cores:\n`);
  console.log('| threads | requests/s | CPU time of the proxy per request |\n| --- | --- | --- |');
  for (const [threads, { rates, costs }] of results) console.log(row(threads, rates, 'k', costs, 'µs', 1));
  for (const proxy of proxies.values()) await proxy.stop();
  await redis.stop();
}

async function start(redis: TestRedis, threads: number): Promise<TestProxy> {
  const proxy = await TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: threads, CACHE_TTL_MS: 3_600_000 });
  await proxy.key('key');
  load(proxy);
  return proxy;
}

function load(proxy: TestProxy): { rate: number; costUs: number } {
  const pid = proxy.child?.process.pid ?? 0;
  const before = cpuSeconds(pid);
  const args = ['-t1', `-c${CONNECTIONS}`, `-d${SECONDS}s`, `${proxy.url}/v1/keys/key`];
  const { stdout } = spawnSync('wrk', args, { encoding: 'utf8' });
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
  return { rate, costUs: ((cpuSeconds(pid) - before) * 1e6) / requests };
}
