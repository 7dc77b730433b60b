import { Buffer } from 'node:buffer';
import type { RedisOptions } from 'ioredis';
import { parseKeyPatterns } from '../config/key-pattern-syntax.ts';
import type { Settings } from '../config/settings.ts';
import {
  type ConnectionListener,
  HEARTBEAT,
  type TrackedServer,
  openInvalidationConnection,
} from './invalidation-connection.ts';
import { backOffMs } from '../redis/redis-options.ts';
import { LoginChoice, RedisLogins } from '../redis/redis-logins.ts';
import type { RenewedSubscriber } from './renewed-subscriber.ts';
import { type Heartbeat, subscriberOptions } from './subscriber-connection.ts';

/** When a feed acts by itself. */
export interface FeedTimes {
  /** Milliseconds before tracking is requested again after a refusal. */
  readonly refusedRetryMs: number;
  readonly heartbeat: Heartbeat;
}

const TIMES: FeedTimes = { refusedRetryMs: 5000, heartbeat: HEARTBEAT };

/** Whether a feed receives the invalidation messages of its Redis. */
export type FeedState =
  /** It receives all of them from now on. */
  | { readonly kind: 'tracking' }
  /** Its connection was lost; `reason` is an error code. */
  | { readonly kind: 'lost'; readonly reason: string }
  /** Redis rejected CLIENT TRACKING; `reason` is the error code. */
  | { readonly kind: 'refused'; readonly reason: string };

export interface FeedListener {
  /** Called when a key was written, has expired or was evicted. */
  onInvalidation(key: Buffer): void;
  /** Called after FLUSHALL or FLUSHDB. */
  onFlush(): void;
  /** Called when every write acknowledged more than `ageMs` milliseconds ago has been received. */
  onHeartbeat(ageMs: number): void;
  /** Called with each change of the state; a feed starts as lost. */
  onState(state: FeedState): void;
}

/** Receives the invalidation messages of one Redis while started; reconnects and requests tracking again automatically. */
export class InvalidationFeed {
  readonly #server: TrackedServer;
  readonly #refusedRetryMs: number;
  #connection: RenewedSubscriber | undefined;
  #retry: NodeJS.Timeout | undefined;
  #attempts = 0;
  #reportedKind: FeedState['kind'] | undefined;

  /**
   * @param options ioredis options for its Redis, without credentials.
   * @param nodeId id of the cluster node that must be at the address; empty: any.
   */
  constructor(
    options: RedisOptions,
    { redis, access }: Settings,
    nodeId = '',
    { refusedRetryMs, heartbeat }: FeedTimes = TIMES,
    logins = new RedisLogins(redis),
  ) {
    this.#server = {
      options: subscriberOptions(options, 'redis-http-cache-proxy:invalidations'),
      logins: { logins, choice: new LoginChoice(logins) },
      heartbeat,
      prefixes: literalPrefixes(access.keyPatterns),
      startMs: redis.connectTimeoutMs + redis.commandTimeoutMs,
      nodeId,
    };
    this.#refusedRetryMs = refusedRetryMs;
  }

  start(listener: FeedListener): void {
    const connectionListener: ConnectionListener = {
      onTracking: () => {
        this.#attempts = 0;
        this.#report({ kind: 'tracking' }, listener);
      },
      onInvalidation: (key) => listener.onInvalidation(key),
      onFlush: () => listener.onFlush(),
      onHeartbeat: (ageMs) => listener.onHeartbeat(ageMs),
      onEnd: (end) => {
        const delayMs = end.kind === 'refused' ? this.#refusedRetryMs : backOffMs(++this.#attempts);
        this.#retry = setTimeout(() => this.start(listener), delayMs);
        // A Redis that is lost after a refusal still counts as refusing.
        if (end.kind === 'refused' || this.#reportedKind !== 'refused') this.#report(end, listener);
      },
    };
    this.#connection = openInvalidationConnection(this.#server, connectionListener);
  }

  stop(): void {
    clearTimeout(this.#retry);
    this.#connection?.close();
  }

  #report(state: FeedState, listener: FeedListener): void {
    if (state.kind === this.#reportedKind) return;
    this.#reportedKind = state.kind;
    listener.onState(state);
  }
}

/**
 * Returns the literal prefixes of the patterns in KEY_ALLOWLIST, none a prefix of another, as CLIENT TRACKING requires; empty
 * if a pattern may match any key.
 */
export function literalPrefixes(keyPatterns: string): Buffer[] {
  const all = (parseKeyPatterns(keyPatterns) ?? [[]]).map((pattern) => {
    const end = pattern.findIndex((element) => element === 'any-bytes' || element.size !== 1);
    const literal = end === -1 ? pattern : pattern.slice(0, end);
    return Buffer.from(literal.flatMap((element) => (element === 'any-bytes' ? [] : [...element])));
  });
  all.sort((a, b) => Buffer.compare(a, b));
  if (all[0].length === 0) return [];
  const prefixes: Buffer[] = [];
  for (const prefix of all) {
    const last = prefixes.at(-1);
    if (last === undefined || !prefix.subarray(0, last.length).equals(last)) prefixes.push(prefix);
  }
  return prefixes;
}
