import { performance } from 'node:perf_hooks';
import { Redis, type RedisOptions, ReplyError } from 'ioredis';
import { missingPermissionIn, errorCode } from '../redis/redis-failure.ts';

/** Channel on which Redis sends invalidation messages to RESP2 connections. */
const CHANNEL = '__redis__:invalidate';
const PING_INTERVAL_MS = 250;
/** The connection is closed if this many PINGs are outstanding when the next one is due. */
const MAX_OUTSTANDING_PINGS = 2;

/**
 * Milliseconds after its acknowledgement within which a write has been received, or the connection closed. Redis writes the
 * invalidation message to this connection before it acknowledges the write, so the PONG to any later PING arrives after it.
 * The next PING is sent within one interval, and its PONG must arrive within the following two.
 */
export const STALENESS_BOUND_MS = (1 + MAX_OUTSTANDING_PINGS) * PING_INTERVAL_MS;

/** Why the invalidation stream ended. */
export type ConnectionEnd =
  /** The connection failed or its heartbeat stopped. */
  | { readonly kind: 'lost'; readonly reason: string }
  /** Redis rejected CLIENT TRACKING. */
  | { readonly kind: 'refused'; readonly reason: string };

export interface ConnectionListener {
  /** Called once all later writes send an invalidation message. */
  onTracking(): void;
  /** Called when every write acknowledged more than `ageMs` milliseconds ago has been received. */
  onHeartbeat(ageMs: number): void;
  onInvalidation(key: Buffer): void;
  onFlush(): void;
  /** Called once, as the last call. */
  onEnd(end: ConnectionEnd): void;
}

/**
 * A connection in CLIENT TRACKING BCAST mode that redirects invalidation messages to itself. So there is no second connection
 * whose loss would go unnoticed, and a PONG proves that all earlier messages have arrived.
 */
export class InvalidationConnection {
  readonly #redis: Redis;
  readonly #prefixes: readonly Buffer[];
  readonly #listener: ConnectionListener;
  readonly #nodeId: string;
  #timer: NodeJS.Timeout;
  #outstandingPings = 0;
  #ended = false;

  /**
   * @param options ioredis options for a RESP2 connection that does not reconnect.
   * @param prefixes prefixes of the tracked keys; empty: all keys.
   * @param startMs milliseconds within which tracking must be active.
   * @param nodeId id of the cluster node that must be at the address; empty: any.
   */
  constructor(
    options: RedisOptions,
    prefixes: readonly Buffer[],
    startMs: number,
    listener: ConnectionListener,
    nodeId = '',
  ) {
    this.#redis = new Redis(options);
    this.#prefixes = prefixes;
    this.#listener = listener;
    this.#nodeId = nodeId;
    this.#redis.on('error', (error: Error) => this.#end({ kind: 'lost', reason: errorCode(error) }));
    this.#redis.on('close', () => this.#end({ kind: 'lost', reason: 'connection' }));
    this.#redis.on('messageBuffer', (_channel: Buffer, message: unknown) => this.#receive(message));
    this.#timer = setTimeout(() => this.#end({ kind: 'lost', reason: 'timeout' }), startMs);
    void this.#start();
  }

  /** Closes the connection without calling the listener. */
  close(): void {
    this.#ended = true;
    clearInterval(this.#timer);
    this.#redis.disconnect();
  }

  async #start(): Promise<void> {
    try {
      await this.#redis.connect();
    } catch (error) {
      // Errors while connecting do not concern tracking.
      return this.#end({ kind: 'lost', reason: errorCode(error) });
    }
    try {
      if (!(await this.#isExpectedNode())) return this.#end({ kind: 'lost', reason: 'another node' });
      await this.#track();
    } catch (error) {
      return this.#fail(error);
    }
    if (this.#ended) return;
    clearTimeout(this.#timer);
    this.#timer = setInterval(() => this.#sendPing(), PING_INTERVAL_MS);
    this.#listener.onTracking();
    this.#sendPing();
  }

  /**
   * Whether the node at the address is the one listed by CLUSTER SLOTS: the address may lead to its predecessor for a while,
   * which no longer receives writes. A node that refuses CLUSTER MYID is accepted.
   */
  async #isExpectedNode(): Promise<boolean> {
    if (this.#nodeId === '') return true;
    try {
      return String(await this.#redis.cluster('MYID')) === this.#nodeId;
    } catch (error) {
      if (isRefusal(error)) return true;
      throw error;
    }
  }

  /** Enables tracking and then subscribes, because a subscribed connection accepts no other commands. */
  async #track(): Promise<void> {
    const id = await this.#redis.client('ID');
    const prefixes = this.#prefixes.flatMap((prefix) => ['PREFIX', prefix]);
    await this.#redis.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', id, 'BCAST', ...prefixes);
    await this.#redis.subscribe(CHANNEL);
  }

  #sendPing(): void {
    if (this.#outstandingPings === MAX_OUTSTANDING_PINGS) return this.#end({ kind: 'lost', reason: 'timeout' });
    this.#outstandingPings++;
    const sentAt = performance.now();
    this.#redis.ping().then(
      () => this.#receivePong(sentAt),
      (error: unknown) => this.#fail(error),
    );
  }

  #receivePong(sentAt: number): void {
    this.#outstandingPings--;
    if (!this.#ended) this.#listener.onHeartbeat(performance.now() - sentAt);
  }

  /** @param message keys, or null after a flush; anything else was published by another client. */
  #receive(message: unknown): void {
    if (this.#ended) return;
    if (message === null) this.#listener.onFlush();
    else if (Array.isArray(message)) for (const key of message as Buffer[]) this.#listener.onInvalidation(key);
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
    this.#listener.onEnd(end);
  }
}

/** Whether an error rejects tracking; other errors (LOADING, BUSY, …) are temporary. */
function isRefusal(error: unknown): boolean {
  return error instanceof ReplyError && /^(ERR|NOPERM)\b/.test((error as Error).message);
}
