import type { Redis } from 'ioredis';
import { CoherenceCounts } from '../instance/counts/coherence-counts.ts';
import type { Settings } from '../config/settings.ts';
import { type ReadServer, Masters } from '../redis/masters.ts';
import { backOffMs } from '../redis/redis-options.ts';
import { LoginChoice, RedisLogins, loginOptions } from '../redis/redis-logins.ts';
import { ChannelPurges } from './channel-purges.ts';
import { InvalidationQueue, SCHEDULE } from './invalidation-queue.ts';
import { type RenewedListener, RenewedSubscriber, type SubscriberLogins } from './renewed-subscriber.ts';
import { type FollowerParts, type ServerFollower, followServers } from './server-follower.ts';
import {
  type ConnectionEnd,
  type Heartbeat,
  SubscriberConnection,
  subscriberOptions,
} from './subscriber-connection.ts';

/** Lenient: a Redis that does not respond for a while has not lost its messages. */
const HEARTBEAT: Heartbeat = { intervalMs: 1000, maxOutstanding: 5 };
/** Milliseconds before SUBSCRIBE is sent again after a refusal. */
const REFUSED_RETRY_MS = 5000;
/** Minimum milliseconds between two log lines about messages that were ignored. */
const IGNORED_LOG_MS = 60_000;

/** Receives the events of a {@link PurgeSubscription}. */
export interface PurgeListener {
  /** Called when all messages that are published from now on will be received. */
  onSubscribed(): void;
  onMessage(message: Buffer): void;
  /** Called when a subscription was lost or could not be made; it is retried. */
  onEnd(end: ConnectionEnd): void;
}

/**
 * Subscribes to a channel at one of the masters, since a message reaches all nodes of a cluster. Subscribes again, at the next
 * master, when a subscription is lost or refused, and when its master is not listed any more.
 */
export class PurgeSubscription {
  readonly #channel: string;
  readonly #startMs: number;
  readonly #listener: PurgeListener;
  readonly #refusedRetryMs: number;
  #masters: readonly ReadServer[] = [];
  /** Index, modulo their number, of the master to subscribe at next. Proxies start with different ones. */
  #next = Math.floor(Math.random() * 1000);
  readonly #logins: SubscriberLogins;
  #connection: RenewedSubscriber | undefined;
  /** Identity of the master of the connection. */
  #identity: string | undefined;
  #retry: NodeJS.Timeout | undefined;
  #attempts = 0;

  constructor(
    channel: string,
    { redis }: Settings,
    listener: PurgeListener,
    refusedRetryMs = REFUSED_RETRY_MS,
    logins = new RedisLogins(redis),
  ) {
    this.#logins = { logins, choice: new LoginChoice(logins) };
    this.#channel = channel;
    this.#startMs = redis.connectTimeoutMs + redis.commandTimeoutMs;
    this.#listener = listener;
    this.#refusedRetryMs = refusedRetryMs;
  }

  /** @param masters all current masters. */
  follow(masters: readonly ReadServer[]): void {
    this.#masters = masters.filter(({ options }) => options !== undefined);
    if (this.#connection === undefined) {
      if (this.#retry === undefined) this.#connect();
    } else if (!this.#masters.some(({ identity }) => identity === this.#identity)) {
      this.#connection.close();
      this.#lose({ kind: 'lost', reason: 'the master was replaced' }, 0);
    }
  }

  stop(): void {
    clearTimeout(this.#retry);
    this.#connection?.close();
  }

  #connect(): void {
    this.#retry = undefined;
    const master = this.#masters.at(this.#next++ % this.#masters.length);
    if (master?.options === undefined) return;
    this.#identity = master.identity;
    const options = subscriberOptions(master.options, 'redis-http-cache-proxy:purges');
    const subscribe = async (redis: Redis): Promise<undefined> => {
      await redis.subscribe(this.#channel);
    };
    const listener: RenewedListener = {
      onSubscribed: () => {
        this.#attempts = 0;
        this.#listener.onSubscribed();
      },
      onMessage: (message) => this.#listener.onMessage(message as Buffer),
      onHeartbeat: () => undefined,
      onEnd: (end) => this.#lose(end, end.kind === 'refused' ? this.#refusedRetryMs : backOffMs(++this.#attempts)),
    };
    this.#connection = new RenewedSubscriber(
      this.#logins,
      listener,
      (login, received) =>
        new SubscriberConnection({ ...options, ...loginOptions(login) }, HEARTBEAT, this.#startMs, {
          subscribe,
          ...received,
        }),
    );
  }

  #lose(end: ConnectionEnd, retryMs: number): void {
    this.#connection = undefined;
    this.#retry = setTimeout(() => this.#connect(), retryMs);
    this.#listener.onEnd(end);
  }
}

/** Starts to apply the messages on a channel of Redis to the cache, for CACHE_PURGE_CHANNEL. */
export function watchPurgeChannel(parts: FollowerParts, channel: string): ServerFollower {
  const { settings, memory, logger, logins = new RedisLogins(settings.redis) } = parts;
  const { servers = new Masters(settings.redis, logins) } = parts;
  const { lru, instance } = memory;
  const counts = new CoherenceCounts(instance);
  let loggedIgnoredAt = -Infinity;
  const purges = new ChannelPurges({
    lru,
    queue: new InvalidationQueue(lru, SCHEDULE),
    counts,
    schedule: SCHEDULE,
    onIgnored: (reason) => {
      if (performance.now() - loggedIgnoredAt < IGNORED_LOG_MS) return;
      loggedIgnoredAt = performance.now();
      logger.warn(`ignored a message on CACHE_PURGE_CHANNEL: ${reason}`);
    },
  });
  let wasSubscribed = false;
  /** Reasons logged since the last subscription: the end of a connection comes first, why no other is made later. */
  const loggedReasons = new Set<string>();
  const listener: PurgeListener = {
    onSubscribed: () => {
      // Purges may have been missed: of entries stored before the first subscription, or since the last one was lost.
      purges.expireAll();
      counts.isSubscribed = true;
      loggedReasons.clear();
      logger.log(`subscribed to CACHE_PURGE_CHANNEL${wasSubscribed ? ' again; all entries expired' : ''}`);
      wasSubscribed = true;
    },
    onMessage: (message) => purges.receive(message),
    onEnd: ({ reason }) => {
      if (counts.isSubscribed) counts.countSubscriptionLoss();
      counts.isSubscribed = false;
      if (!loggedReasons.has(reason)) {
        logger.warn(`not subscribed to CACHE_PURGE_CHANNEL (${reason}); purges are missed`);
      }
      loggedReasons.add(reason);
      servers.refresh();
    },
  };
  const subscription = new PurgeSubscription(channel, settings, listener, REFUSED_RETRY_MS, logins);
  return followServers(servers, subscription);
}
