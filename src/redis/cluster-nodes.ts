import type { RedisNode } from '../config/redis-nodes.ts';
import type { Settings } from '../config/settings.ts';
import type { CircuitState } from './circuit-breaker.ts';
import { addressOf } from './cluster-view.ts';
import type { RedisState } from './reader.ts';
import { RedisConnection } from './redis-connection.ts';
import { nodeOptions } from './redis-options.ts';

/** A node that only redirections lead to is kept for as long as this after the last of them. */
const DETOUR_MS = 60_000;

/** A connection to a node of a cluster. */
export interface ClusterNode {
  readonly node: RedisNode;
  readonly connection: RedisConnection;
  state: RedisState;
  circuit: CircuitState;
  /** When a redirection has led here, by `performance.now()`. */
  redirectedAt: number;
}

/** This thread's connections to the nodes of a cluster: one to each master, and to where redirections lead. */
export class ClusterNodes {
  readonly #settings: Pick<Settings, 'redis' | 'cache'>;
  readonly #changed: () => void;
  readonly #circuitChanged: (reason: string) => void;
  readonly #nodes = new Map<string, ClusterNode>();
  /** Connections that are about to end. */
  readonly #leaving = new Map<RedisConnection, NodeJS.Timeout>();

  /**
   * @param changed is called when the state of a connection has changed.
   * @param circuitChanged is called when that of its circuit has, with the reason for it.
   */
  constructor(
    settings: Pick<Settings, 'redis' | 'cache'>,
    changed: () => void,
    circuitChanged: (reason: string) => void,
  ) {
    this.#settings = settings;
    this.#changed = changed;
    this.#circuitChanged = circuitChanged;
  }

  /** That of the connection that is worst off. */
  get circuit(): CircuitState {
    const states = [...this.#nodes.values()].map(({ circuit }) => circuit);
    return (['open', 'half-open'] as const).find((state) => states.includes(state)) ?? 'closed';
  }

  /** The connection to a node; if it is new it begins to connect. */
  at(node: RedisNode): ClusterNode {
    const address = addressOf(node);
    const known = this.#nodes.get(address);
    if (known !== undefined) return known;
    const connection = new RedisConnection(nodeOptions(this.#settings.redis, node), this.#settings);
    const added: ClusterNode = {
      node,
      connection,
      state: { reachable: false, reason: 'connection' },
      circuit: 'closed',
      redirectedAt: -Infinity,
    };
    this.#nodes.set(address, added);
    connection.watch((state) => {
      added.state = state;
      this.#changed();
    });
    connection.watchCircuit((state, reason) => {
      added.circuit = state;
      this.#circuitChanged(reason);
    });
    void connection.connect();
    return added;
  }

  /** Keeps the connections to these nodes and ends the others, once what is under way on them is answered. */
  keep(nodes: readonly RedisNode[]): void {
    const kept = new Set(nodes.map(addressOf));
    const now = performance.now();
    for (const [address, { connection, redirectedAt }] of this.#nodes) {
      if (kept.has(address) || now - redirectedAt < DETOUR_MS) continue;
      this.#nodes.delete(address);
      const end = setTimeout(() => this.#end(connection), this.#settings.redis.commandTimeoutMs);
      this.#leaving.set(connection, end);
      this.#circuitChanged('');
    }
  }

  close(): void {
    for (const connection of this.#leaving.keys()) this.#end(connection);
    for (const { connection } of this.#nodes.values()) connection.close();
  }

  #end(connection: RedisConnection): void {
    clearTimeout(this.#leaving.get(connection));
    this.#leaving.delete(connection);
    connection.close();
  }
}
