import { setTimeout as delay } from 'node:timers/promises';
import type { TestProxy } from '../../test/support/proxy.ts';
import { type TestRedis } from '../../test/support/redis.ts';
import { cpuSeconds } from '../processes.ts';
import { CACHED_KEYS, type Tally, Traffic } from './traffic.ts';

/** Arguments of redis-server that keep its data across a restart. */
export const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always'];

export interface Plan {
  /** Requests per second. */
  readonly rate: number;
  readonly outageMs: number;
  /** Duration of the periods before and after the outage. */
  readonly normalMs: number;
  /** Duration of the transition after Redis is back, which belongs to neither period. */
  readonly returnMs: number;
  readonly progress: (text: string) => void;
  /** Called with the process id of the restarted Redis. */
  readonly restarted?: (pid: number) => void;
}

/** Results of a period, with the proxy's CPU time in seconds. */
export interface Period {
  readonly tally: Tally;
  readonly cpuSeconds: number;
}

export interface Outage {
  readonly before: Period;
  readonly during: Period;
  /** From the restart of Redis until it has been up for `returnMs`. */
  readonly returning: Period;
  readonly after: Period;
  /** The restarted Redis. */
  readonly redis: TestRedis;
}

/** Fills Redis with all keys of the traffic, and the cache with the keys of the hits. */
export async function prepare(redis: TestRedis, proxy: TestProxy, { rate, ...plan }: Plan): Promise<void> {
  const seconds = (plan.outageMs + plan.returnMs + 3 * plan.normalMs) / 1000;
  const cold = Array.from({ length: Math.ceil(rate * seconds * 0.1) }, (_, i) => `cold-${i}`);
  const held = Array.from({ length: CACHED_KEYS }, (_, i) => `held-${i}`);
  await redis.client.mset([...cold, ...held].flatMap((key) => [key, 'v'.repeat(100)]));
  for (const key of held) await proxy.key(key);
}

/** Kills Redis under traffic and restarts it. */
export async function playOutage(redis: TestRedis, proxy: TestProxy, plan: Plan): Promise<Outage> {
  const traffic = new Traffic(Number(new URL(proxy.url).port), plan.rate);
  let used = 0;
  // Waits for the responses: Redis must not be killed or restarted while a request of the period is in flight.
  const next = async (): Promise<Period> => {
    const before = used;
    used = cpuSeconds(proxy.child?.process.pid ?? 0);
    return { tally: await traffic.nextComplete(), cpuSeconds: used - before };
  };
  try {
    await wait(plan.normalMs, 'warming up', plan);
    await next();
    await wait(plan.normalMs, 'before', plan);
    const before = await next();
    await redis.server?.stop('SIGKILL');
    // Requests in flight at that moment belong to no period.
    await delay(100);
    traffic.next();
    await wait(plan.outageMs, 'Redis is down', plan);
    const during = await next();
    const back = await redis.restart();
    plan.restarted?.(back.server?.process.pid ?? 0);
    await wait(plan.returnMs, 'Redis is back', plan);
    const returning = await next();
    await wait(plan.normalMs, 'after', plan);
    const after = await next();
    await traffic.stop();
    return { before, during, returning, after, redis: back };
  } finally {
    await traffic.stop();
  }
}

async function wait(ms: number, what: string, { progress }: Plan): Promise<void> {
  for (let left = ms; left > 0; left -= 1000) {
    progress(`${what}: ${(left / 1000).toFixed(0)} s to go`);
    await delay(Math.min(left, 1000));
  }
}
