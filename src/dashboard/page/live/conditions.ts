import type { DashboardSnapshot } from '../../dashboard-snapshot.ts';

/** Severity of a condition, shown as a colour and a shape beside its text. `unknown`: the connection to the proxy is lost. */
export type Level = 'good' | 'warning' | 'bad' | 'unknown';

/** A state of a part of the proxy, with an explanation. */
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
    return { level: 'bad', state: 'not reachable', meaning: 'only cached values are served' };
  }
  if (connected < threads.count) {
    return { level: 'warning', state: 'partly connected', meaning: `${connected} of ${threads.count} threads` };
  }
  return { level: 'good', state: 'connected', meaning: threads.count === 1 ? 'one thread' : 'all threads' };
}

export function circuitCondition({ redis: { circuits } }: DashboardSnapshot): Condition {
  if (circuits.open > 0) {
    return { level: 'bad', state: 'open', meaning: 'Redis unresponsive; failing fast' };
  }
  if (circuits['half-open'] > 0) return { level: 'warning', state: 'half-open', meaning: 'probing Redis' };
  return { level: 'good', state: 'closed', meaning: 'Redis responds' };
}

export function coherenceCondition({ coherence }: DashboardSnapshot): Condition {
  switch (coherence.state) {
    case 'ttl':
      return { level: 'good', state: 'ttl', meaning: 'TTL expiry only' };
    case 'tracking':
      return { level: 'good', state: 'tracking', meaning: 'writes invalidate entries' };
    case 'resync':
      return { level: 'bad', state: 'resync', meaning: 'invalidation stream lost; caching suspended' };
  }
}

/** @returns undefined if there is no purge channel. */
export function purgeChannelCondition({ purgeChannel }: DashboardSnapshot): Condition | undefined {
  if (purgeChannel === null) return undefined;
  const { subscribed, purges } = purgeChannel;
  if (!subscribed) return { level: 'bad', state: 'not subscribed', meaning: 'purges are missed' };
  return { level: 'good', state: 'subscribed', meaning: `${purges} ${purges === 1 ? 'purge' : 'purges'} applied` };
}

/** @returns undefined if there is no file for warm starts. */
export function warmupCondition({ warmup }: DashboardSnapshot): Condition | undefined {
  if (warmup === null) return undefined;
  const { state, done, total } = warmup;
  const meaning = total === 0 ? 'no keys to load' : `${done} of ${total} keys`;
  return { level: state === 'paused' || state === 'stopped' ? 'warning' : 'good', state, meaning };
}

export function threadsCondition({ threads }: DashboardSnapshot): Condition {
  const { count, restarts } = threads;
  const meaning = restarts === 0 ? 'no restarts' : `${restarts} ${restarts === 1 ? 'restart' : 'restarts'}`;
  return { level: restarts === 0 ? 'good' : 'warning', state: String(count), meaning };
}
