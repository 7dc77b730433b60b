import type { Clock } from '../cache/shared-lru/clock.ts';
import type { CoherenceCounts } from '../instance/coherence-counts.ts';
import type { CoherenceMode, CoherenceState } from '../instance/coherence-state.ts';
import type { FeedListener, FeedState, InvalidationFeed } from './invalidation-feed.ts';
import type { InvalidationQueue } from './invalidation-queue.ts';

/** Where the news of the writes to one Redis comes from. */
export type Feed = Pick<InvalidationFeed, 'start' | 'stop'>;

export interface CoherenceParts {
  readonly orders: InvalidationQueue;
  /** Is to be `resync` already, before anything is loaded. */
  readonly state: CoherenceState;
  readonly counts: CoherenceCounts;
  /** Told of each state that is entered, with the feed's code word for why it is not `tracking`. */
  readonly report: (state: CoherenceMode, reason: string | undefined) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** That of the cache. */
  readonly clock: Clock;
  /** Milliseconds after which a write that was acknowledged is no longer overlooked by anybody. */
  readonly boundMs: number;
  /** Called for each feed that is lost: who takes the writes may have changed. */
  readonly lost: () => void;
}

/**
 * Keeps the cache in step with the writes to Redis, by the news of them from any number of feeds, one for each Redis that
 * takes writes. Nodes may come and go.
 *
 * ```
 *              every feed is tracking
 *   resync ──────────────────────────────► tracking
 *     ▲  ▲           a feed is lost           │ │
 *     │  └────────────────────────────────────┘ │
 *     │ no feed refuses any more, one is lost    │
 *     └──────────────────── ttl ◄────────────────┘  a feed is refused (from resync as well);
 *                            └─► tracking             the way from here to tracking is that from resync
 * ```
 *
 * It runs in the main thread, whose turns are short: what is stored must be purged when the news comes, whatever the
 * threads that answer are busy with.
 */
export class TrackingCoordinator {
  readonly #parts: CoherenceParts;
  readonly #feeds = new Map<Feed, Known>();
  /** The state that is entered, or about to be, when what has to come before has been done. */
  #due: CoherenceMode | undefined;
  #changes = 0;

  constructor(parts: CoherenceParts) {
    this.#parts = parts;
  }

  /** Starts a feed, and counts on it from now on. */
  add(feed: Feed): void {
    this.#feeds.set(feed, { state: UNKNOWN, heardAt: -Infinity });
    // What is written there until it tells of writes is not known. (The first feeds find the state as it is to be.)
    if (this.#due !== undefined) this.#settle();
    feed.start(this.#listenerOf(feed));
  }

  /** Stops a feed whose Redis takes no more writes. */
  remove(feed: Feed): void {
    feed.stop();
    this.#feeds.delete(feed);
    this.#settle();
  }

  /** Stops all feeds; the state stays as it is, for an instance that ends. */
  stop(): void {
    for (const feed of this.#feeds.keys()) feed.stop();
    this.#feeds.clear();
  }

  #listenerOf(feed: Feed): FeedListener {
    const { orders, counts } = this.#parts;
    // Who sees the counts may rely on it: what is counted has been done.
    const countInvalidation = (): void => counts.countInvalidation();
    const countFlush = (): void => counts.countFlush();
    return {
      invalidated: (key) => orders.purge(key, countInvalidation),
      flushed: () => orders.flush(countFlush),
      heard: (agoMs) => {
        const known = this.#feeds.get(feed);
        if (known === undefined) return;
        known.heardAt = this.#parts.clock() - agoMs;
        if (this.#due === 'tracking') this.#follow();
      },
      changed: (state) => {
        if (!this.#feeds.has(feed)) return;
        this.#feeds.set(feed, { state, heardAt: this.#parts.clock() });
        this.#settle();
        if (state.kind === 'lost') this.#parts.lost();
      },
    };
  }

  #settle(): void {
    const { state, reason } = verdictOn([...this.#feeds.values()].map((known) => known.state));
    if (state === this.#due) return;
    if (this.#due === 'tracking') this.#parts.counts.countLoss(this.#parts.now() / 1000);
    this.#due = state;
    const change = ++this.#changes;
    switch (state) {
      case 'resync':
        // First nothing more may be stored, then what was stored ends. In the other order, what is stored in between would
        // stay, and nobody would hear of the writes to it.
        this.#enter(state, reason);
        this.#parts.orders.expireAll();
        break;
      case 'tracking':
        // The news comes already. All that was read before it did has to end first, stored or under way: entries of
        // `ttl`, and loads, whose leases are voided. Only then may be stored, and said to be followed, what is loaded: all
        // of it is read from now on, and each write after the reading is told of, and voids or purges it.
        this.#follow();
        this.#parts.orders.expireAll(() => {
          if (change === this.#changes) this.#enter(state, reason);
        });
        break;
      case 'ttl':
        // What is held was true not long ago, and ends with its time.
        this.#parts.orders.trustUntil(Infinity);
        this.#enter(state, reason);
        break;
    }
  }

  /** Lets what is held be answered for as long as no write can be overlooked for longer than the bound. */
  #follow(): void {
    const heardAt = Math.min(...[...this.#feeds.values()].map((known) => known.heardAt));
    this.#parts.orders.trustUntil(heardAt + this.#parts.boundMs);
  }

  #enter(state: CoherenceMode, reason: string | undefined): void {
    this.#parts.state.current = state;
    this.#parts.report(state, reason);
  }
}

/** What is known of a feed. */
interface Known {
  readonly state: FeedState;
  /** By the cache's clock: all writes that were acknowledged before have been told. */
  heardAt: number;
}

const UNKNOWN: FeedState = { kind: 'lost', reason: 'connection' };

/** One Redis that refuses is enough to know that not all writes will be told; one that is lost, that they are not now. */
function verdictOn(feeds: readonly FeedState[]): {
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
