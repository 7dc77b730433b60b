import { isIP } from 'node:net';
import type { RedisOptions } from 'ioredis';
import type { RedisNode } from '../config/redis/redis-nodes.ts';
import type { Settings } from '../config/settings.ts';

/** Reconnecting starts at once and slows down to this, so that the proxy is back within a second of its Redis. */
const LONGEST_BACK_OFF_MS = 500;
/** A connection on which something was asked and nothing came for so long is given up. */
const LEAST_SILENCE_MS = 2_000;
/** How often it is tried again whether a Redis has loaded its data. */
const LOADING_RETRY_MS = 500;
/** Spreads the reconnections of a fleet. */
const JITTER_MS = 100;

/** Milliseconds before the `attempt`-th (from 1) attempt to reconnect. */
export function backOffMs(attempt: number, random: () => number = Math.random): number {
  return Math.min(25 * 2 ** (attempt - 1), LONGEST_BACK_OFF_MS) + Math.floor(random() * JITTER_MS);
}

/** ioredis' options for a connection to the only Redis, or to whichever one the sentinels say is the master. */
export function redisOptions(redis: Settings['redis']): RedisOptions {
  return redis.mode === 'sentinel' ? masterOptions(redis) : nodeOptions(redis, redis);
}

/** ioredis' options for a connection to one server. */
export function nodeOptions(redis: Settings['redis'], { host, port }: RedisNode): RedisOptions {
  return { ...commonOptions(redis), host, port, tls: redis.tls ? tlsOptions(redis, host) : undefined };
}

/**
 * Each time it connects, ioredis asks the sentinels for the master, and makes sure that it is one: the former master may
 * be back as a replica. When a sentinel tells of a failover the connection is given up, whatever state it is in.
 */
function masterOptions(redis: Settings['redis']): RedisOptions {
  const { name, username, password } = redis.sentinel;
  const tls = redis.tls ? tlsOptions(redis) : undefined;
  return {
    ...commonOptions(redis),
    sentinels: [...redis.nodes],
    name,
    role: 'master',
    sentinelUsername: username,
    sentinelPassword: password?.reveal(),
    sentinelRetryStrategy: (attempt) => backOffMs(attempt),
    sentinelReconnectStrategy: (attempt) => backOffMs(attempt),
    sentinelCommandTimeout: redis.commandTimeoutMs,
    failoverDetector: true,
    enableTLSForSentinelMode: redis.tls,
    tls,
    sentinelTLS: tls,
  };
}

/** Fail fast, never queue for a connection that is not there. */
function commonOptions(redis: Settings['redis']): RedisOptions {
  return {
    db: redis.database,
    username: redis.username,
    password: redis.password?.reveal(),
    connectTimeout: redis.connectTimeoutMs,
    commandTimeout: redis.commandTimeoutMs,
    // A peer that has gone without a word answers nothing for as long as the kernel tries; a new connection may work.
    socketTimeout: Math.max(LEAST_SILENCE_MS, 2 * redis.commandTimeoutMs),
    // Else it would look again when Redis expects to be done, which is a guess.
    maxLoadingRetryTime: LOADING_RETRY_MS,
    retryStrategy: (attempt) => backOffMs(attempt),
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    connectionName: 'redis-http-cache-proxy',
    // It would take a right of its own, to say no more than the name does.
    disableClientInfo: true,
  };
}

/** @param host whom the certificate has to be for; undefined: whoever is connected to, which Node.js sees to itself. */
function tlsOptions({ tlsCa, tlsCert, tlsKey }: Settings['redis'], host = ''): NonNullable<RedisOptions['tls']> {
  // Addresses are not for SNI.
  const servername = host === '' || isIP(host) !== 0 ? undefined : host;
  return { ca: tlsCa, cert: tlsCert, key: tlsKey?.reveal(), ...(servername === undefined ? {} : { servername }) };
}
