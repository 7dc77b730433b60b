import type { ListedNode } from '../cluster/slot-map.ts';
import type { RedisReply } from '../redis-reply.ts';

/** The server that the keys of one master are loaded from, with REDIS_READ_FROM. */
export interface ReadSource {
  /** `host:port` of the master in a cluster; REDIS_SENTINEL_NAME with sentinels. */
  readonly master: string;
  /** `none`: no server can be read. */
  readonly role: 'replica' | 'master' | 'none';
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

/** Whether no other selection has been made since. */
export function isLatest({ epoch, latestEpoch }: ReadSources): boolean {
  return Atomics.load(latestEpoch, 0) === epoch;
}

/**
 * Returns a reply that is never stored: it was read from a server whose invalidation messages the instance does not receive, or
 * may not have received when the reply was sent.
 */
export function unstorable(reply: RedisReply): RedisReply {
  return reply.kind === 'value' || reply.kind === 'missing' ? { ...reply, ttlMs: 0 } : reply;
}

/** Whether a reply shows that its server cannot serve reads now, so that another one may. A time-out leaves no time for that. */
export function isServerFailure(reply: { readonly kind: string }): boolean {
  const { kind, scope, redirect } = reply as Extract<RedisReply, { kind: 'unavailable' }>;
  return kind === 'unavailable' && scope !== 'command' && redirect === undefined;
}
