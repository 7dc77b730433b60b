import type { Clock } from '../cache/shared-lru/clock.ts';
import type { CoherenceCounts } from '../instance/coherence-counts.ts';
import type { CoherenceMode, CoherenceState } from '../instance/coherence-state.ts';
import type { FeedListener, FeedState, InvalidationFeed } from './invalidation-feed.ts';
import type { InvalidationQueue } from './invalidation-queue.ts';

/** A source of the invalidation messages of one Redis. */
export type Feed = Pick<InvalidationFeed, 'start' | 'stop'>;

/** Dependencies of {@link TrackingCoordinator}. */
export interface CoordinatorParts {
  readonly queue: InvalidationQueue;
  /** Must be `resync` before anything is loaded. */
  readonly state: CoherenceState;
  readonly counts: CoherenceCounts;
  /** Called with each new mode, and with the feed's error code if the mode is not `tracking`. */
  readonly report: (state: CoherenceMode, reason: string | undefined) => void;
  /** Returns milliseconds since 1970. */
  readonly now: () => number;
  /** The clock of the cache. */
  readonly clock: Clock;
  /** Staleness bound: milliseconds after its acknowledgement within which every write takes effect on the cache. */
  readonly boundMs: number;
  /** Called for each lost feed, because the masters may have changed. */
  readonly lost: () => void;
}

/**
 * Keeps the cache coherent with Redis using invalidation messages from one feed per master. Masters may be added and removed.
 *
 * ```
 *              every feed is tracking
 *   resync ──────────────────────────────► tracking
 *     ▲  ▲           a feed is lost           │ │
 *     │  └────────────────────────────────────┘ │
 *     │ no feed is refused, one is lost          │
 *     └──────────────────── ttl ◄────────────────┘  a feed is refused (also from resync);
 *                            └─► tracking             the transition to tracking is the one from resync
 * ```
 *
 * Runs in the main thread, whose event loop is idle: entries must be purged as soon as a message arrives, even while the
 * worker threads are busy.
 */
export class TrackingCoordinator {
  readonly #parts: CoordinatorParts;
  readonly #feeds = new Map<Feed, Known>();
  /** The mode that is entered, or will be once the pending mutations have been executed. */
  #due: CoherenceMode | undefined;
  #changes = 0;

  constructor(parts: CoordinatorParts) {
    this.#parts = parts;
  }

  /** Adds and starts a feed. */
  add(feed: Feed): void {
    this.#feeds.set(feed, { state: UNKNOWN, confirmedAt: -Infinity });
    // Writes to its Redis are missed until it tracks. (Before the first feeds, the mode is `resync` already.)
    if (this.#due !== undefined) this.#settle();
    feed.start(this.#listenerOf(feed));
  }

  /** Stops and removes the feed of a former master. */
  remove(feed: Feed): void {
    feed.stop();
    this.#feeds.delete(feed);
    this.#settle();
  }

  /** Stops all feeds without changing the mode, on shutdown. */
  stop(): void {
    for (const feed of this.#feeds.keys()) feed.stop();
    this.#feeds.clear();
  }

  #listenerOf(feed: Feed): FeedListener {
    const { queue, counts } = this.#parts;
    // Invalidations are counted after they took effect, so that readers of the counters can rely on it.
    const countInvalidation = (): void => counts.countInvalidation();
    const countFlush = (): void => counts.countFlush();
    return {
      onInvalidation: (key) => queue.purge(key, countInvalidation),
      onFlush: () => queue.flush(countFlush),
      onHeartbeat: (ageMs) => {
        const known = this.#feeds.get(feed);
        if (known === undefined) return;
        known.confirmedAt = this.#parts.clock() - ageMs;
        if (this.#due === 'tracking') this.#extendTrust();
      },
      onState: (state) => {
        if (!this.#feeds.has(feed)) return;
        this.#feeds.set(feed, { state, confirmedAt: this.#parts.clock() });
        this.#settle();
        if (state.kind === 'lost') this.#parts.lost();
      },
    };
  }

  #settle(): void {
    const { state, reason } = combinedState([...this.#feeds.values()].map((known) => known.state));
    if (state === this.#due) return;
    if (this.#due === 'tracking') this.#parts.counts.countLoss(this.#parts.now() / 1000);
    this.#due = state;
    const change = ++this.#changes;
    switch (state) {
      case 'resync':
        // First disable storing, then expire all entries. In the reverse order, an entry stored in between would remain
        // although its invalidations are missed.
        this.#enter(state, reason);
        this.#parts.queue.expireAll();
        break;
      case 'tracking':
        // Invalidation messages arrive already. Everything read before they did must end first: entries of `ttl`, and loads
        // in flight, whose leases are voided. Only then may values be stored: they are read from now on, and every later
        // write sends an invalidation, which voids the lease or purges the entry.
        this.#extendTrust();
        this.#parts.queue.expireAll(() => {
          if (change === this.#changes) this.#enter(state, reason);
        });
        break;
      case 'ttl':
        // Entries were valid until recently and expire by their TTL.
        this.#parts.queue.trustUntil(Infinity);
        this.#enter(state, reason);
        break;
    }
  }

  /** Extends the time until which entries may be served, so that no write is missed for longer than the bound. */
  #extendTrust(): void {
    const confirmedAt = Math.min(...[...this.#feeds.values()].map((known) => known.confirmedAt));
    this.#parts.queue.trustUntil(confirmedAt + this.#parts.boundMs);
  }

  #enter(state: CoherenceMode, reason: string | undefined): void {
    this.#parts.state.current = state;
    this.#parts.report(state, reason);
  }
}

/** State of one feed. */
interface Known {
  readonly state: FeedState;
  /** Time by the cache's clock; all writes acknowledged before it have been received. */
  confirmedAt: number;
}

const UNKNOWN: FeedState = { kind: 'lost', reason: 'connection' };

/** Combines the states of all feeds: `ttl` if any is refused, else `resync` if any is lost or there is none. */
function combinedState(feeds: readonly FeedState[]): {
  readonly state: CoherenceMode;
  readonly reason: string | undefined;
} {
  const refused = feeds.find(({ kind }) => kind === 'refused');
  if (refused !== undefined) return { state: 'ttl', reason: reasonOf(refused) };
  const lost = feeds.find(({ kind }) => kind === 'lost');
  if (lost !== undefined) return { state: 'resync', reason: reasonOf(lost) };
  return feeds.length === 0 ? { state: 'resync', reason: undefined } : { state: 'tracking', reason: undefined };
}

function reasonOf(state: FeedState): string | undefined {
  return state.kind === 'tracking' ? undefined : state.reason;
}
