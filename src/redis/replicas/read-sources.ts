import { performance } from 'node:perf_hooks';
import type { Settings } from '../../config/settings.ts';
import type { ListedNode } from '../cluster/slot-map.ts';
import { type RedisFailure, type RedisReply, isFailure } from '../redis-reply.ts';
import { untilDeadline } from '../until-deadline.ts';

/** Role of a server that serves a Redis read. */
export type LoadRole = 'replica' | 'master';

/** The server that the keys of one master are loaded from, with REDIS_READ_FROM. */
export interface ReadSource {
  /** `host:port` of the master in a cluster; REDIS_SENTINEL_NAME with sentinels. */
  readonly master: string;
  /** `none`: no server can be read. */
  readonly role: LoadRole | 'none';
  /** `host:port` of the server; undefined if there is none. */
  readonly address?: string;
  /** Set if and only if the role is `replica`. */
  readonly replica?: ListedNode;
}

/** The sources that the main thread has selected for all threads of the instance. */
export interface ReadSources {
  /** Number of this selection. */
  readonly epoch: number;
  /** The number of the latest selection, in shared memory; it is updated before anything else is done about a change. */
  readonly latestEpoch: Int32Array;
  /** One for each master. */
  readonly sources: readonly ReadSource[];
}

/** Whether what a reader loads may be stored. */
export interface StoreCondition {
  /** Whether only values of the servers whose invalidations and purges the instance receives may be stored. */
  readonly isCoherent: boolean;
  /** The selection by which the read was sent; undefined if there was none. */
  readonly sources: ReadSources | undefined;
  /** Whether the reply came from the selected server. */
  readonly isSelected: boolean;
}

/**
 * Returns the reply, or one that is never stored if its server is not, or not any more, the one whose messages the instance
 * receives. Must be called when the reply has arrived: a later change of the server voids the lease of the load.
 */
export function limitStorage(reply: RedisReply, { isCoherent, sources, isSelected }: StoreCondition): RedisReply {
  if (!isCoherent || (isSelected && sources !== undefined && isLatest(sources))) return reply;
  return reply.kind === 'value' || reply.kind === 'missing' ? { ...reply, ttlMs: 0 } : reply;
}

function isLatest({ epoch, latestEpoch }: ReadSources): boolean {
  return Atomics.load(latestEpoch, 0) === epoch;
}

/** Whether coherence depends on which server values are read from. */
export function isCoherent({ cache }: Pick<Settings, 'cache'>): boolean {
  return cache.coherence === 'tracking' || cache.purgeChannel !== undefined;
}

/** Whether a reply shows that its server cannot serve reads now, so that another one may. A time-out leaves no time for that. */
export function isServerFailure(reply: { readonly kind: string }): boolean {
  const { kind, scope, redirect } = reply as Extract<RedisReply, { kind: 'unavailable' }>;
  return kind === 'unavailable' && scope !== 'command' && redirect === undefined;
}

/** The result while no server can be read. */
export const NO_SOURCE = { kind: 'unavailable', reason: 'no replica can be read' } as const;

/** Sends a read and calls back exactly once; `isRedirected`: the reply is that of a server that it was redirected to. */
export type Attempt<Reply> = (onReply: (reply: Reply | RedisFailure, isRedirected?: boolean) => void) => void;

/** Calls `count` with each reply of a read that is not a failure. */
export function counted<Reply extends { readonly kind: string }>(
  attempt: Attempt<Reply>,
  count: (isRedirected: boolean) => void,
): Attempt<Reply> {
  return (onReply) =>
    attempt((reply, isRedirected = false) => {
      if (!isFailure(reply)) count(isRedirected);
      onReply(reply, isRedirected);
    });
}

/** The servers that a read is sent to. */
export interface Attempts<Reply> {
  readonly first: Attempt<Reply>;
  /** Undefined: no other server may be read. */
  readonly second: Attempt<Reply> | undefined;
  /** Whether the second server is read as well if the key does not exist at the first one. */
  readonly confirmsMissing: boolean;
  /** Milliseconds for both. */
  readonly timeoutMs: number;
}

/**
 * Sends a read to a server, and to another one if the first cannot serve reads now, or must not be believed.
 *
 * @param onReply called once; `isSelected`: the first server has replied itself.
 */
export function readFrom<Reply extends { readonly kind: string }>(
  { first, second, confirmsMissing, timeoutMs }: Attempts<Reply>,
  onReply: (reply: Reply | RedisFailure, isSelected: boolean) => void,
): void {
  const deadline = performance.now() + timeoutMs;
  first((reply, isRedirected = false) => {
    const isUnconfirmed = confirmsMissing && reply.kind === 'missing' && !isRedirected;
    if (second === undefined || performance.now() >= deadline || !(isUnconfirmed || isServerFailure(reply))) {
      return onReply(reply, !isRedirected);
    }
    let isOtherRedirected = false;
    const end = untilDeadline<Reply | RedisFailure>(deadline, (other) => {
      const isConfirmed = isUnconfirmed && (isFailure(other) || (other.kind === 'missing' && !isOtherRedirected));
      if (isConfirmed) onReply(reply, true);
      else onReply(other, false);
    });
    second((other, isElsewhere = false) => {
      isOtherRedirected = isElsewhere;
      end(other);
    });
  });
}
