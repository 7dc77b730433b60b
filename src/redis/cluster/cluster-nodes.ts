import type { RedisNode } from '../../config/redis/redis-nodes.ts';
import type { Settings } from '../../config/settings.ts';
import type { CircuitState } from '../connection/circuit-breaker.ts';
import { type ListedNode, addressOf, isSameId } from './slot-map.ts';
import type { RedisState } from '../redis-reader.ts';
import { RedisConnection } from '../connection/redis-connection.ts';
import { RetiredConnections } from '../connection/retired-connections.ts';
import { nodeOptions } from '../redis-options.ts';
import type { RedisLogins } from '../redis-logins.ts';
import type { ReplacedNode } from './replaced-node.ts';
import { ReplacementLimiter } from './replacement-limiter.ts';

/** Milliseconds to keep a node that is known from redirects only, after the last one. */
const REDIRECT_TTL_MS = 60_000;

/** An address at which a node of a cluster listens, and the connection to it. */
export interface ClusterNode {
  readonly node: RedisNode;
  /** Id of the node that the connection should lead to; empty until CLUSTER SLOTS lists it. */
  id: string;
  /** Replaced when another node takes over the address. */
  connection: RedisConnection;
  /** Undefined during the first attempt to connect. */
  state: RedisState | undefined;
  circuit: CircuitState;
  /** Time of the last redirect to this node, by `performance.now()`. */
  redirectedAt: number;
  /** The node of the previous connection, until the new one is established. */
  replaced: ReplacedNode | undefined;
  /** Resolves after the first attempt of a replacing connection; undefined afterwards. */
  opening: Promise<void> | undefined;
}

export interface ClusterNodesListener {
  /** Called when the state of a connection has changed. */
  onStateChange(): void;
  /** Called when the state of a connection's circuit has changed; `reason` is why it is open. */
  onCircuitChange(reason: string): void;
  /** Called with each permission that a query other than GET lacked at a node, once for each connection. */
  onRefused(permission: string): void;
  /**
   * Called when a connection was replaced because another node took over its address, and the new connection is established:
   * connections opened from now on lead to the same node or a later one.
   */
  onReplaced(node: ReplacedNode): void;
}

/** This thread's connections to the nodes of a cluster: to each master, and to targets of redirects. */
export class ClusterNodes {
  readonly #settings: Pick<Settings, 'redis' | 'cache'>;
  readonly #logins: RedisLogins;
  readonly #listener: ClusterNodesListener;
  readonly #nodes = new Map<string, ClusterNode>();
  readonly #limiter = new ReplacementLimiter();
  readonly #retired: RetiredConnections;

  constructor(settings: Pick<Settings, 'redis' | 'cache'>, logins: RedisLogins, listener: ClusterNodesListener) {
    this.#settings = settings;
    this.#logins = logins;
    this.#retired = new RetiredConnections(settings.redis.commandTimeoutMs);
    this.#listener = listener;
  }

  /** The worst state among the circuits of all connections. */
  get circuit(): CircuitState {
    const states = [...this.#nodes.values()].map(({ circuit }) => circuit);
    return (['open', 'half-open'] as const).find((state) => states.includes(state)) ?? 'closed';
  }

  /** Returns the node at an address, whatever its id; starts to connect if it is new. */
  open(node: RedisNode): ClusterNode {
    const address = addressOf(node);
    const clusterNode = this.#nodes.get(address);
    if (clusterNode !== undefined) return clusterNode;
    const added: ClusterNode = {
      node,
      id: '',
      connection: this.#connectionTo(node),
      state: undefined,
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
   * Returns a master listed by CLUSTER SLOTS. If another id is known at its address, the connection leads to the previous
   * process, even if that still replies, and is replaced.
   */
  listed(node: ListedNode): ClusterNode {
    const clusterNode = this.open(node);
    if (!isSameId(clusterNode.id, node.id)) this.#replace(clusterNode, 'id');
    if (node.id !== '') clusterNode.id = node.id;
    return clusterNode;
  }

  /**
   * Replaces the connection over which a node has redirected to its own address: new connections lead to the process that
   * the redirect refers to.
   *
   * @param connection the connection that the redirect came over; it may have been replaced since.
   * @returns false while the last attempt at this address is too recent.
   */
  replace(clusterNode: ClusterNode, connection: RedisConnection): boolean {
    if (clusterNode.connection !== connection) return true;
    if (this.#limiter.tryReplace(addressOf(clusterNode.node)) > 0) return false;
    this.#replace(clusterNode, 'redirect');
    return true;
  }

  /** Keeps the connections to these nodes and closes the others, once their pending commands have replies. */
  keep(nodes: readonly RedisNode[]): void {
    const kept = new Set(nodes.map(addressOf));
    const now = performance.now();
    for (const [address, { connection, redirectedAt }] of this.#nodes) {
      if (kept.has(address) || now - redirectedAt < REDIRECT_TTL_MS) continue;
      this.#nodes.delete(address);
      this.#retired.add(connection);
      this.#listener.onCircuitChange('');
    }
  }

  close(): void {
    this.#retired.close();
    for (const { connection } of this.#nodes.values()) connection.close();
  }

  #connectionTo(node: RedisNode): RedisConnection {
    const { redis } = this.#settings;
    // Also to masters, which may become replicas; it has no effect there.
    const isReadOnly = redis.readFrom !== 'master';
    return new RedisConnection(nodeOptions(redis, node), this.#settings, this.#logins, isReadOnly);
  }

  async #open(node: ClusterNode): Promise<void> {
    const { connection } = node;
    connection.watch((state) => {
      if (node.connection !== connection) return;
      node.state = state;
      if (state.reachable) this.#reportReplaced(node);
      this.#listener.onStateChange();
    });
    connection.watchCircuit((state, reason) => {
      if (node.connection !== connection) return;
      node.circuit = state;
      this.#listener.onCircuitChange(reason);
    });
    connection.watchRefused((permission) => this.#listener.onRefused(permission));
    await connection.connect();
    if (node.connection !== connection || node.state !== undefined) return;
    node.state = { reachable: false, reason: 'connection' };
    this.#listener.onStateChange();
  }

  /** Opens a new connection. The node keeps the old state until the new connection has one, so no outage is reported. */
  #replace(clusterNode: ClusterNode, cause: ReplacedNode['cause']): void {
    this.#retired.add(clusterNode.connection);
    clusterNode.connection = this.#connectionTo(clusterNode.node);
    clusterNode.replaced = { address: addressOf(clusterNode.node), id: clusterNode.id, cause };
    clusterNode.id = '';
    const opening = this.#open(clusterNode).then(() => {
      if (clusterNode.opening === opening) clusterNode.opening = undefined;
    });
    clusterNode.opening = opening;
  }

  #reportReplaced(node: ClusterNode): void {
    const { replaced } = node;
    node.replaced = undefined;
    if (replaced !== undefined) this.#listener.onReplaced(replaced);
  }
}
