import type { Master } from './masters.ts';
import type { TrackingCoordinator, Feed } from './tracking-coordinator.ts';

/** Maintains one feed per master. */
export class MasterFeeds {
  readonly #coordinator: Pick<TrackingCoordinator, 'add' | 'remove'>;
  readonly #feedOf: (master: Master) => Feed;
  readonly #feeds = new Map<string, Feed>();

  constructor(coordinator: Pick<TrackingCoordinator, 'add' | 'remove'>, feedOf: (master: Master) => Feed) {
    this.#coordinator = coordinator;
    this.#feedOf = feedOf;
  }

  /** @param masters all current masters. */
  follow(masters: readonly Master[]): void {
    // Add before removing: if a lost feed were removed before its successor is added, all remaining feeds might be tracking,
    // and writes to the new master would be missed.
    for (const master of masters) {
      if (this.#feeds.has(master.identity)) continue;
      const feed = this.#feedOf(master);
      this.#feeds.set(master.identity, feed);
      this.#coordinator.add(feed);
    }
    const identities = new Set(masters.map(({ identity }) => identity));
    for (const [identity, feed] of this.#feeds) {
      if (identities.has(identity)) continue;
      this.#feeds.delete(identity);
      this.#coordinator.remove(feed);
    }
  }
}
