import type { Redis, RedisOptions } from 'ioredis';
import { loginOptions } from '../redis/redis-logins.ts';
import { type RenewedListener, RenewedSubscriber, type SubscriberLogins } from './renewed-subscriber.ts';
import { type ConnectionEnd, type Heartbeat, SubscriberConnection, isRefusal } from './subscriber-connection.ts';

/** Channel on which Redis sends invalidation messages to RESP2 connections. */
const CHANNEL = '__redis__:invalidate';
export const HEARTBEAT: Heartbeat = { intervalMs: 250, maxOutstanding: 2 };

/**
 * Milliseconds after its acknowledgement within which a write has been received, or the connection closed. Redis writes the
 * invalidation message to this connection before it acknowledges the write, so the PONG to any later PING arrives after it.
 * The next PING is sent within one interval, and its PONG must arrive within the following two.
 */
export const STALENESS_BOUND_MS = (1 + HEARTBEAT.maxOutstanding) * HEARTBEAT.intervalMs;

/** Where a connection leads, and what it tracks. */
export interface TrackedServer {
  /** ioredis options for a RESP2 connection that does not reconnect, without credentials. */
  readonly options: RedisOptions;
  readonly logins: SubscriberLogins;
  readonly heartbeat: Heartbeat;
  /** Prefixes of the tracked keys; empty: all keys. */
  readonly prefixes: readonly Buffer[];
  /** Milliseconds within which tracking must be active. */
  readonly startMs: number;
  /** Id of the cluster node that must be at the address; empty: any. */
  readonly nodeId: string;
}

export interface ConnectionListener {
  /** Called once all later writes send an invalidation message. */
  onTracking(): void;
  /** Called when every write acknowledged more than `ageMs` milliseconds ago has been received. */
  onHeartbeat(ageMs: number): void;
  onInvalidation(key: Buffer): void;
  onFlush(): void;
  /** Called once, as the last call; `refused`: Redis rejected CLIENT TRACKING. */
  onEnd(end: ConnectionEnd): void;
}

/**
 * Opens a connection in CLIENT TRACKING BCAST mode that redirects invalidation messages to itself. So there is no second
 * connection whose loss would go unnoticed, and a PONG proves that all earlier messages have arrived. It is renewed when the
 * credentials change.
 */
export function openInvalidationConnection(
  { options, logins, heartbeat, prefixes, startMs, nodeId }: TrackedServer,
  listener: ConnectionListener,
): RenewedSubscriber {
  const subscribe = async (redis: Redis): Promise<ConnectionEnd | undefined> => {
    if (!(await isExpectedNode(redis, nodeId))) return { kind: 'lost', reason: 'another node' };
    await track(redis, prefixes);
    return undefined;
  };
  const renewedListener: RenewedListener = {
    onSubscribed: () => listener.onTracking(),
    onMessage: (message) => {
      // Null after a flush; anything but null and keys was published by another client.
      if (message === null) listener.onFlush();
      else if (Array.isArray(message)) for (const key of message as Buffer[]) listener.onInvalidation(key);
    },
    onHeartbeat: (ageMs) => listener.onHeartbeat(ageMs),
    onEnd: (end) => listener.onEnd(end),
  };
  return new RenewedSubscriber(
    logins,
    renewedListener,
    (login, received) =>
      new SubscriberConnection({ ...options, ...loginOptions(login) }, heartbeat, startMs, { subscribe, ...received }),
  );
}

/**
 * Whether the node at the address is the one listed by CLUSTER SLOTS: the address may lead to its predecessor for a while,
 * which no longer receives writes. A node that refuses CLUSTER MYID is accepted.
 */
async function isExpectedNode(redis: Redis, nodeId: string): Promise<boolean> {
  if (nodeId === '') return true;
  try {
    return String(await redis.cluster('MYID')) === nodeId;
  } catch (error) {
    if (isRefusal(error)) return true;
    throw error;
  }
}

/** Enables tracking and then subscribes, because a subscribed connection accepts no other commands. */
async function track(redis: Redis, trackedPrefixes: readonly Buffer[]): Promise<void> {
  const id = await redis.client('ID');
  const prefixes = trackedPrefixes.flatMap((prefix) => ['PREFIX', prefix]);
  await redis.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', id, 'BCAST', ...prefixes);
  await redis.subscribe(CHANNEL);
}
