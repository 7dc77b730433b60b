import { beforeEach, describe, expect, it } from '@jest/globals';
import { CoherenceCounts } from '../instance/coherence-counts.ts';
import { type CoherenceMode, CoherenceState } from '../instance/coherence-state.ts';
import { InstanceMemory } from '../instance/instance-memory.ts';
import type { FeedListener, FeedState } from './invalidation-feed.ts';
import { InvalidationQueue } from './invalidation-queue.ts';
import { TrackingCoordinator, type Feed } from './tracking-coordinator.ts';

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
let coherence: TrackingCoordinator;
let feed: FakeFeed;
/** What was done, in order: orders to the cache with the state at that time, and reports. */
let done: string[];
/** How often it was asked who takes the writes now. */
let looks: number;
let locked: boolean;
/** By the clock of the cache. */
let time: number;
/** Until when what is held may be answered. */
let followedUntil: number;
let later: (() => void)[];

const attempt = (order: string): boolean => {
  if (!locked) done.push(`${order} in ${state.current}`);
  return !locked;
};

function unlock(): void {
  locked = false;
  for (const work of later.splice(0)) work();
}

function add(): FakeFeed {
  const added = new FakeFeed();
  coherence.add(added);
  return added;
}

beforeEach(() => {
  const memory = InstanceMemory.create();
  state = new CoherenceState(memory);
  state.current = 'resync';
  counts = new CoherenceCounts(memory);
  done = [];
  locked = false;
  time = 5000;
  followedUntil = Infinity;
  looks = 0;
  later = [];
  const lru = {
    tryPurge: (key: Uint8Array) => attempt(`purge ${Buffer.from(key).toString()}`),
    tryFlush: () => attempt('flush'),
    tryExpireAll: () => attempt('expire all'),
    trustUntil: (until: number) => (followedUntil = until),
  };
  coherence = new TrackingCoordinator({
    orders: new InvalidationQueue(lru, (work) => later.push(work)),
    state,
    counts,
    report: (entered: CoherenceMode, reason) => done.push(`${entered}${reason === undefined ? '' : `: ${reason}`}`),
    now: () => NOW,
    clock: () => time,
    boundMs: BOUND_MS,
    lost: () => looks++,
  });
  feed = add();
});

describe('the news of writes', () => {
  it('is followed once all that was read before it has ended', () => {
    feed.listener.changed(TRACKING);
    expect(done).toEqual(['expire all in resync', 'tracking']);
    expect(state.current).toBe('tracking');
  });

  it('purges keys, and flushes, and is counted', () => {
    feed.listener.changed(TRACKING);
    done = [];
    feed.listener.invalidated(Buffer.from('a'));
    feed.listener.invalidated(Buffer.from('b'));
    feed.listener.flushed();
    expect(done).toEqual(['purge a in tracking', 'purge b in tracking', 'flush in tracking']);
    expect([counts.invalidations, counts.flushes, counts.losses, counts.lastLoss]).toEqual([2, 1, 0, 0]);
  });

  it('that is lost ends all, when nothing more is stored already', () => {
    feed.listener.changed(TRACKING);
    done = [];
    feed.listener.changed(LOST);
    expect(done).toEqual(['resync: ECONNRESET', 'expire all in resync']);
    expect([counts.losses, counts.lastLoss]).toEqual([1, NOW / 1000]);
    feed.listener.changed(TRACKING);
    expect(done.slice(2)).toEqual(['expire all in resync', 'tracking']);
  });

  it('lets what is held be answered for as long as nobody can overlook a write for longer than the bound', () => {
    feed.listener.changed(TRACKING);
    expect(followedUntil).toBe(5000 + BOUND_MS);
    time += 300;
    feed.listener.heard(20);
    expect(followedUntil).toBe(5280 + BOUND_MS);
    feed.listener.changed(LOST);
    time += 10_000;
    feed.listener.heard(20);
    expect(followedUntil).toBe(5280 + BOUND_MS);
    feed.listener.changed(TRACKING);
    expect(followedUntil).toBe(15_300 + BOUND_MS);
  });

  it('that never came is no loss', () => {
    feed.listener.changed(LOST);
    expect([done, counts.losses]).toEqual([['resync: ECONNRESET', 'expire all in resync'], 0]);
  });
});

