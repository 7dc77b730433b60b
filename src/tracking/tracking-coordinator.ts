import type { LoggerService } from '@nestjs/common';
import { CoherenceCounts } from '../instance/counts/coherence-counts.ts';
import { type CoherenceMode, CoherenceState } from '../instance/coherence-state.ts';
import type { Clock } from '../cache/shared-lru/clock.ts';
import { type ReadServer, Masters } from '../redis/masters.ts';
import { RedisLogins } from '../redis/redis-logins.ts';
import { STALENESS_BOUND_MS } from './invalidation-connection.ts';
import { type FeedListener, type FeedState, InvalidationFeed } from './invalidation-feed.ts';
import { InvalidationQueue, SCHEDULE } from './invalidation-queue.ts';
import { type FollowerParts, type ServerFollower, followServers } from './server-follower.ts';

/** Receives invalidations that took effect on the cache. */
export interface InvalidationSink {
  /** @param key may be a view that is valid only during the tick. */
  invalidate(key: Buffer): void;
  /** Any key may have been written. */
  invalidateAll(): void;
}

/** A source of the invalidation messages of one Redis. */
export type Feed = Pick<InvalidationFeed, 'start' | 'stop'>;

/** Dependencies of {@link TrackingCoordinator}. */
export interface CoordinatorParts {
  /** Creates the feed of a master. */
  readonly createFeed: (master: ReadServer) => Feed;
  readonly queue: InvalidationQueue;
  /** Must be `resync` before anything is loaded. */
  readonly state: CoherenceState;
  readonly counts: CoherenceCounts;
  /** Forwards invalidations to clients that track keys, once they took effect on the cache. */
  readonly relay: InvalidationSink;
  /** Called with each new mode, and with the feed's error code if the mode is not `tracking`. */
  readonly onMode: (mode: CoherenceMode, reason: string | undefined) => void;
  /** Called for each lost feed, because the masters may have changed. */
  readonly onFeedLost: () => void;
  /** Returns milliseconds since 1970. */
  readonly now: () => number;
  /** The clock of the cache. */
  readonly clock: Clock;
  /** Staleness bound: milliseconds after its acknowledgement within which every write takes effect on the cache. */
  readonly boundMs: number;
}

