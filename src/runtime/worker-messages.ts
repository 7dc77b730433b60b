import type { PackedSettings } from '../config/settings-transfer.ts';
import type { InternalPartName, InternalPartState } from '../internals/internal-part.ts';
import type { CircuitState } from '../redis/connection/circuit-breaker.ts';
import type { LoginOutcome } from '../redis/redis-logins.ts';
import type { RedisState } from '../redis/redis-reader.ts';
import type { Invalidation } from '../instance/packed-keys.ts';
import type { ReadSources } from '../redis/replicas/read-sources.ts';
import type { ReplacedNode } from '../redis/cluster/replaced-node.ts';

/** Messages from a worker thread to the supervisor. */
export type WorkerMessage =
  | { readonly kind: 'listening' }
  /** The worker accepts no new connections. */
  | { readonly kind: 'stopped' }
  /** The worker failed to start; `problem` describes why. */
  | { readonly kind: 'failed'; readonly problem: string }
  | { readonly kind: 'redis'; readonly state: RedisState }
  /** The private parts of Node.js and ioredis in use; sent before the worker listens and on each change. */
  | { readonly kind: 'internals'; readonly states: Readonly<Record<InternalPartName, InternalPartState>> }
  /** `reason` is the cause of an open circuit. */
  | { readonly kind: 'circuit'; readonly state: CircuitState; readonly reason: string }
  /** The Redis account lacks this permission, which a query other than GET needs. */
  | { readonly kind: 'refused'; readonly permission: string }
  /** What Redis replied to the worker's credentials. */
  | { readonly kind: 'login'; readonly outcome: LoginOutcome }
  /** The worker has replaced its connection to this node of a cluster. */
  | { readonly kind: 'replaced'; readonly node: ReplacedNode };

/**
 * Messages from the supervisor to a worker thread. `stop`: accept no new connections. `drain`: complete the requests in
 * flight and exit; sent when all workers have stopped, so that a reconnecting client does not reach a worker that is about
 * to exit as well. `settings`: use the content of files in these settings. `invalidation`: these keys were written, for clients
 * that track keys; undefined: any key may have been written. `sources`: load keys from these servers.
 */
export type SupervisorMessage =
  | 'stop'
  | 'drain'
  | { readonly kind: 'settings'; readonly settings: PackedSettings }
  | { readonly kind: 'sources'; readonly sources: ReadSources }
  | { readonly kind: 'invalidation'; readonly keys: Invalidation };
