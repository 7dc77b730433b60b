import { isIP } from 'node:net';
import type { RedisOptions } from 'ioredis';
import type { RedisNode } from '../config/redis/redis-nodes.ts';
import type { RedisLogin, Settings } from '../config/settings.ts';

/** Maximum back-off of reconnections, so that the proxy recovers within a second of Redis. */
const MAX_BACK_OFF_MS = 500;
/** Minimum time without received data, while replies are pending, after which a connection is closed. */
const MIN_SOCKET_TIMEOUT_MS = 2_000;
/** Milliseconds between checks whether Redis has loaded its data. */
const LOADING_RETRY_MS = 500;
/** Maximum random delay, to spread the reconnections of many proxies. */
const JITTER_MS = 100;

/** Returns the milliseconds to wait before the `attempt`-th (from 1) attempt to reconnect. */
export function backOffMs(attempt: number, random: () => number = Math.random): number {
  return Math.min(25 * 2 ** (attempt - 1), MAX_BACK_OFF_MS) + Math.floor(random() * JITTER_MS);
}

/**
 * Returns the ioredis options for a connection to a single Redis, or to the master reported by sentinels; without
 * credentials, which may change: `loginOptions` of redis-logins.ts returns these.
 */
export function redisOptions(redis: Settings['redis']): RedisOptions {
  if (redis.mode === 'sentinel') return masterOptions(redis);
  return redis.socket === undefined ? nodeOptions(redis, redis) : { ...commonOptions(redis), path: redis.socket };
}

/** Returns the ioredis options for a connection to one server, without credentials. */
export function nodeOptions(redis: Settings['redis'], { host, port }: RedisNode): RedisOptions {
  return { ...commonOptions(redis), host, port, tls: redis.tls ? tlsOptions(redis, host) : undefined };
}

/**
 * Returns options with which ioredis queries the sentinels for the master on every connect and verifies its role: a former
 * master may have become a replica. `FailoverWatch` tells when the connection must be closed, because there is another master.
 */
function masterOptions(redis: Settings['redis']): RedisOptions {
  const tls = redis.tls ? tlsOptions(redis) : undefined;
  return {
    ...commonOptions(redis),
    sentinels: [...redis.nodes],
    name: redis.sentinel.name,
    role: 'master',
    sentinelRetryStrategy: (attempt) => backOffMs(attempt),
    sentinelCommandTimeout: redis.commandTimeoutMs,
    // A detector without connections: only with one does ioredis begin each search of the master at the sentinel that knew it last,
    // instead of behind it, where there may be none.
    failoverDetector: true,
    sentinelMaxConnections: 0,
    enableTLSForSentinelMode: redis.tls,
    tls,
    sentinelTLS: tls,
  };
}

/** Returns the ioredis options for a connection to a sentinel, which does not reconnect and waits to be connected. */
export function sentinelOptions(redis: Settings['redis'], sentinel: RedisNode, login: RedisLogin): RedisOptions {
  return {
    ...nodeOptions(redis, sentinel),
    db: 0,
    username: login.sentinelUsername,
    password: login.sentinelPassword?.reveal(),
    // Naming a connection requires a permission of its own.
    connectionName: undefined,
    enableReadyCheck: false,
    enableOfflineQueue: true,
    retryStrategy: () => null,
  };
}

/** Returns options that make commands fail fast instead of queueing while there is no connection. */
function commonOptions(redis: Settings['redis']): RedisOptions {
  return {
    db: redis.database,
    connectTimeout: redis.connectTimeoutMs,
    commandTimeout: redis.commandTimeoutMs,
    // A peer that disappeared without closing the connection is only detected by a time-out; a new connection may work.
    socketTimeout: Math.max(MIN_SOCKET_TIMEOUT_MS, 2 * redis.commandTimeoutMs),
    // Otherwise ioredis waits as long as Redis estimates that loading will take.
    maxLoadingRetryTime: LOADING_RETRY_MS,
    retryStrategy: (attempt) => backOffMs(attempt),
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // The cache holds replies to queries as Redis encodes them in RESP2.
    protocol: 2,
    connectionName: 'redis-http-cache-proxy',
    // CLIENT SETINFO requires a permission of its own and adds nothing to the connection's name.
    disableClientInfo: true,
  };
}

/** @param host of the server; if empty, Node.js verifies the host it connects to, unless REDIS_TLS_SERVER_NAME is set. */
function tlsOptions(redis: Settings['redis'], host = ''): NonNullable<RedisOptions['tls']> {
  const { tlsCa, tlsCert, tlsKey, tlsServerName, tlsRejectUnauthorized } = redis;
  // Node.js verifies this name. SNI does not allow IP addresses.
  const servername = tlsServerName ?? (host === '' || isIP(host) !== 0 ? undefined : host);
  return {
    ca: tlsCa,
    cert: tlsCert,
    key: tlsKey?.reveal(),
    rejectUnauthorized: tlsRejectUnauthorized,
    ...(servername === undefined ? {} : { servername }),
  };
}
