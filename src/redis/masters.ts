import type { RedisOptions } from 'ioredis';
import type { Settings } from '../config/settings.ts';
import { ClusterTopology } from './cluster/cluster-topology.ts';
import { type SlotMap, type ListedNode, addressOf, isSameId } from './cluster/slot-map.ts';
import { FailoverWatch } from './failover-watch.ts';
import { nodeOptions, redisOptions } from './redis-options.ts';
import { RedisLogins } from './redis-logins.ts';
import type { ReplacedNode } from './cluster/replaced-node.ts';
import { ReplacementLimiter } from './cluster/replacement-limiter.ts';

/** Refresh interval of the topology in milliseconds; shorter than the one for reads, because no redirect reveals a change. */
const REFRESH_MS = 500;
/** Milliseconds to keep a master that is missing from incomplete slot maps, while all nodes are queried in turn. */
const UNLISTED_TTL_MS = 10_000;

/** A server that keys are loaded from: the single Redis, the sentinels' current master, a master of the cluster, or a replica. */
export interface ReadServer {
  /** `host:port`, the path of a socket, or REDIS_SENTINEL_NAME. */
  readonly name: string;
  /** Distinguishes servers, also successive ones at the same address. */
  readonly identity: string;
  /** Node id in the cluster; empty if unknown or without a cluster. */
  readonly nodeId: string;
  /**
   * ioredis options for a separate connection to it (`lazyConnect`, no offline queue, no credentials), which may be extended. With
   * sentinels each new connection resolves the current master.
   * Undefined: no server can be read in its place.
   */
  readonly options: RedisOptions | undefined;
}

/** Lists the servers that keys are loaded from, for code that needs a connection to each of them. */
export interface ServerList {
  /** @param onServers called with the servers once they are known, and again whenever they change. */
  watch(onServers: (servers: readonly ReadServer[]) => void): void;
  /** Checks soon whether the servers have changed; must be called when the connection to one was lost. */
  refresh(): void;
  /** Must be called when a reading connection was replaced because its node redirected to itself. */
  replace(replaced: Pick<ReplacedNode, 'address' | 'id'>): void;
  /** Stops all calls. */
  close(): void;
}

/**
 * Lists the masters for code that needs a connection to each of them.
 *
 * Standalone: one master, never changed. Sentinel: one master, with another identity after each failover that a sentinel
 * reports. Cluster: the masters that serve slots; changes are found within half a second after the nodes know them. An
 * unreachable master stays in the list until the cluster has replaced it, and so does a master that is missing from an
 * incomplete slot map.
 */
export class Masters implements ServerList {
  /** The single Redis, or the master of the sentinels. */
  readonly #single: ReadServer | undefined;
  readonly #failovers: FailoverWatch | undefined;
  readonly #redis: Settings['redis'];
  readonly #topology: ClusterTopology | undefined;
  readonly #limiter = new ReplacementLimiter();
  /** Number of replacements of each address without a change of its node id. */
  readonly #replacements = new Map<string, number>();
  /** Replacements delayed by the back-off, by address. */
  readonly #waiting = new Map<string, NodeJS.Timeout>();
  /** Time at which the master at an address was last listed, by `performance.now()`. */
  readonly #listedAt = new Map<string, number>();
  #slotMap: SlotMap | undefined;
  #nodes: readonly ListedNode[] = [];
  #stale = false;
  #onMasters: (masters: readonly ReadServer[]) => void = () => undefined;

