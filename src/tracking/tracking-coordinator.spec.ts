import { beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../../test/support/processes.ts';
import { loadSettings } from '../config/load-settings.ts';
import { CoherenceCounts } from '../instance/counts/coherence-counts.ts';
import { type CoherenceMode, CoherenceState } from '../instance/coherence-state.ts';
import { InstanceMemory } from '../instance/instance-memory.ts';
import { createInstance } from '../instance/thread-context.ts';
import type { FeedListener, FeedState } from './invalidation-feed.ts';
import { InvalidationQueue } from './invalidation-queue.ts';
import { TrackingCoordinator, type Feed, type InvalidationSink, trackWrites } from './tracking-coordinator.ts';

const NO_CLIENTS: InvalidationSink = { invalidate: () => undefined, invalidateAll: () => undefined };
const NOW = 1_700_000_000_000;
const BOUND_MS = 750;
const TRACKING: FeedState = { kind: 'tracking' };
const LOST: FeedState = { kind: 'lost', reason: 'ECONNRESET' };
const REFUSED: FeedState = { kind: 'refused', reason: 'NOPERM' };

class FakeFeed implements Feed {
  listener!: FeedListener;
  stopped = false;

  start(listener: FeedListener): void {
    this.listener = listener;
  }

  stop(): void {
    this.stopped = true;
  }
}

let state: CoherenceState;
let counts: CoherenceCounts;
let coordinator: TrackingCoordinator;
let feed: FakeFeed;
/** Events in order: cache mutations with the mode at that time, and reports. */
let events: string[];
/** Number of lost feeds reported. */
let losses: number;
let locked: boolean;
/** By the clock of the cache. */
let time: number;
/** Until when entries may be served. */
let trustedUntil: number;
let retries: (() => void)[];

const attempt = (mutation: string): boolean => {
  if (!locked) events.push(`${mutation} in ${state.current}`);
  return !locked;
};

function unlock(): void {
  locked = false;
  for (const work of retries.splice(0)) work();
}

/** Feeds by the identity of their master, in the order in which they were added. */
let feeds: Map<string, FakeFeed>;

function follow(...identities: string[]): void {
  coordinator.follow(identities.map((identity) => ({ name: 'host:1', identity, nodeId: '', options: {} })));
}

/** Adds a master; returns its feed. */
function add(): FakeFeed {
  const identity = String(feeds.size);
  follow(...feeds.keys(), identity);
  return feeds.get(identity) as FakeFeed;
}

/** Removes the master of a feed. */
function remove(feed: FakeFeed): void {
  for (const [identity, each] of feeds) if (each === feed) feeds.delete(identity);
  follow(...feeds.keys());
}

beforeEach(() => {
  const memory = InstanceMemory.create();
  state = new CoherenceState(memory);
  state.current = 'resync';
  counts = new CoherenceCounts(memory);
  events = [];
  locked = false;
  time = 5000;
  trustedUntil = Infinity;
  losses = 0;
  retries = [];
  feeds = new Map();
  const lru = {
    tryPurge: (key: Uint8Array) => (attempt(`purge ${Buffer.from(key).toString()}`) ? ('done' as const) : 'locked'),
    tryFlush: () => attempt('flush'),
    tryExpireAll: () => attempt('expire all'),
    trustUntil: (until: number) => (trustedUntil = until),
  };
  coordinator = new TrackingCoordinator({
    createFeed: ({ identity }) => {
      const created = new FakeFeed();
      feeds.set(identity, created);
      return created;
    },
    queue: new InvalidationQueue(lru, { retry: (work) => retries.push(work), next: (work) => retries.push(work) }),
    state,
    counts,
    relay: {
      invalidate: (key) => events.push(`invalidate ${key.toString()} in ${state.current}`),
      invalidateAll: () => events.push(`invalidate all in ${state.current}`),
    },
    onMode: (entered: CoherenceMode, reason) => events.push(`${entered}${reason === undefined ? '' : `: ${reason}`}`),
    onFeedLost: () => losses++,
    now: () => NOW,
    clock: () => time,
    boundMs: BOUND_MS,
  });
  feed = add();
});

describe('TrackingCoordinator', () => {
  it('enters tracking after all earlier entries have expired', () => {
    feed.listener.onState(TRACKING);
    expect(events).toEqual(['expire all in resync', 'tracking']);
    expect(state.current).toBe('tracking');
  });

  it('purges keys, flushes, counts both, and then forwards them to clients', () => {
    feed.listener.onState(TRACKING);
    events = [];
    feed.listener.onInvalidation(Buffer.from('a'));
    feed.listener.onInvalidation(Buffer.from('b'));
    feed.listener.onFlush();
    expect(events).toEqual([
      ...['purge a in tracking', 'invalidate a in tracking', 'purge b in tracking', 'invalidate b in tracking'],
      ...['flush in tracking', 'invalidate all in tracking'],
    ]);
    expect([counts.invalidations, counts.flushes, counts.losses, counts.lastLoss]).toEqual([2, 1, 0, 0]);
  });

  it('disables storing and then expires all entries when a feed is lost', () => {
    feed.listener.onState(TRACKING);
    events = [];
    feed.listener.onState(LOST);
    expect(events).toEqual(['expire all in resync', 'resync: ECONNRESET', 'invalidate all in resync']);
    expect([counts.losses, counts.lastLoss]).toEqual([1, NOW / 1000]);
    feed.listener.onState(TRACKING);
    expect(events.slice(3)).toEqual(['expire all in resync', 'tracking']);
  });

  it('extends the trust with each heartbeat while tracking, by the staleness bound', () => {
    feed.listener.onState(TRACKING);
    expect(trustedUntil).toBe(5000 + BOUND_MS);
    time += 300;
    feed.listener.onHeartbeat(20);
    expect(trustedUntil).toBe(5280 + BOUND_MS);
    feed.listener.onState(LOST);
    time += 10_000;
    feed.listener.onHeartbeat(20);
    expect(trustedUntil).toBe(5280 + BOUND_MS);
    feed.listener.onState(TRACKING);
    expect(trustedUntil).toBe(15_300 + BOUND_MS);
  });

  it('counts no loss if tracking was never active', () => {
    feed.listener.onState(LOST);
    expect([events, counts.losses]).toEqual([['expire all in resync', 'resync: ECONNRESET'], 0]);
  });
});

describe('a Redis that refuses tracking', () => {
  it('leaves entries to their TTL', () => {
    feed.listener.onState(REFUSED);
    expect([events, state.current]).toEqual([['ttl: NOPERM'], 'ttl']);
  });

  it('leaves entries to their TTL, also after tracking', () => {
    feed.listener.onState(TRACKING);
    feed.listener.onState(REFUSED);
    expect(trustedUntil).toBe(Infinity);
  });

  it('is tracked once it accepts, as after a loss', () => {
    feed.listener.onState(REFUSED);
    events = [];
    feed.listener.onState(TRACKING);
    expect(events).toEqual(['expire all in ttl', 'tracking']);
  });

  it('counts as a loss after tracking', () => {
    feed.listener.onState(TRACKING);
    feed.listener.onState(REFUSED);
    expect([state.current, counts.losses]).toEqual(['ttl', 1]);
  });
});

describe('with several feeds', () => {
  it('enters tracking when all of them track, and resync when one is lost', () => {
    const other = add();
    feed.listener.onState(TRACKING);
    expect(state.current).toBe('resync');
    other.listener.onState(TRACKING);
    expect(state.current).toBe('tracking');
    feed.listener.onState(LOST);
    expect([state.current, losses]).toEqual(['resync', 1]);
    other.listener.onState(LOST);
    expect(losses).toBe(2);
    feed.listener.onState(TRACKING);
    expect([state.current, counts.losses]).toEqual(['resync', 1]);
    other.listener.onState(TRACKING);
    expect(state.current).toBe('tracking');
  });

  it('extends the trust by the oldest heartbeat of all feeds', () => {
    const other = add();
    feed.listener.onState(TRACKING);
    time += 100;
    other.listener.onState(TRACKING);
    expect(trustedUntil).toBe(5000 + BOUND_MS);
    time += 100;
    feed.listener.onHeartbeat(10);
    expect(trustedUntil).toBe(5100 + BOUND_MS);
    other.listener.onHeartbeat(30);
    expect(trustedUntil).toBe(5170 + BOUND_MS);
  });

  it('stays in ttl while one of them is refused', () => {
    const other = add();
    feed.listener.onState(TRACKING);
    other.listener.onState(REFUSED);
    feed.listener.onState(LOST);
    expect(state.current).toBe('ttl');
    remove(other);
    expect([state.current, other.stopped]).toEqual(['resync', true]);
  });

  it('enters resync when a feed is added that does not track yet', () => {
    feed.listener.onState(TRACKING);
    events = [];
    const other = add();
    expect(events).toEqual(['expire all in resync', 'resync: connection', 'invalidate all in resync']);
    other.listener.onState(TRACKING);
    expect(state.current).toBe('tracking');
  });

  it('combines the remaining feeds when one is removed; without feeds it is in resync', () => {
    const other = add();
    feed.listener.onState(TRACKING);
    remove(other);
    expect(state.current).toBe('tracking');
    other.listener.onState(LOST);
    expect(state.current).toBe('tracking');
    remove(feed);
    expect(state.current).toBe('resync');
  });
});

describe('while the cache lock is held', () => {
  it('queues mutations in order, and the mode that follows them', () => {
    locked = true;
    feed.listener.onState(TRACKING);
    feed.listener.onInvalidation(Buffer.from('a'));
    feed.listener.onFlush();
    expect([events, state.current]).toEqual([[], 'resync']);
    unlock();
    expect(events).toEqual([
      ...['expire all in resync', 'tracking', 'purge a in tracking', 'invalidate a in tracking'],
      ...['flush in tracking', 'invalidate all in tracking'],
    ]);
  });

  it('disables storing immediately on a loss, and earlier pending mutations do not enable it', () => {
    locked = true;
    feed.listener.onState(TRACKING);
    feed.listener.onState(LOST);
    feed.listener.onInvalidation(Buffer.from('a'));
    expect(state.current).toBe('resync');
    unlock();
    expect(events).toEqual([
      ...['resync: ECONNRESET', 'invalidate all in resync', 'expire all in resync', 'expire all in resync'],
      ...['purge a in resync', 'invalidate a in resync'],
    ]);
    expect(state.current).toBe('resync');
  });
});

it('keeps the feeds of masters that stay, and adds that of a successor before it removes the old one', () => {
  feed.listener.onState(TRACKING);
  events = [];
  follow('0');
  expect([events, feeds.size]).toEqual([[], 1]);
  // If the feed of the former master were removed first, the mode would be the one without feeds.
  follow('successor');
  expect(events).toEqual(['expire all in resync', 'resync: connection', 'invalidate all in resync']);
  expect([feed.stopped, feeds.get('successor')?.stopped]).toEqual([true, false]);
});

it('stops all feeds', () => {
  const other = add();
  coordinator.stop();
  expect([feed.stopped, other.stopped]).toEqual([true, true]);
});

describe('trackWrites', () => {
  const messages: string[] = [];
  const note = (message: string): void => void messages.push(message);
  const start = (redisUrl: string) => {
    const environment = { CACHE_COHERENCE: 'tracking', CACHE_CAPACITY: '10', CACHE_MAX_BYTES: '1048576' };
    const settings = loadSettings({ ...environment, REDIS_URL: redisUrl }, '/nowhere');
    const thread = createInstance(settings);
    return {
      tracking: trackWrites({ settings, memory: thread, logger: { log: note, warn: note } }, NO_CLIENTS),
      state: new CoherenceState(thread.instance),
    };
  };

  it('suspends caching at once, and logs why while Redis is unreachable', async () => {
    const { tracking, state: mode } = start('redis://127.0.0.1:1');
    expect(mode.current).toBe('resync');
    await until('it is logged', () => messages.length > 0 || undefined);
    tracking.stop();
    expect(messages).toEqual(['invalidation stream lost (ECONNREFUSED); caching suspended']);
  });
});
