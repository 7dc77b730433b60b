import type { RedisNode } from '../../config/redis/redis-nodes.ts';
import type { Settings } from '../../config/settings.ts';
import type { CircuitState } from '../connection/circuit-breaker.ts';
import { type NamedNode, addressOf, isSameId } from './cluster-view.ts';
import type { RedisState } from '../redis-reader.ts';
import { RedisConnection } from '../connection/redis-connection.ts';
import { nodeOptions } from '../redis-options.ts';
import type { ReplacedNode } from './replaced-node.ts';
import { ReplacementLimiter } from './replacement-limiter.ts';

/** A node that only redirects lead to is kept for as long as this after the last of them. */
const REDIRECT_TTL_MS = 60_000;

/** An address at which a node of a cluster listens, and the connection to it. */
export interface ClusterNode {
  readonly node: RedisNode;
  /** The id of the node that the connection is to lead to; empty until CLUSTER SLOTS names it. */
  id: string;
  /** Replaced by another one when another node has taken over the address. */
  connection: RedisConnection;
  state: RedisState;
  circuit: CircuitState;
  /** When a redirect has led here, by `performance.now()`. */
  redirectedAt: number;
  /** The node that the connection before this one led to, until this one is established. */
  replaced: ReplacedNode | undefined;
  /** Resolves when the first attempt of a connection that replaces another is over; undefined: it is. */
  opening: Promise<void> | undefined;
}

export interface ClusterNodesListener {
  /** The state of a connection has changed. */
  changed(): void;
  /** The state of a connection's circuit has changed; `reason` says why it is open. */
  circuitChanged(reason: string): void;
  /**
   * The connection to a node was replaced, because another node has taken over its address, and the new one is established:
   * a connection that is opened from now on leads to the same node, or a later one.
   */
  replaced(node: ReplacedNode): void;
}

/** This thread's connections to the nodes of a cluster: one to each master, and to where redirects lead. */
export class ClusterNodes {
  readonly #settings: Pick<Settings, 'redis' | 'cache'>;
  readonly #listener: ClusterNodesListener;
  readonly #nodes = new Map<string, ClusterNode>();
  readonly #limiter = new ReplacementLimiter();
  /** Connections that end when the commands under way on them have had their time. */
  readonly #closing = new Map<RedisConnection, NodeJS.Timeout>();

  constructor(settings: Pick<Settings, 'redis' | 'cache'>, listener: ClusterNodesListener) {
    this.#settings = settings;
    this.#listener = listener;
  }

  /** The worst state among the circuits of all connections. */
  get circuit(): CircuitState {
    const states = [...this.#nodes.values()].map(({ circuit }) => circuit);
    return (['open', 'half-open'] as const).find((state) => states.includes(state)) ?? 'closed';
  }

  /** The node at an address, by whatever id; if it is new it begins to connect. */
  at(node: RedisNode): ClusterNode {
    const address = addressOf(node);
    const known = this.#nodes.get(address);
    if (known !== undefined) return known;
    const added: ClusterNode = {
      node,
      id: '',
      connection: this.#connectionTo(node),
      state: { reachable: false, reason: 'connection' },
      circuit: 'closed',
      redirectedAt: -Infinity,
      replaced: undefined,
      opening: undefined,
    };
    this.#nodes.set(address, added);
    void this.#open(added);
    return added;
  }

  /**
   * A master as CLUSTER SLOTS names it. When another id is known at its address, the connection leads to the process that
   * was there before, however well that still answers, and is replaced.
   */
  named(node: NamedNode): ClusterNode {
    const known = this.at(node);
    if (!isSameId(known.id, node.id)) this.#replace(known, 'id');
    if (node.id !== '') known.id = node.id;
    return known;
  }

  /**
   * Replaces the connection over which a node has redirected to its own address: new connections lead to the process that
   * is meant.
   *
   * @param redirecting the connection that the redirect came over; it may have been replaced since.
   * @returns false while the last attempt at this address is too recent.
   */
  replace(known: ClusterNode, redirecting: RedisConnection): boolean {
    if (known.connection !== redirecting) return true;
    if (this.#limiter.tryReplace(addressOf(known.node)) > 0) return false;
    this.#replace(known, 'redirect');
    return true;
  }

  /** Keeps the connections to these nodes and closes the others, once the commands under way on them have replies. */
  keep(nodes: readonly RedisNode[]): void {
    const kept = new Set(nodes.map(addressOf));
    const now = performance.now();
    for (const [address, { connection, redirectedAt }] of this.#nodes) {
      if (kept.has(address) || now - redirectedAt < REDIRECT_TTL_MS) continue;
      this.#nodes.delete(address);
      this.#closeLater(connection);
      this.#listener.circuitChanged('');
    }
  }

  close(): void {
    for (const connection of this.#closing.keys()) this.#end(connection);
    for (const { connection } of this.#nodes.values()) connection.close();
  }

  #connectionTo(node: RedisNode): RedisConnection {
    return new RedisConnection(nodeOptions(this.#settings.redis, node), this.#settings);
  }

  #open(node: ClusterNode): Promise<void> {
    const { connection } = node;
    connection.watch((state) => {
      if (node.connection !== connection) return;
      node.state = state;
      if (state.reachable) this.#reportReplaced(node);
      this.#listener.changed();
    });
    connection.watchCircuit((state, reason) => {
      if (node.connection !== connection) return;
      node.circuit = state;
      this.#listener.circuitChanged(reason);
    });
    return connection.connect();
  }

  /** The state is that of the former connection until the new one has one: nothing is lost if it is there in time. */
  #replace(known: ClusterNode, by: ReplacedNode['by']): void {
    this.#closeLater(known.connection);
    known.connection = this.#connectionTo(known.node);
    known.replaced = { address: addressOf(known.node), id: known.id, by };
    known.id = '';
    const opening = this.#open(known).then(() => {
      if (known.opening === opening) known.opening = undefined;
    });
    known.opening = opening;
  }

  #reportReplaced(node: ClusterNode): void {
    const { replaced } = node;
    node.replaced = undefined;
    if (replaced !== undefined) this.#listener.replaced(replaced);
  }

  #closeLater(connection: RedisConnection): void {
    const end = setTimeout(() => this.#end(connection), this.#settings.redis.commandTimeoutMs);
    this.#closing.set(connection, end);
  }

  #end(connection: RedisConnection): void {
    clearTimeout(this.#closing.get(connection));
    this.#closing.delete(connection);
    connection.close();
  }
}