  constructor(redis: Settings['redis'], logins = new RedisLogins(redis)) {
    this.#redis = redis;
    if (redis.mode !== 'cluster') {
      const name = redis.mode === 'sentinel' ? (redis.sentinel.name ?? '') : (redis.socket ?? addressOf(redis));
      const single = { name, identity: name, nodeId: '', options: redisOptions(redis) };
      this.#single = single;
      if (redis.mode === 'sentinel') this.#failovers = this.#watchFailovers(single, logins);
      return;
    }
    this.#topology = new ClusterTopology(redis, logins, REFRESH_MS, {
      onSlotMap: (slotMap) => this.#applySlotMap(slotMap),
      // The connections to the masters detect failures themselves.
      onUnreachable: () => undefined,
      isStable: () => !this.#stale && this.#slotMap?.isComplete !== false,
    });
  }

  /** Gives the master of the sentinels another identity after each failover. */
  #watchFailovers(single: ReadServer, logins: RedisLogins): FailoverWatch {
    return new FailoverWatch(this.#redis, logins, (master, { host, port }) => {
      const others = this.#redis.nodes.filter((node) => node.host !== host || node.port !== port);
      // The sentinel that reports it is queried first: the others may still name the former master.
      const options = { ...single.options, sentinels: [{ host, port }, ...others] };
      this.#onMasters([{ ...single, identity: `${single.name} ${addressOf(master)}`, options }]);
    });
  }

  /**
   * Starts to report the masters.
   *
   * @param onMasters called with the single Redis, or the master of the sentinels, before this returns, and after a failover; with
   *   the masters of a cluster once they are known, and again whenever they or their slots change.
   */
  watch(onMasters: (masters: readonly ReadServer[]) => void): void {
    this.#onMasters = onMasters;
    if (this.#single !== undefined) onMasters([this.#single]);
    this.#failovers?.start();
    void this.#topology?.start();
  }

  /** Refreshes the topology soon; must be called when the connection to a master was lost. */
  refresh(): void {
    this.#stale = true;
    this.#topology?.refresh();
  }

  /**
   * Gives the master at an address a new identity, immediately or after the back-off, because existing connections may lead to
   * the previous process there. Must be called when a reading connection was replaced because its node redirected to itself.
   * Does nothing if CLUSTER SLOTS lists another node there already.
   */
  replace(replaced: Pick<ReplacedNode, 'address' | 'id'>): void {
    const { address, id } = replaced;
    const master = this.#nodes.find((node) => addressOf(node) === address);
    if (master === undefined || !isSameId(master.id, id) || this.#waiting.has(address)) return;
    const waitMs = this.#limiter.tryReplace(address);
    if (waitMs > 0) {
      const replaceLater = (): void => {
        this.#waiting.delete(address);
        this.replace(replaced);
      };
      this.#waiting.set(address, setTimeout(replaceLater, waitMs).unref());
      return;
    }
    this.#replacements.set(address, (this.#replacements.get(address) ?? 0) + 1);
    this.refresh();
    this.#publish();
  }

  /** Stops all calls of `onMasters`. */
  close(): void {
    this.#topology?.close();
    this.#failovers?.close();
    for (const timer of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
  }

  #applySlotMap(slotMap: SlotMap): void {
    this.#stale = false;
    const now = performance.now();
    const listed = new Set(slotMap.masters.map(addressOf));
    for (const address of listed) this.#listedAt.set(address, now);
    // A partitioned node does not list the other masters, which may still receive writes.
    const unlisted = this.#nodes.filter((node) => {
      const address = addressOf(node);
      return (
        !slotMap.isComplete &&
        !listed.has(address) &&
        now - (this.#listedAt.get(address) ?? -Infinity) < UNLISTED_TTL_MS
      );
    });
    if (this.#slotMap === slotMap && this.#nodes.length === listed.size + unlisted.length) return;
    this.#slotMap = slotMap;
    this.#nodes = [...slotMap.masters, ...unlisted];
    for (const address of this.#listedAt.keys()) {
      if (!this.#nodes.some((node) => addressOf(node) === address)) this.#listedAt.delete(address);
    }
    this.#publish();
  }

  #publish(): void {
    const masters = this.#nodes.map((node) => {
      const name = addressOf(node);
      const identity = [name, node.id, this.#replacements.get(name) ?? 0].join(' ');
      return { name, identity, nodeId: node.id, options: nodeOptions(this.#redis, node) };
    });
    this.#onMasters(masters);
  }
}
