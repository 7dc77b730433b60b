import { Redis } from 'ioredis';
import type { RedisNode } from '../../config/redis/redis-nodes.ts';
import type { RedisLogin, Settings } from '../../config/settings.ts';
import { SlotMap, addressOf } from './slot-map.ts';
import { errorCode } from '../redis-failure.ts';
import { nodeOptions } from '../redis-options.ts';
import { queryWithin } from '../query-within.ts';
import { LoginChoice, type RedisLogins, loginOptions } from '../redis-logins.ts';

/** Refresh interval while the topology is unstable, in milliseconds. */
const UNSTABLE_REFRESH_MS = 250;
/** Milliseconds after which a node that has not replied to CLUSTER SLOTS is skipped. */
const MAX_REPLY_MS = 500;
/** Milliseconds after which another node is queried, in case the current one was removed from the cluster. */
const PROBE_LIFETIME_MS = 30_000;

/** Receives the results of topology refreshes. */
export interface TopologyListener {
  /** Called when a node has replied; with the same object as before if nothing has changed. */
  onSlotMap(slotMap: SlotMap): void;
  /** Called when no node has replied; `reason` is an error code. */
  onUnreachable(reason: string): void;
  /** Returns whether the topology is stable, as far as the listener knows. */
  isStable(): boolean;
}

/** The connection over which a node is queried. */
interface Probe {
  readonly node: RedisNode;
  readonly redis: Redis;
  readonly login: RedisLogin;
  readonly openedAt: number;
}

/**
 * Refreshes the slot map (CLUSTER SLOTS) over a dedicated connection to one node, and to another node every 30 s. Polls faster
 * and rotates nodes while the topology is unstable, because a partitioned node has an outdated map.
 */
export class ClusterTopology {
  readonly #redis: Settings['redis'];
  readonly #loginChoice: LoginChoice;
  readonly #intervalMs: number;
  readonly #listener: TopologyListener;
  readonly #probeLifetimeMs: number;
  /** Nodes to query, the next one first. */
  #candidates: RedisNode[];
  #probe: Probe | undefined;
  #slotMap: SlotMap | undefined;
  #timer: NodeJS.Timeout | undefined;
  #refreshing = false;
  #refreshedAt = -Infinity;
  #closed = false;

  /** @param intervalMs refresh interval of a stable topology. */
  constructor(
    redis: Settings['redis'],
    logins: RedisLogins,
    intervalMs: number,
    listener: TopologyListener,
    probeLifetimeMs = PROBE_LIFETIME_MS,
  ) {
    this.#redis = redis;
    this.#loginChoice = new LoginChoice(logins);
    this.#probeLifetimeMs = probeLifetimeMs;
    this.#intervalMs = intervalMs;
    this.#listener = listener;
    this.#candidates = [...redis.nodes];
  }

  /** Resolves after the first refresh, whether it succeeded or not. */
  start(): Promise<void> {
    return this.#refreshNow();
  }

  /** Schedules a refresh, at most every {@link UNSTABLE_REFRESH_MS}, because the topology may have changed. */
  refresh(): void {
    if (this.#refreshing || this.#closed) return;
    this.#schedule(Math.max(0, this.#refreshedAt + UNSTABLE_REFRESH_MS - performance.now()));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#closeProbe();
  }

  #schedule(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#refreshNow(), ms).unref();
  }

  async #refreshNow(): Promise<void> {
    this.#refreshing = true;
    this.#refreshedAt = performance.now();
    const probedMs = this.#refreshedAt - (this.#probe?.openedAt ?? Infinity);
    if (!this.#listener.isStable() || probedMs >= this.#probeLifetimeMs) this.#closeProbe();
    await this.#queryNodes();
    this.#refreshing = false;
    if (!this.#closed) this.#schedule(this.#listener.isStable() ? this.#intervalMs : UNSTABLE_REFRESH_MS);
  }

  /** Queries one node after the other until one replies. */
  async #queryNodes(): Promise<void> {
    let reason = 'connection';
    for (let remaining = this.#candidates.length; remaining > 0 && !this.#closed; remaining--) {
      this.#probe ??= this.#connect();
      const { node, redis, login } = this.#probe;
      try {
        const slotMap = SlotMap.parse(await queryWithin(redis, MAX_REPLY_MS, () => redis.cluster('SLOTS')), node);
        if (!this.#closed) this.#applySlotMap(slotMap);
        return;
      } catch (error) {
        reason = errorCode(error);
        this.#loginChoice.fail(login, reason);
        this.#closeProbe();
      }
    }
    if (!this.#closed) this.#listener.onUnreachable(reason);
  }

  #applySlotMap(slotMap: SlotMap): void {
    const known = new Map([...this.#candidates, ...slotMap.nodes].map((node) => [addressOf(node), node]));
    // A partitioned node does not list the others, whose map is more recent.
    const kept = slotMap.isComplete
      ? new Set([...this.#redis.nodes, ...slotMap.nodes].map(addressOf))
      : new Set(known.keys());
    this.#candidates = [...known].flatMap(([address, node]) => (kept.has(address) ? [node] : []));
    if (this.#slotMap?.equals(slotMap) !== true) this.#slotMap = slotMap;
    this.#listener.onSlotMap(this.#slotMap);
  }

  #connect(): Probe {
    const [node] = this.#candidates;
    // Rotate: the next refresh queries the next node.
    this.#candidates.push(...this.#candidates.splice(0, 1));
    const { login } = this.#loginChoice;
    const redis = new Redis({
      ...nodeOptions(this.#redis, node),
      ...loginOptions(login),
      connectionName: 'redis-http-cache-proxy:topology',
      enableReadyCheck: false,
      enableOfflineQueue: true,
      retryStrategy: () => null,
    });
    // Errors are reported by the query.
    redis.on('error', () => undefined);
    return { node, redis, login, openedAt: performance.now() };
  }

  #closeProbe(): void {
    this.#probe?.redis.disconnect();
    this.#probe = undefined;
  }
}
