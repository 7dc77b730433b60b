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

/** Seconds of lag from which replicas are slow: as in the alert `ReplicationLag`. */
const MAX_LAG_S = 5;
/** Number of servers that are named. */
const MAX_NAMED = 3;

/** @returns undefined with REDIS_READ_FROM=master. */
export function readSourceCondition({ readSources }: DashboardSnapshot): Condition | undefined {
  if (readSources === null) return undefined;
  const { servers, lagSeconds } = readSources;
  const roles = [...new Set(servers.map(({ role }) => role))];
  const state = roles.length === 1 ? roles[0] : 'mixed';
  const addresses = servers.flatMap(({ address }) => address ?? []);
  const parts = [
    addresses.length > MAX_NAMED ? `${addresses.length} servers` : addresses.join(', '),
    roles.includes('none') ? 'keys cannot be loaded: no server can be read' : '',
    roles.includes('master') ? 'no replica is current' : '',
    roles.includes('replica') ? `lag ${Math.round(lagSeconds)} s` : '',
  ];
  const isSlow = roles.includes('master') || lagSeconds > MAX_LAG_S;
  return {
    level: roles.includes('none') ? 'bad' : isSlow ? 'warning' : 'good',
    state,
    meaning: parts.filter((part) => part !== '').join('; '),
  };
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
