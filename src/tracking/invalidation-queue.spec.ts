import { beforeEach, describe, expect, it } from '@jest/globals';
import { Header, type LruLimits } from '../cache/shared-lru/memory/layout.ts';
import { SharedLru } from '../cache/shared-lru/shared-lru.ts';
import { InvalidationQueue, MOST_WAITING } from './invalidation-queue.ts';

const LIMITS: LruLimits = {
  capacity: 10,
  maxBytes: 10_000,
  maxValueBytes: 1000,
  maxLeases: 4,
  leaseMs: 1000,
  staleMs: 0,
};
const DEAD = 7;

let lru: SharedLru;
let header: Int32Array;
let orders: InvalidationQueue;
let later: (() => void)[];

function store(key: string): void {
  const found = lru.lookup(Buffer.from(key));
  if (found.kind === 'miss') lru.commit(found.lease, Buffer.from('value'), [1, 2, 3], 60_000);
}

const kindOf = (key: string): string => lru.lookup(Buffer.from(key)).kind;
const retry = (): void => later.splice(0).forEach((work) => work());

beforeEach(() => {
  lru = SharedLru.create(LIMITS, -1, () => 1000);
  header = new Int32Array(lru.buffer);
  later = [];
  orders = new InvalidationQueue(lru, (work) => later.push(work));
  for (const key of ['a', 'b', 'c']) store(key);
});

describe('orders to the cache', () => {
  it('are carried out at once, and followed by what is to follow them', () => {
    orders.purge(Buffer.from('a'));
    expect([kindOf('a'), kindOf('b')]).toEqual(['miss', 'hit']);
    let followed = false;
    orders.expireAll(() => (followed = true));
    expect([kindOf('b'), followed]).toEqual(['miss', true]);
    store('d');
    orders.flush();
    expect([kindOf('d'), later.length]).toEqual(['miss', 0]);
  });

  it('wait, however long, for a lock that a dead thread holds, and never keep from burying it', () => {
    header[Header.LOCK] = DEAD;
    const chunk = Buffer.from('a and more');
    orders.purge(chunk.subarray(0, 1));
    // The memory of what Redis has sent is used again.
    chunk.fill('x');
    let followed = false;
    orders.expireAll(() => (followed = true));
    for (let times = 0; times < 3; times++) {
      expect(later).toHaveLength(1);
      retry();
    }
    expect(followed).toBe(false);
    expect(lru.recoverFrom(DEAD)).toBe('emptied');
    store('b');
    retry();
    expect([kindOf('b'), followed, later.length]).toEqual(['miss', true, 0]);
  });

  it('are said to be done when they are, and not before', () => {
    const done: string[] = [];
    orders.purge(Buffer.from('a'), () => done.push('purge'));
    expect(done).toEqual(['purge']);
    header[Header.LOCK] = DEAD;
    orders.purge(Buffer.from('b'), () => done.push('second purge'));
    orders.flush(() => done.push('flush'));
    expect(done).toEqual(['purge']);
    header[Header.LOCK] = 0;
    retry();
    expect(done).toEqual(['purge', 'second purge', 'flush']);
  });

  it('wait for one another', () => {
    header[Header.LOCK] = DEAD;
    orders.purge(Buffer.from('a'));
    header[Header.LOCK] = 0;
    orders.purge(Buffer.from('b'));
    expect([kindOf('a'), kindOf('b'), kindOf('c')]).toEqual(['miss', 'miss', 'hit']);
    retry();
    expect(later).toHaveLength(0);
  });

  it('wait before what is held may be answered for longer, which is not forgotten with them', () => {
    header[Header.LOCK] = DEAD;
    orders.purge(Buffer.from('a'));
    lru.trustUntil(0);
    orders.trustUntil(Infinity);
    header[Header.LOCK] = 0;
    expect(kindOf('b')).toBe('miss');
    header[Header.LOCK] = DEAD;
    for (let i = 0; i < 3 * MOST_WAITING; i++) orders.purge(Buffer.from(`key ${i}`));
    header[Header.LOCK] = 0;
    retry();
    store('b');
    expect(kindOf('b')).toBe('hit');
  });

  it('become one to forget all when too many wait, and lose nothing that is to follow', () => {
    header[Header.LOCK] = DEAD;
    let followed = 0;
    orders.expireAll(() => followed++);
    for (let i = 0; i < 3 * MOST_WAITING; i++) orders.purge(Buffer.from(`key ${i}`));
    header[Header.LOCK] = 0;
    retry();
    expect([lru.stats().entries, followed]).toEqual([0, 1]);
  });
});
