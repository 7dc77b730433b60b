import type { PackedSettings } from '../config/settings-transfer.ts';
import type { InternalPartName, InternalPartState } from '../internals/internal-part.ts';
import type { CircuitState } from '../redis/connection/circuit-breaker.ts';
import type { RedisState } from '../redis/redis-reader.ts';
import type { ReplacedNode } from '../redis/cluster/replaced-node.ts';

/** What a worker thread tells the supervisor. */
export type WorkerMessage =
  | { readonly kind: 'listening' }
  /** It accepts no more connections. */
  | { readonly kind: 'stopped' }
  /** It cannot start; `problem` is for people. */
  | { readonly kind: 'failed'; readonly problem: string }
  | { readonly kind: 'redis'; readonly state: RedisState }
  /** Which private parts of Node.js and ioredis it uses; sent before it listens, and on each change. */
  | { readonly kind: 'internals'; readonly states: Readonly<Record<InternalPartName, InternalPartState>> }
  /** `reason` says why it is open. */
  | { readonly kind: 'circuit'; readonly state: CircuitState; readonly reason: string }
  /** It has replaced its connection to this node of a cluster. */
  | { readonly kind: 'replaced'; readonly node: ReplacedNode };

/**
 * What the supervisor tells a worker thread: first to accept no more connections, then, when no thread does, to answer
 * what it has accepted and end. A client whose connection ends would else turn to a thread that is about to end too.
 * `tokens`: to go on with the tokens in these settings.
 */
export type SupervisorMessage = 'stop' | 'drain' | { readonly kind: 'tokens'; readonly settings: PackedSettings };
