import type { RedisOptions } from 'ioredis';
import type { Settings } from '../config/settings.ts';
import { type ConnectionListener, InvalidationConnection } from './invalidation-connection.ts';
import { literalPrefixes } from './literal-prefixes.ts';
import { backOffMs } from '../redis/redis-options.ts';

/** Milliseconds for which a refusal counts before it is asked again. */
const REFUSED_RETRY_MS = 5000;

/** What a feed knows of the writes to its Redis. */
export type FeedState =
  /** All of them, from now on. */
  | { readonly kind: 'tracking' }
  /** Nothing for now; `reason` is a code word. */
  | { readonly kind: 'lost'; readonly reason: string }
  /** Nothing, as the Redis refuses to tell; `reason` is the error's code word. */
  | { readonly kind: 'refused'; readonly reason: string };

export interface FeedListener {
  /** A key was written, has expired or was evicted. */
  invalidated(key: Buffer): void;
  /** Redis was emptied. */
  flushed(): void;
  /** All writes have been told that were acknowledged so many milliseconds ago. */
  heard(agoMs: number): void;
  /** Only told of changes; a feed starts as lost. */
  changed(state: FeedState): void;
}

/** The news of all writes to one Redis, for as long as it is started. It connects again, and asks again, by itself. */
export class InvalidationFeed {
  readonly #options: RedisOptions;
  readonly #prefixes: readonly Buffer[];
  readonly #startMs: number;
  readonly #refusedRetryMs: number;
  readonly #nodeId: string;
  #connection: InvalidationConnection | undefined;
  #retry: NodeJS.Timeout | undefined;
  #attempts = 0;
  #known: FeedState['kind'] | undefined;

  /**
   * @param options of a connection to its Redis.
   * @param nodeId the node of a cluster that has to be there; empty: any.
   */
  constructor(options: RedisOptions, { redis, access }: Settings, nodeId = '', refusedRetryMs = REFUSED_RETRY_MS) {
    this.#options = feedOptions(options);
    this.#nodeId = nodeId;
    this.#prefixes = literalPrefixes(access.keyPatterns);
    this.#startMs = redis.connectTimeoutMs + redis.commandTimeoutMs;
    this.#refusedRetryMs = refusedRetryMs;
  }

  start(listener: FeedListener): void {
    const connectionListener: ConnectionListener = {
      tracking: () => {
        this.#attempts = 0;
        this.#change({ kind: 'tracking' }, listener);
      },
      invalidated: (key) => listener.invalidated(key),
      flushed: () => listener.flushed(),
      heard: (agoMs) => listener.heard(agoMs),
      ended: (end) => {
        const delayMs = end.kind === 'refused' ? this.#refusedRetryMs : backOffMs(++this.#attempts);
        this.#retry = setTimeout(() => this.start(listener), delayMs);
        // A Redis that refuses and then goes away is not known to have changed its mind.
        if (end.kind === 'refused' || this.#known !== 'refused') this.#change(end, listener);
      },
    };
    this.#connection = new InvalidationConnection(
      this.#options,
      this.#prefixes,
      this.#startMs,
      connectionListener,
      this.#nodeId,
    );
  }

  stop(): void {
    clearTimeout(this.#retry);
    this.#connection?.close();
  }

  #change(state: FeedState, listener: FeedListener): void {
    if (state.kind === this.#known) return;
    this.#known = state.kind;
    listener.changed(state);
  }
}

function feedOptions(options: RedisOptions): RedisOptions {
  return {
    ...options,
    // ioredis does not pass on what Redis tells of in RESP3.
    protocol: 2,
    // Redis tells of the keys of all databases.
    db: 0,
    connectionName: 'redis-http-cache-proxy:invalidations',
    // A connection is never used again, and one that is silent is found out sooner than by these.
    retryStrategy: () => null,
    autoResubscribe: false,
    commandTimeout: undefined,
    socketTimeout: undefined,
    // Makes sure that it is the master. Otherwise it is not worth the right to ask: nobody reads while data is loaded.
    enableReadyCheck: options.sentinels !== undefined,
  };
}
