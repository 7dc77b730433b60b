import type { Master } from './masters.ts';
import type { TrackingCoordinator, Feed } from './tracking-coordinator.ts';

/** Sees to it that there is one feed for each master, as masters come and go. */
export class MasterFeeds {
  readonly #coherence: Pick<TrackingCoordinator, 'add' | 'remove'>;
  readonly #feedOf: (master: Master) => Feed;
  readonly #feeds = new Map<string, Feed>();

  constructor(coherence: Pick<TrackingCoordinator, 'add' | 'remove'>, feedOf: (master: Master) => Feed) {
    this.#coherence = coherence;
    this.#feedOf = feedOf;
  }

  /** @param masters all that there are now. */
  follow(masters: readonly Master[]): void {
    // Those that come, first: were the one that has gone, and is lost, taken out before the one in its place is counted on,
    // all that are left might be tracking, and writes to the new one would be missed.
    for (const master of masters) {
      if (this.#feeds.has(master.identity)) continue;
      const feed = this.#feedOf(master);
      this.#feeds.set(master.identity, feed);
      this.#coherence.add(feed);
    }
    const identities = new Set(masters.map(({ identity }) => identity));
    for (const [identity, feed] of this.#feeds) {
      if (identities.has(identity)) continue;
      this.#feeds.delete(identity);
      this.#coherence.remove(feed);
    }
  }
}
