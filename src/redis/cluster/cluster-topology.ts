import { Redis } from 'ioredis';
import type { RedisNode } from '../../config/redis/redis-nodes.ts';
import type { Settings } from '../../config/settings.ts';
import { ClusterView, addressOf } from './cluster-view.ts';
import { reasonOf } from '../redis-failure.ts';
import { nodeOptions } from '../redis-options.ts';

/** A cluster in which something is amiss is looked at as often as this. */
const RESTLESS_MS = 250;
/** A node that takes longer to say who serves what is passed over for now. */
const MAX_REPLY_MS = 500;
/** After so long another node is asked, though the one before is well: it may be one that the others have left behind. */
const PROBE_LIFETIME_MS = 30_000;

/** What became of a look at the cluster. */
export interface TopologyListener {
  /** A node has answered; the same object as before when nothing has changed. */
  seen(view: ClusterView): void;
  /** No node has; `reason` is a code word. */
  unseen(reason: string): void;
  /** Whether all is well, as far as the listener knows. */
  content(): boolean;
}

/** The connection over which a node is asked. */
interface Probe {
  readonly node: RedisNode;
  readonly redis: Redis;
  readonly openedAt: number;
}

/**
 * Follows which node of a cluster serves which slot, over one connection, to any node, and to another one every 30 s. When
 * something is amiss it looks often, and asks another node each time, as one that is cut off from the others does not know.
 */
export class ClusterTopology {
  readonly #redis: Settings['redis'];
  readonly #intervalMs: number;
  readonly #listener: TopologyListener;
  readonly #probeLifetimeMs: number;
  /** Nodes to ask, the next one first. */
  #candidates: RedisNode[];
  #probe: Probe | undefined;
  #view: ClusterView | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  #lookedAt = -Infinity;
  #closed = false;

  /** @param intervalMs how often a cluster is looked at that gives no cause for it. */
  constructor(
    redis: Settings['redis'],
    intervalMs: number,
    listener: TopologyListener,
    probeLifetimeMs = PROBE_LIFETIME_MS,
  ) {
    this.#redis = redis;
    this.#probeLifetimeMs = probeLifetimeMs;
    this.#intervalMs = intervalMs;
    this.#listener = listener;
    this.#candidates = [...redis.nodes];
  }

  /** Resolves when the first look is over, whatever was seen. */
  start(): Promise<void> {
    return this.#look();
  }

  /** Something is amiss: look soon. */
  refresh(): void {
    if (this.#looking || this.#closed) return;
    this.#schedule(Math.max(0, this.#lookedAt + RESTLESS_MS - performance.now()));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#leave();
  }

  #schedule(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(), ms).unref();
  }

  async #look(): Promise<void> {
    this.#looking = true;
    this.#lookedAt = performance.now();
    const probedMs = this.#lookedAt - (this.#probe?.openedAt ?? Infinity);
    if (!this.#listener.content() || probedMs >= this.#probeLifetimeMs) this.#leave();
    await this.#askAround();
    this.#looking = false;
    if (!this.#closed) this.#schedule(this.#listener.content() ? this.#intervalMs : RESTLESS_MS);
  }

  /** Asks one node after the other until one answers. */
  async #askAround(): Promise<void> {
    let reason = 'connection';
    for (let left = this.#candidates.length; left > 0 && !this.#closed; left--) {
      this.#probe ??= this.#connect();
      const { node, redis } = this.#probe;
      try {
        const view = ClusterView.of(await answerOf(redis), node);
        if (!this.#closed) this.#see(view);
        return;
      } catch (error) {
        reason = reasonOf(error);
        this.#leave();
      }
    }
    if (!this.#closed) this.#listener.unseen(reason);
  }

  #see(view: ClusterView): void {
    const known = new Map([...this.#candidates, ...view.nodes].map((node) => [addressOf(node), node]));
    // A node that has lost sight of others does not name them, and they know better.
    const kept = view.whole ? new Set([...this.#redis.nodes, ...view.nodes].map(addressOf)) : new Set(known.keys());
    this.#candidates = [...known].flatMap(([address, node]) => (kept.has(address) ? [node] : []));
    if (this.#view?.equals(view) !== true) this.#view = view;
    this.#listener.seen(this.#view);
  }

  #connect(): Probe {
    const [node] = this.#candidates;
    // The next one is asked the next time.
    this.#candidates.push(...this.#candidates.splice(0, 1));
    const redis = new Redis({
      ...nodeOptions(this.#redis, node),
      connectionName: 'redis-http-cache-proxy:topology',
      enableReadyCheck: false,
      enableOfflineQueue: true,
      retryStrategy: () => null,
    });
    // What went wrong is told to who asks.
    redis.on('error', () => undefined);
    return { node, redis, openedAt: performance.now() };
  }

  #leave(): void {
    this.#probe?.redis.disconnect();
    this.#probe = undefined;
  }
}

async function answerOf(redis: Redis): Promise<unknown> {
  let firstError: unknown;
  const note = (error: unknown): void => void (firstError ??= error);
  redis.on('error', note);
  const timer = setTimeout(() => redis.disconnect(), MAX_REPLY_MS);
  try {
    return await redis.cluster('SLOTS');
  } catch (error) {
    // What has ended the connection says more than that it has ended.
    throw firstError ?? error;
  } finally {
    clearTimeout(timer);
    redis.off('error', note);
  }
}
