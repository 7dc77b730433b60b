import { until } from './processes.ts';
import type { TestProxy } from './proxy.ts';

export type CoherenceMode = 'ttl' | 'tracking' | 'resync';

/** Returns the coherence mode that the proxy reports. */
export async function coherenceOf(proxy: TestProxy): Promise<string | undefined> {
  const { json } = await proxy.get('/health/ready');
  return json.coherence as string | undefined;
}

export async function untilCoherence(proxy: TestProxy, mode: CoherenceMode): Promise<void> {
  await until(`the proxy is in ${mode}`, async () => (await coherenceOf(proxy)) === mode || undefined);
}

/** Returns the value of a metric without labels. */
export async function metric(proxy: TestProxy, name: string): Promise<number> {
  const { text } = await proxy.get('/metrics');
  return Number(new RegExp(`^redis_http_cache_proxy_${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

/** Waits until the proxy has received invalidations of `more` keys since its counter was `before`. */
export async function untilInvalidated(proxy: TestProxy, before: number, more = 1): Promise<void> {
  await until('the proxy receives the invalidation', async () => {
    const now = await metric(proxy, 'coherence_invalidations_total');
    return now >= before + more || undefined;
  });
}
