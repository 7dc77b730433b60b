import type { RedisOptions } from 'ioredis';
import type { Settings } from '../config/settings.ts';
import { ClusterTopology } from '../redis/cluster/cluster-topology.ts';
import { type ClusterView, type NamedNode, addressOf, isSameId } from '../redis/cluster/cluster-view.ts';
import { nodeOptions, redisOptions } from '../redis/redis-options.ts';
import type { ReplacedNode } from '../redis/cluster/replaced-node.ts';
import { ReplacementLimiter } from '../redis/cluster/replacement-limiter.ts';

/** Invalidation messages have to follow the slots, whoever reads. */
const REFRESH_MS = 500;
/** A master is kept for so long when no node names it that knows of all slots, while all nodes are asked in turn. */
const UNNAMED_MS = 10_000;

/** One server that holds data: the only Redis, the sentinels' current master, or a master of the cluster. */
export interface Master {
  /** `host:port`, or the name the sentinels have for theirs. */
  readonly name: string;
  /** Tells masters apart, also those that are at one address one after the other. */
  readonly identity: string;
  /** Its node id in the cluster; empty if it is not known, or there is no cluster. */
  readonly nodeId: string;
  /**
   * For an ioredis connection of one's own to it (`lazyConnect`, no offline queue); to be spread into other options. With
   * sentinels each new connection goes to whoever is the master by then, and ends when they have made another one it.
   */
  readonly options: RedisOptions;
}

/**
 * Which masters hold the data, for code that needs a connection to each of them.
 *
 * Standalone and sentinel: one, and no change; a failover shows as the end of the connection. Cluster: those that serve
 * slots; changes are found within half a second of when the nodes know. A master that is not reachable stays in the list
 * until the cluster has replaced it, and so does one that a node does not name which does not know of all slots.
 */
export class Masters {
  readonly #fixed: readonly Master[];
  readonly #redis: Settings['redis'];
  readonly #topology: ClusterTopology | undefined;
  readonly #limiter = new ReplacementLimiter();
  /** How often the connection to an address was to be replaced though its node id is the same. */
  readonly #replacements = new Map<string, number>();
  /** Replacements that wait for the end of the back-off, by address. */
  readonly #waiting = new Map<string, NodeJS.Timeout>();
  /** When a node has last named the master at an address, by `performance.now()`. */
  readonly #namedAt = new Map<string, number>();
  #view: ClusterView | undefined;
  #nodes: readonly NamedNode[] = [];
  #stale = false;
  #changed: (masters: readonly Master[]) => void = () => undefined;

  constructor(redis: Settings['redis']) {
    this.#redis = redis;
    if (redis.mode !== 'cluster') {
      const name = redis.mode === 'sentinel' ? (redis.sentinel.name ?? '') : addressOf(redis);
      this.#fixed = [{ name, identity: name, nodeId: '', options: redisOptions(redis) }];
      return;
    }
    this.#fixed = [];
    this.#topology = new ClusterTopology(redis, REFRESH_MS, {
      onTopology: (view) => this.#applyView(view),
      // Whoever has a connection to a master knows best whether it is there.
      onUnreachable: () => undefined,
      isStable: () => !this.#stale && this.#view?.whole !== false,
    });
  }

  /**
   * @param changed is called with the masters of a standalone Redis, or of sentinels, before this returns; with those of a
   *   cluster when they are known, and each time when they, or the slots that they serve, have changed.
   */
  watch(changed: (masters: readonly Master[]) => void): void {
    this.#changed = changed;
    if (this.#topology === undefined) changed(this.#fixed);
    else void this.#topology.start();
  }

  /** To be called when the connection to a master was lost: looks soon who is the master now. */
  refresh(): void {
    this.#stale = true;
    this.#topology?.refresh();
  }

  /**
   * To be called when a reading connection was replaced because a node has redirected it to the node's own address: gives
   * the master there another identity, at once or when the back-off is over, since the connections that there are may lead
   * to the process that was at this address before. Does nothing if CLUSTER SLOTS has shown another node there.
   */
  replace(replaced: Pick<ReplacedNode, 'address' | 'id'>): void {
    const { address, id } = replaced;
    const master = this.#nodes.find((node) => addressOf(node) === address);
    if (master === undefined || !isSameId(master.id, id) || this.#waiting.has(address)) return;
    const waitMs = this.#limiter.tryReplace(address);
    if (waitMs > 0) {
      const again = (): void => {
        this.#waiting.delete(address);
        this.replace(replaced);
      };
      this.#waiting.set(address, setTimeout(again, waitMs).unref());
      return;
    }
    this.#replacements.set(address, (this.#replacements.get(address) ?? 0) + 1);
    this.refresh();
    this.#publish();
  }

  /** Ends all calls of `changed`. */
  close(): void {
    this.#topology?.close();
    for (const timer of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
  }

  #applyView(view: ClusterView): void {
    this.#stale = false;
    const now = performance.now();
    const named = new Set(view.masters.map(addressOf));
    for (const address of named) this.#namedAt.set(address, now);
    // A node that has lost sight of the others does not name them, yet writes to them go on.
    const unnamed = this.#nodes.filter((node) => {
      const address = addressOf(node);
      return !view.whole && !named.has(address) && now - (this.#namedAt.get(address) ?? -Infinity) < UNNAMED_MS;
    });
    if (this.#view === view && this.#nodes.length === named.size + unnamed.length) return;
    this.#view = view;
    this.#nodes = [...view.masters, ...unnamed];
    for (const address of this.#namedAt.keys()) {
      if (!this.#nodes.some((node) => addressOf(node) === address)) this.#namedAt.delete(address);
    }
    this.#publish();
  }

  #publish(): void {
    const masters = this.#nodes.map((node) => {
      const name = addressOf(node);
      const identity = [name, node.id, this.#replacements.get(name) ?? 0].join(' ');
      return { name, identity, nodeId: node.id, options: nodeOptions(this.#redis, node) };
    });
    this.#changed(masters);
  }
}
