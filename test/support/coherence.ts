import { until } from './processes.ts';
import type { TestProxy } from './proxy.ts';

export type CoherenceMode = 'ttl' | 'tracking' | 'resync';

/** Returns the coherence mode that the proxy reports. */
export async function coherenceOf(proxy: TestProxy): Promise<string | undefined> {
  const { json } = await proxy.get('/health/ready');
  return json.coherence as string | undefined;
}

/** Milliseconds within which a write is visible, as the documentation promises: so long a heartbeat confirms that none was missed. */
export const BOUND_MS = 750;

/**
 * Waits until a proxy is tracking, and keeps it so, however slow the machine is: its clock stops, so that entries stay trusted,
 * and no heartbeat can be late. The stream is lost only if its connection is closed, until the clock is started.
 *
 * @param key that Redis has; it is cached afterwards.
 * @param headers of requests.
 */
export async function holdTracking(
  proxy: TestProxy,
  key: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  await untilCoherence(proxy, 'tracking');
  await proxy.stopClock();
  // From now on entries are trusted once a heartbeat that has begun since is confirmed.
  await proxy.advance(BOUND_MS);
  await until('entries are trusted', async () => {
    const response = await proxy.key(key, headers);
    return String(response.headers['cache-status']).includes('; hit;') || undefined;
  });
  await proxy.pauseIntervals();
  // The stream may have been lost meanwhile. If so, it comes back, and entries are trusted from then on.
  await untilCoherence(proxy, 'tracking');
}

export async function untilCoherence(proxy: TestProxy, mode: CoherenceMode): Promise<void> {
  await until(`the proxy is in ${mode}`, async () => (await coherenceOf(proxy)) === mode || undefined);
}

/** Returns the value of a metric; its name includes the labels, if it has some. */
export async function metric(proxy: TestProxy, name: string): Promise<number> {
  const { text } = await proxy.get('/metrics');
  return Number(new RegExp(`^redis_http_cache_proxy_${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

/** Waits until a metric is at least this number. */
export async function untilMetric(proxy: TestProxy, name: string, least: number): Promise<void> {
  await until(`${name} is ${least}`, async () => (await metric(proxy, name)) >= least || undefined);
}

/** Waits until the proxy has received the invalidation of a key since its counter was `before`. */
export async function untilInvalidated(proxy: TestProxy, before: number): Promise<void> {
  await untilMetric(proxy, 'coherence_invalidations_total', before + 1);
}