describe('a Redis that refuses to tell', () => {
  it('leaves entries to their time', () => {
    feed.listener.changed(REFUSED);
    expect([done, state.current]).toEqual([['ttl: NOPERM'], 'ttl']);
  });

  it('and did not before leaves entries to their time, too', () => {
    feed.listener.changed(TRACKING);
    feed.listener.changed(REFUSED);
    expect(followedUntil).toBe(Infinity);
  });

  it('and changes its mind is followed like one that comes back', () => {
    feed.listener.changed(REFUSED);
    done = [];
    feed.listener.changed(TRACKING);
    expect(done).toEqual(['expire all in ttl', 'tracking']);
  });

  it('all at once is lost news', () => {
    feed.listener.changed(TRACKING);
    feed.listener.changed(REFUSED);
    expect([state.current, counts.losses]).toEqual(['ttl', 1]);
  });
});

describe('the news of several nodes', () => {
  it('is followed when all of them tell, and one that is lost is enough to end all', () => {
    const other = add();
    feed.listener.changed(TRACKING);
    expect(state.current).toBe('resync');
    other.listener.changed(TRACKING);
    expect(state.current).toBe('tracking');
    feed.listener.changed(LOST);
    expect([state.current, looks]).toEqual(['resync', 1]);
    other.listener.changed(LOST);
    expect(looks).toBe(2);
    feed.listener.changed(TRACKING);
    expect([state.current, counts.losses]).toEqual(['resync', 1]);
    other.listener.changed(TRACKING);
    expect(state.current).toBe('tracking');
  });

  it('lets what is held be answered by that of the node that was last heard of', () => {
    const other = add();
    feed.listener.changed(TRACKING);
    time += 100;
    other.listener.changed(TRACKING);
    expect(followedUntil).toBe(5000 + BOUND_MS);
    time += 100;
    feed.listener.heard(10);
    expect(followedUntil).toBe(5100 + BOUND_MS);
    other.listener.heard(30);
    expect(followedUntil).toBe(5170 + BOUND_MS);
  });

  it('is not enough when one of them refuses, whatever becomes of the others', () => {
    const other = add();
    feed.listener.changed(TRACKING);
    other.listener.changed(REFUSED);
    feed.listener.changed(LOST);
    expect(state.current).toBe('ttl');
    coherence.remove(other);
    expect([state.current, other.stopped]).toEqual(['resync', true]);
  });

  it('is not all of it when a node comes that does not tell yet', () => {
    feed.listener.changed(TRACKING);
    done = [];
    const other = add();
    expect(done).toEqual(['resync: connection', 'expire all in resync']);
    other.listener.changed(TRACKING);
    expect(state.current).toBe('tracking');
  });

  it('is that of those that are left when a node goes; without any there is none', () => {
    const other = add();
    feed.listener.changed(TRACKING);
    coherence.remove(other);
    expect(state.current).toBe('tracking');
    other.listener.changed(LOST);
    expect(state.current).toBe('tracking');
    coherence.remove(feed);
    expect(state.current).toBe('resync');
  });
});

describe('while the lock of the cache is held', () => {
  it('orders wait, in their order, and the state that is to follow them', () => {
    locked = true;
    feed.listener.changed(TRACKING);
    feed.listener.invalidated(Buffer.from('a'));
    feed.listener.flushed();
    expect([done, state.current]).toEqual([[], 'resync']);
    unlock();
    expect(done).toEqual(['expire all in resync', 'tracking', 'purge a in tracking', 'flush in tracking']);
  });

  it('nothing more is stored from the moment of a loss on, and news that came before it changes nothing', () => {
    locked = true;
    feed.listener.changed(TRACKING);
    feed.listener.changed(LOST);
    feed.listener.invalidated(Buffer.from('a'));
    expect(state.current).toBe('resync');
    unlock();
    expect(done).toEqual(['resync: ECONNRESET', 'expire all in resync', 'expire all in resync', 'purge a in resync']);
    expect(state.current).toBe('resync');
  });
});

it('ends with its feeds', () => {
  const other = add();
  coherence.stop();
  expect([feed.stopped, other.stopped]).toEqual([true, true]);
});
