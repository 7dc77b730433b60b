import type { RedisOptions } from 'ioredis';
import type { Settings } from '../config/settings.ts';
import { ClusterTopology } from './cluster-topology.ts';
import { type ClusterView, addressOf } from './cluster-view.ts';
import { nodeOptions, redisOptions } from './redis-options.ts';

/** The news of writes has to follow the slots, whoever reads. */
const INTERVAL_MS = 500;

/** One server that holds data: the only Redis, the sentinels' current master, or a master of the cluster. */
export interface Master {
  /** Tells masters apart: `host:port`, or the name the sentinels have for theirs. */
  readonly name: string;
  /**
   * For an ioredis connection of one's own to it (`lazyConnect`, no offline queue); to be spread into other options. With
   * sentinels each new connection goes to whoever is the master by then, and ends when they have made another one it.
   */
  readonly options: RedisOptions;
}

/**
 * Which masters hold the data, for those who need a connection to each of them.
 *
 * Standalone and sentinel: one, and no change; a failover shows as the end of the connection. Cluster: those that serve
 * slots; changes are found out within half a second of when the nodes know. A master that is not reachable stays in the
 * list until the cluster has replaced it.
 */
export class Masters {
  readonly #fixed: readonly Master[];
  readonly #topology: ClusterTopology | undefined;
  #view: ClusterView | undefined;
  #doubtful = false;
  #changed: (masters: readonly Master[]) => void = () => undefined;

  constructor(redis: Settings['redis']) {
    if (redis.mode !== 'cluster') {
      const name = redis.mode === 'sentinel' ? (redis.sentinel.name ?? '') : addressOf(redis);
      this.#fixed = [{ name, options: redisOptions(redis) }];
      return;
    }
    this.#fixed = [];
    this.#topology = new ClusterTopology(redis, INTERVAL_MS, {
      seen: (view) => this.#see(redis, view),
      // Whoever has a connection to a master knows best whether it is there.
      unseen: () => undefined,
      content: () => !this.#doubtful,
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
    this.#doubtful = true;
    this.#topology?.refresh();
  }

  /** Nothing is told any more. */
  close(): void {
    this.#topology?.close();
  }

  #see(redis: Settings['redis'], view: ClusterView): void {
    this.#doubtful = false;
    if (this.#view === view) return;
    this.#view = view;
    this.#changed(view.masters.map((node) => ({ name: addressOf(node), options: nodeOptions(redis, node) })));
  }
}
