import { performance } from 'node:perf_hooks';
import { Redis, type RedisOptions, ReplyError } from 'ioredis';
import { missingPermissionIn, errorCode } from '../redis/redis-failure.ts';

/** Why a connection ended. */
export type ConnectionEnd =
  /** It failed or its heartbeat stopped. */
  | { readonly kind: 'lost'; readonly reason: string }
  /** Redis rejected the subscription, or a command before it. */
  | { readonly kind: 'refused'; readonly reason: string };

/** A PING is sent in each interval; the connection is closed if `maxOutstanding` are outstanding when the next one is due. */
export interface Heartbeat {
  readonly intervalMs: number;
  readonly maxOutstanding: number;
}

/** What a connection is for. */
export interface Subscriber {
  /** Subscribes; returns why the connection must end instead, if so. An error of Redis ends it as well. */
  subscribe(redis: Redis): Promise<ConnectionEnd | undefined>;
  /** Called once it has subscribed. */
  onSubscribed(): void;
  /** Called with each message, and the channel on which it was published. */
  onMessage(message: unknown, channel: Buffer): void;
  /** Called when all messages that Redis had sent more than `ageMs` milliseconds ago have been received. */
  onHeartbeat(ageMs: number): void;
  /** Called once, as the last call. */
  onEnd(end: ConnectionEnd): void;
}

/** A connection that receives messages of Redis until it fails; it never reconnects, so that no loss goes unnoticed. */
export class SubscriberConnection {
  readonly #redis: Redis;
  readonly #heartbeat: Heartbeat;
  readonly #subscriber: Subscriber;
  #timer: NodeJS.Timeout;
  #outstandingPings = 0;
  #ended = false;

  /**
   * @param options as {@link subscriberOptions} returns them.
   * @param startMs milliseconds within which it must have subscribed.
   */
  constructor(options: RedisOptions, heartbeat: Heartbeat, startMs: number, subscriber: Subscriber) {
    this.#redis = new Redis(options);
    this.#heartbeat = heartbeat;
    this.#subscriber = subscriber;
    this.#redis.on('error', (error: Error) => this.#end({ kind: 'lost', reason: errorCode(error) }));
    this.#redis.on('close', () => this.#end({ kind: 'lost', reason: 'connection' }));
    this.#redis.on('messageBuffer', (channel: Buffer, message: unknown) => {
      if (!this.#ended) subscriber.onMessage(message, channel);
    });
    this.#timer = setTimeout(() => this.#end({ kind: 'lost', reason: 'timeout' }), startMs);
    void this.#start();
  }

  /** Closes the connection without calling the subscriber. */
  close(): void {
    this.#ended = true;
    clearInterval(this.#timer);
    this.#redis.disconnect();
  }

  async #start(): Promise<void> {
    try {
      await this.#redis.connect();
    } catch (error) {
      // Errors while connecting do not concern the subscription.
      return this.#end({ kind: 'lost', reason: errorCode(error) });
    }
    try {
      const end = await this.#subscriber.subscribe(this.#redis);
      if (end !== undefined) return this.#end(end);
    } catch (error) {
      return this.#fail(error);
    }
    if (this.#ended) return;
    clearTimeout(this.#timer);
    this.#timer = setInterval(() => this.#sendPing(), this.#heartbeat.intervalMs);
    this.#subscriber.onSubscribed();
    this.#sendPing();
  }

  #sendPing(): void {
    if (this.#outstandingPings === this.#heartbeat.maxOutstanding) {
      return this.#end({ kind: 'lost', reason: 'timeout' });
    }
    this.#outstandingPings++;
    const sentAt = performance.now();
    this.#redis.ping().then(
      () => this.#receivePong(sentAt),
      (error: unknown) => this.#fail(error),
    );
  }

  #receivePong(sentAt: number): void {
    this.#outstandingPings--;
    if (!this.#ended) this.#subscriber.onHeartbeat(performance.now() - sentAt);
  }

  #fail(error: unknown): void {
    const missingPermission = missingPermissionIn(error);
    const reason =
      errorCode(error) + (missingPermission === undefined ? '' : `: the account lacks ${missingPermission}`);
    this.#end({ kind: isRefusal(error) ? 'refused' : 'lost', reason });
  }

  #end(end: ConnectionEnd): void {
    if (this.#ended) return;
    this.close();
    this.#subscriber.onEnd(end);
  }
}

/** Whether an error rejects a command for good; other errors (LOADING, BUSY, …) are temporary. */
export function isRefusal(error: unknown): boolean {
  return error instanceof ReplyError && /^(ERR|NOPERM)\b/.test((error as Error).message);
}

/**
 * Returns the options of a connection that subscribes, and does not reconnect.
 *
 * @param options those of a connection that reads keys.
 */
export function subscriberOptions(options: RedisOptions, connectionName: string): RedisOptions {
  return {
    ...options,
    // ioredis does not deliver invalidation messages in RESP3.
    protocol: 2,
    // Messages are the same in all databases.
    db: 0,
    connectionName,
    // A connection is never reused, and the heartbeat detects a silent one.
    retryStrategy: () => null,
    autoResubscribe: false,
    commandTimeout: undefined,
    socketTimeout: undefined,
    // With sentinels, verifies the role. Otherwise it is skipped, because INFO requires a permission of its own.
    enableReadyCheck: options.sentinels !== undefined,
  };
}
