import type { WatchCircuit } from './connection/circuit-breaker.ts';
import type { RedisCheck, RedisTtl, RedisReply, RedisType } from './redis-reply.ts';
import type { Query } from './query.ts';
import type { LoadRole, ReadSources } from './replicas/read-sources.ts';
import type { ReplacedNode } from './cluster/replaced-node.ts';
import type { ValueMemory } from './connection/value-memory.ts';

/** Whether Redis is reachable and, if not, the code of the last error. */
export type RedisState =
  | {
      readonly reachable: true;
      /** The missing permission to read any key: `+pttl`. */
      readonly missingPermission?: string;
    }
  | { readonly reachable: false; readonly reason: string };

export function isSameState(a: RedisState | undefined, b: RedisState): boolean {
  if (a === undefined) return false;
  return a.reachable
    ? b.reachable && a.missingPermission === b.missingPermission
    : !b.reachable && a.reason === b.reason;
}

/**
 * Reads Redis over one connection, or over one connection per master of a cluster. Reconnects automatically. It is
 * an abstract class because Nest can inject a class, but not an interface.
 */
export abstract class RedisReader {
  /** Starts to connect and waits for the first attempt, at most REDIS_CONNECT_TIMEOUT_MS. */
  abstract connect(): Promise<void>;

  /**
   * Reads these servers from now on. With REDIS_READ_FROM other than `master`, must be called before {@link connect} and whenever
   * the main thread has selected others.
   */
  abstract useSources(sources: ReadSources): void;

  /** The servers that were passed to {@link useSources} last. */
  abstract readonly sources: ReadSources | undefined;

  /** Closes all connections permanently; pending commands fail. */
  abstract close(): void;

  /** Calls `watch` with the current state, if known, and with each later one. */
  abstract watch(watch: (state: RedisState) => void): void;

  /** Calls `watch` with the current state of the circuit and with each later one. */
  abstract watchCircuit(watch: WatchCircuit): void;

  /** Calls `watch` with each permission, such as `+hgetall`, that a query other than GET lacked, once for each connection. */
  abstract watchRefused(watch: (permission: string) => void): void;

  /** Calls `watch` whenever a connection is replaced because another node took over its address. Clusters only. */
  abstract watchReplaced(watch: (node: ReplacedNode) => void): void;

  /** Calls `watch` with the role of each server that has served a read, if REDIS_READ_FROM is not `master`. */
  abstract watchServed(watch: (role: LoadRole) => void): void;

  /**
   * Reads the result of a query and the TTL of its key. The query is sent first, so that if the key is written between the two commands the TTL of the new
   * value limits the old one, never the reverse. All reads of one event-loop tick are one write; any number may be pending.
   *
   * @param onReply called exactly once, also after a time-out; synchronously while disconnected or the circuit is open.
   * @param memory for a value that arrives in several parts.
   */
  abstract fetch(query: Query, onReply: (reply: RedisReply) => void, memory: ValueMemory): void;

  /** Queries the TTL of a key. */
  abstract ttl(key: Buffer): Promise<RedisTtl>;

  /** Queries the type of a key's value. */
  abstract type(key: Buffer): Promise<RedisType>;

  /** Reads a probe key as {@link fetch} does and returns whether reads succeed. */
  abstract check(): Promise<RedisCheck>;
}
