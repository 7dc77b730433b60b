import type { RedisOptions } from 'ioredis';
import type { Settings } from '../config/settings.ts';

/** Reconnecting starts at once and slows down to this, so that the proxy is back within a second of its Redis. */
const LONGEST_BACK_OFF_MS = 500;
/** A connection on which something was asked and nothing came for so long is given up. */
const LONGEST_SILENCE_MS = 10_000;
/** Spreads the reconnections of a fleet. */
const JITTER_MS = 100;

/** Milliseconds before the `attempt`-th (from 1) attempt to reconnect. */
export function backOffMs(attempt: number, random: () => number = Math.random): number {
  return Math.min(25 * 2 ** (attempt - 1), LONGEST_BACK_OFF_MS) + Math.floor(random() * JITTER_MS);
}

/** ioredis' options: fail fast, never queue for a connection that is not there. */
export function redisOptions(redis: Settings['redis']): RedisOptions {
  return {
    host: redis.host,
    port: redis.port,
    db: redis.database,
    username: redis.username,
    password: redis.password?.reveal(),
    tls: redis.tls ? { servername: redis.host, ca: redis.tlsCa } : undefined,
    connectTimeout: redis.connectTimeoutMs,
    commandTimeout: redis.commandTimeoutMs,
    // A peer that has gone without a word answers nothing for as long as the kernel tries; a new connection may work.
    socketTimeout: Math.max(LONGEST_SILENCE_MS, 2 * redis.commandTimeoutMs),
    retryStrategy: (attempt) => backOffMs(attempt),
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    connectionName: 'redis-http-cache-proxy',
  };
}
