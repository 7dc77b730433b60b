/**
 * Measures an outage under load: 5,000 requests/s, 95 % of them hits, while Redis is killed for ten seconds. Prints the
 * responses to hits and misses before, during and after the outage, with their latencies. The proxy and its Redis run on
 * one core, the load generator on another. `npm run bench:outage`
 */
import { execFileSync } from 'node:child_process';
import { TestProxy } from '../test/support/proxy.ts';
import { TestRedis } from '../test/support/redis.ts';
import { DURABLE, type Outage, type Period, type Plan, playOutage, prepare } from './outage/play.ts';

const PLAN: Plan = {
  rate: Number(process.env.RATE ?? 5000),
  outageMs: 10_000,
  normalMs: 5_000,
  returnMs: 1_000,
  restarted: (pid) => pin(pid, 0),
  progress: (text) => void process.stderr.write(`${text}\n`),
};

let redis = await TestRedis.start(...DURABLE);
const proxy = await TestProxy.start({
  REDIS_URL: redis.url,
  PROXY_THREADS: Number(process.env.THREADS ?? 1),
  CACHE_CAPACITY: 100_000,
  CACHE_TTL_MS: 3_600_000,
});
try {
  await prepare(redis, proxy, PLAN);
  pin(process.pid, 1);
  for (const child of [proxy.child, redis.server]) pin(child?.process.pid ?? 0, 0);
  const outage = await playOutage(redis, proxy, PLAN);
  redis = outage.redis;
  print(outage);
} finally {
  await proxy.stop();
  await redis.stop();
}

function pin(pid: number, core: number): void {
  execFileSync('taskset', ['-acp', String(core), String(pid)], { stdio: 'ignore' });
}

function print({ before, during, returning, after }: Outage): void {
  console.log('| | hits | p50, p99 | misses | p50, p99 | CPU time per request | sent late, p99 |');
  console.log(`|${' --- |'.repeat(7)}`);
  row('before', before);
  row('Redis is gone, 10 s', during);
  row('until it has been back for 1 s', returning);
  row('after', after);
}

function row(name: string, { tally, cpuSeconds }: Period): void {
  const { hits, hitMs, misses, missMs, lateMs } = tally;
  const times = (values: number[]) => `${quantile(values, 0.5).toFixed(2)}, ${quantile(values, 0.99).toFixed(2)} ms`;
  const cpu = `${((cpuSeconds * 1e6) / (hitMs.length + missMs.length)).toFixed(1)} µs`;
  const cells = [describe(hits), times(hitMs), describe(misses), times(missMs), cpu];
  console.log(`| ${[name, ...cells, `${quantile(lateMs, 0.99).toFixed(2)} ms`].join(' | ')} |`);
}

function describe(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `${name}: ${count.toLocaleString('en')}`).join(', ');
}

function quantile(values: number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}
