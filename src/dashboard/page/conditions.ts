import type { DashboardSnapshot } from '../dashboard-snapshot.ts';

/** How well something is: shown as a colour and a shape, never without the words. `unknown`: the proxy is not heard from. */
export type Level = 'good' | 'warning' | 'bad' | 'unknown';

/** A state, and what it means. */
export interface Condition {
  readonly level: Level;
  readonly state: string;
  readonly meaning: string;
}

/** Marks a condition as unknown, because the connection to the proxy is lost. */
export function asUnknown({ state }: Condition): Condition {
  return { level: 'unknown', state: 'unknown', meaning: `was ${state}` };
}

export function redisCondition({ redis, threads }: DashboardSnapshot): Condition {
  const { connected } = redis;
  if (connected === 0) {
    return { level: 'bad', state: 'not reachable', meaning: 'only what the cache holds is answered' };
  }
  if (connected < threads.count) {
    return { level: 'warning', state: 'partly connected', meaning: `${connected} of ${threads.count} threads are` };
  }
  return { level: 'good', state: 'connected', meaning: threads.count === 1 ? 'the thread is' : 'all threads are' };
}

export function circuitCondition({ redis: { circuits } }: DashboardSnapshot): Condition {
  if (circuits.open > 0) {
    return { level: 'bad', state: 'open', meaning: 'Redis does not answer: reads of it are refused' };
  }
  if (circuits['half-open'] > 0) return { level: 'warning', state: 'half open', meaning: 'Redis is being tried again' };
  return { level: 'good', state: 'closed', meaning: 'Redis is asked' };
}

export function coherenceCondition({ coherence }: DashboardSnapshot): Condition {
  switch (coherence.state) {
    case 'ttl':
      return { level: 'good', state: 'ttl', meaning: 'entries end with their time' };
    case 'tracking':
      return { level: 'good', state: 'tracking', meaning: 'Redis tells of each write' };
    case 'resync':
      return { level: 'bad', state: 'resync', meaning: 'the news of writes is lost: nothing is stored' };
  }
}

export function threadsCondition({ threads }: DashboardSnapshot): Condition {
  const { count, restarts } = threads;
  const meaning = restarts === 0 ? 'none had to be replaced' : `${restarts} had to be replaced`;
  return { level: restarts === 0 ? 'good' : 'warning', state: String(count), meaning };
}
