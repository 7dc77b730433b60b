import type { Settings } from '../config/settings.ts';

/** Milliseconds between a final error response and closing the connection. */
export const CLOSE_GRACE_MS = 2000;
/** Milliseconds for which idle connections stay open on shutdown, as a request may be on its way. */
export const LINGER_MS = 1000;
/** Milliseconds for which a client that does not read its response may hold the mutex (PROXY_MODE=sequential). */
export const MUTEX_WRITE_TIMEOUT_MS = 1000;

/** A read may wait for a load permit, then for Redis; the third interval is a margin. */
const WAIT_INTERVALS = 3;

/** Returns the milliseconds after which a stalled connection is closed; longer than a request can wait for Redis. */
export function idleTimeoutMs({ http, redis }: Pick<Settings, 'http' | 'redis'>): number {
  return Math.max(http.requestTimeoutMs, WAIT_INTERVALS * redis.commandTimeoutMs);
}
