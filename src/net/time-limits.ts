import type { Settings } from '../config/settings.ts';

/** Milliseconds a client that is turned away has to take note of it. */
export const CLOSE_GRACE_MS = 2000;
/** Milliseconds for which connections without a request stay open when the proxy is to end: one may be on its way. */
export const LINGER_MS = 1000;
/** Milliseconds for which a client that does not read its response keeps others from their turn (PROXY_MODE=sequential). */
export const MUTEX_WRITE_TIMEOUT_MS = 1000;

/** A read waits for its turn once and for Redis once; a third time is margin. */
const ROUNDS_OF_WAITING = 3;

/** Milliseconds after which a client is cut off that does not read its answer: never one that waits for Redis. */
export function idleTimeoutMs({ http, redis }: Pick<Settings, 'http' | 'redis'>): number {
  return Math.max(http.requestTimeoutMs, ROUNDS_OF_WAITING * redis.commandTimeoutMs);
}
