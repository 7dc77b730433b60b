import type { WatchCircuit } from './connection/circuit-breaker.ts';
import type { RedisCheck, RedisExpiry, RedisReply, RedisType } from './redis-reply.ts';
import type { ReplacedNode } from './cluster/replaced-node.ts';
import type { ValueMemory } from './connection/value-memory.ts';

/** Whether there is a connection, and if not, the last error's code. */
export type RedisState =
  | {
      readonly reachable: true;
      /** The right that the account lacks to read any key: `+pttl`. */
      readonly missingRight?: string;
    }
  | { readonly reachable: false; readonly reason: string };

export function isSameState(a: RedisState | undefined, b: RedisState): boolean {
  if (a === undefined) return false;
  return a.reachable ? b.reachable && a.missingRight === b.missingRight : !b.reachable && a.reason === b.reason;
}

/** What reads a Redis: over one connection, or over one to each master of a cluster. It connects again by itself. */
export interface RedisReader {
  /** Begins to connect, and waits for the first attempt, but no longer than REDIS_CONNECT_TIMEOUT_MS. */
  connect(): Promise<void>;

  /** Ends for good: what is under way fails. */
  close(): void;

  /** Tells `watch` of each change of the state from now on, and of the one it is in. */
  watch(watch: (state: RedisState) => void): void;

  /** Tells `watch` of each change of the circuit's state from now on, and of the one it is in. */
  watchCircuit(watch: WatchCircuit): void;

  /** Calls `watch` from now on for each connection that was replaced since its address is another node's. Clusters only. */
  watchReplaced?(watch: (node: ReplacedNode) => void): void;

  /**
   * Reads a key and its time to live. GET goes first: were a key written between the two commands, a new key's shorter
   * time would then bound the old value, never the other way round. All that is asked in one turn of the event loop goes
   * out as one write; any number of them may be under way.
   *
   * @param take is called once, also when no reply came in time; at once when there is no connection, or
   *   Redis is spared.
   * @param memory for a value that does not arrive in one piece.
   */
  fetch(key: Buffer, take: (reply: RedisReply) => void, memory: ValueMemory): void;

  /** Asks for how long a key lives. */
  expiry(key: Buffer): Promise<RedisExpiry>;

  /** Queries the type of a key's value. */
  type(key: Buffer): Promise<RedisType>;

  /** Reads a key, as {@link fetch} does, and returns whether reads succeed. */
  check(): Promise<RedisCheck>;
}