/**
 * Keeps the cache coherent with Redis using invalidation messages from one feed per master. Masters may come and go.
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
  /** One per master, by its identity. */
  readonly #feeds = new Map<string, TrackedFeed>();
  /** The mode that is entered, or will be once the pending mutations have been executed. */
  #targetMode: CoherenceMode | undefined;
  #transitions = 0;

  constructor(parts: CoordinatorParts) {
    this.#parts = parts;
  }

  /**
   * Starts the feeds of new masters and stops those of former ones.
   *
   * @param masters all current masters.
   */
  follow(masters: readonly ReadServer[]): void {
    // Add before removing: if a lost feed were removed before its successor is added, all remaining feeds might be tracking,
    // and writes to the new master would be missed.
    for (const master of masters) if (!this.#feeds.has(master.identity)) this.#add(master);
    const identities = new Set(masters.map(({ identity }) => identity));
    for (const identity of this.#feeds.keys()) if (!identities.has(identity)) this.#remove(identity);
  }

  /** Stops all feeds without changing the mode, on shutdown. */
  stop(): void {
    for (const { feed } of this.#feeds.values()) feed.stop();
    this.#feeds.clear();
  }

  #add(master: ReadServer): void {
    const tracked = { feed: this.#parts.createFeed(master), state: NOT_TRACKING_YET, confirmedAt: -Infinity };
    this.#feeds.set(master.identity, tracked);
    // Writes to its Redis are missed until it tracks. (Before the first feeds, the mode is `resync` already.)
    if (this.#targetMode !== undefined) this.#updateMode();
    tracked.feed.start(this.#listenerOf(master.identity, tracked));
  }

  #remove(identity: string): void {
    this.#feeds.get(identity)?.feed.stop();
    this.#feeds.delete(identity);
    this.#updateMode();
  }

  #listenerOf(identity: string, tracked: TrackedFeed): FeedListener {
    const { queue, counts, clock, relay, onFeedLost } = this.#parts;
    // Invalidations are counted after they took effect, so that readers of the counters can rely on it.
    const onPurged = (key: Buffer): void => {
      counts.countInvalidation();
      relay.invalidate(key);
    };
    const onFlushed = (): void => {
      counts.countFlush();
      relay.invalidateAll();
    };
    const isRemoved = (): boolean => this.#feeds.get(identity) !== tracked;
    return {
      onInvalidation: (key) => queue.purge(key, onPurged),
      onFlush: () => queue.flush(onFlushed),
      onHeartbeat: (ageMs) => {
        if (isRemoved()) return;
        tracked.confirmedAt = clock() - ageMs;
        if (this.#targetMode === 'tracking') this.#extendTrust();
      },
      onState: (state) => {
        if (isRemoved()) return;
        tracked.state = state;
        tracked.confirmedAt = clock();
        this.#updateMode();
        if (state.kind === 'lost') onFeedLost();
      },
    };
  }

  #updateMode(): void {
    const { mode, reason } = combinedMode([...this.#feeds.values()].map(({ state }) => state));
    if (mode === this.#targetMode) return;
    const { queue, state, counts, relay, onMode, now } = this.#parts;
    const isLoss = this.#targetMode === 'tracking';
    this.#targetMode = mode;
    const transition = ++this.#transitions;
    switch (mode) {
      case 'resync':
        // First disable storing, then expire all entries. In the reverse order, an entry stored in between would remain
        // although its invalidations are missed. The log comes last, because it takes time.
        state.current = mode;
        queue.expireAll();
        onMode(mode, reason);
        break;
      case 'tracking':
        // Invalidation messages arrive already. Everything read before they did must end first: entries of `ttl`, and loads
        // in flight, whose leases are voided. Only then may values be stored: they are read from now on, and every later
        // write sends an invalidation, which voids the lease or purges the entry.
        this.#extendTrust();
        queue.expireAll(() => {
          if (transition === this.#transitions) this.#enter(mode, reason);
        });
        break;
      case 'ttl':
        // Entries were valid until recently and expire by their TTL.
        queue.trustUntil(Infinity);
        this.#enter(mode, reason);
        break;
    }
    if (!isLoss) return;
    // Worker threads see the new mode already: what clients read from now on is not tracked.
    relay.invalidateAll();
    // Last, so that readers of the counter see the new mode.
    counts.countLoss(now() / 1000);
  }

  /** Extends the time until which entries may be served, so that no write is missed for longer than the bound. */
  #extendTrust(): void {
    const confirmedAt = Math.min(...[...this.#feeds.values()].map((tracked) => tracked.confirmedAt));
    this.#parts.queue.trustUntil(confirmedAt + this.#parts.boundMs);
  }

  #enter(mode: CoherenceMode, reason: string | undefined): void {
    this.#parts.state.current = mode;
    this.#parts.onMode(mode, reason);
  }
}

/** A feed and what it last reported. */
interface TrackedFeed {
  readonly feed: Feed;
  state: FeedState;
  /** Time by the cache's clock; all writes acknowledged before it have been received. */
  confirmedAt: number;
}

/** The feed of a master in whose place no server can be read: it is never tracking. */
const NO_FEED: Feed = { start: () => undefined, stop: () => undefined };

const NOT_TRACKING_YET: FeedState = { kind: 'lost', reason: 'connection' };

/** Combines the states of all feeds: `ttl` if any is refused, else `resync` if any is lost or no feed exists. */
function combinedMode(feeds: readonly FeedState[]): {
  readonly mode: CoherenceMode;
  readonly reason: string | undefined;
} {
  const refused = feeds.find(({ kind }) => kind === 'refused');
  if (refused !== undefined) return { mode: 'ttl', reason: reasonOf(refused) };
  const lost = feeds.find(({ kind }) => kind === 'lost');
  if (lost !== undefined) return { mode: 'resync', reason: reasonOf(lost) };
  return feeds.length === 0 ? { mode: 'resync', reason: undefined } : { mode: 'tracking', reason: undefined };
}

function reasonOf(state: FeedState): string | undefined {
  return state.kind === 'tracking' ? undefined : state.reason;
}

/**
 * Starts to track the writes to Redis, for CACHE_COHERENCE=tracking. Must be called before a worker thread serves requests:
 * values loaded before tracking is active must not be stored.
 */
export function trackWrites(parts: FollowerParts, relay: InvalidationSink): ServerFollower {
  const { settings, memory, logger, logins = new RedisLogins(settings.redis) } = parts;
  const { servers = new Masters(settings.redis, logins) } = parts;
  const { lru, instance, clock } = memory;
  const state = new CoherenceState(instance);
  state.current = 'resync';
  const isReplicated = settings.redis.readFrom !== 'master';
  const coordinator = new TrackingCoordinator({
    createFeed: ({ options, nodeId }) =>
      options === undefined ? NO_FEED : new InvalidationFeed(options, settings, nodeId, undefined, logins),
    queue: new InvalidationQueue(lru, SCHEDULE),
    state,
    counts: new CoherenceCounts(instance),
    relay,
    onMode: (mode, reason) => logMode(logger, mode, reason, isReplicated),
    onFeedLost: () => servers.refresh(),
    now: () => Date.now(),
    clock,
    boundMs: STALENESS_BOUND_MS,
  });
  return followServers(servers, coordinator);
}

function logMode(
  logger: Pick<LoggerService, 'log' | 'warn'>,
  mode: CoherenceMode,
  reason = '',
  isReplicated: boolean,
): void {
  switch (mode) {
    case 'tracking':
      logger.log(
        `tracking active; cached values are at most ${STALENESS_BOUND_MS} ms${isReplicated ? ' plus replication lag' : ''} stale`,
      );
      break;
    case 'resync':
      logger.warn(`invalidation stream lost (${reason}); caching suspended`);
      break;
    case 'ttl':
      logger.warn(`CLIENT TRACKING rejected (${reason}); falling back to TTL expiry`);
      break;
  }
}
