import { beforeEach, describe, expect, it } from '@jest/globals';
import { Header, type LruLimits } from '../cache/shared-lru/memory/layout.ts';
import { PURGED_AT_ONCE, SharedLru } from '../cache/shared-lru/shared-lru.ts';
import { InvalidationQueue, MAX_PENDING } from './invalidation-queue.ts';
import { Query } from '../redis/query.ts';

const LIMITS: LruLimits = {
  capacity: 10,
  maxBytes: 10_000,
  maxValueBytes: 1000,
  maxLeases: 4,
  leaseMs: 1000,
  staleMs: 0,
};
const CRASHED_THREAD = 7;

let lru: SharedLru;
let header: Int32Array;
let queue: InvalidationQueue;
let retries: (() => void)[];
let turns: (() => void)[];

function store(key: string): void {
  const found = lru.lookup(Query.get(Buffer.from(key)));
  if (found.kind === 'miss') lru.commit(found.lease, Buffer.from('value'), [1, 2, 3], 60_000);
}

const kindOf = (key: string): string => lru.lookup(Query.get(Buffer.from(key))).kind;
const retry = (): void => retries.splice(0).forEach((work) => work());

beforeEach(() => {
  lru = SharedLru.create(LIMITS, -1, () => 1000);
  header = new Int32Array(lru.buffer);
  retries = [];
  turns = [];
  queue = new InvalidationQueue(lru, { retry: (work) => retries.push(work), next: (work) => turns.push(work) });
  for (const key of ['a', 'b', 'c']) store(key);
});

describe('InvalidationQueue', () => {
  it('executes mutations immediately while the lock is free, and calls back', () => {
    queue.purge(Buffer.from('a'));
    expect([kindOf('a'), kindOf('b')]).toEqual(['miss', 'hit']);
    let followed = false;
    queue.expireAll(() => (followed = true));
    expect([kindOf('b'), followed]).toEqual(['miss', true]);
    store('d');
    queue.flush();
    expect([kindOf('d'), retries.length]).toEqual(['miss', 0]);
  });

  it('retries while a crashed thread holds the lock, and never blocks its recovery', () => {
    header[Header.LOCK] = CRASHED_THREAD;
    const chunk = Buffer.from('a and more');
    queue.purge(chunk.subarray(0, 1));
    // The memory of received keys is reused.
    chunk.fill('x');
    let followed = false;
    queue.expireAll(() => (followed = true));
    for (let times = 0; times < 3; times++) {
      expect(retries).toHaveLength(1);
      retry();
    }
    expect(followed).toBe(false);
    expect(lru.recoverFrom(CRASHED_THREAD)).toBe('emptied');
    store('b');
    retry();
    expect([kindOf('b'), followed, retries.length]).toEqual(['miss', true, 0]);
  });

  it('calls back after the mutation, not before', () => {
    const done: string[] = [];
    queue.purge(Buffer.from('a'), () => done.push('purge'));
    expect(done).toEqual(['purge']);
    header[Header.LOCK] = CRASHED_THREAD;
    queue.purge(Buffer.from('b'), () => done.push('second purge'));
    queue.flush(() => done.push('flush'));
    expect(done).toEqual(['purge']);
    header[Header.LOCK] = 0;
    retry();
    expect(done).toEqual(['purge', 'second purge', 'flush']);
  });

  it('keeps the order of mutations', () => {
    header[Header.LOCK] = CRASHED_THREAD;
    queue.purge(Buffer.from('a'));
    header[Header.LOCK] = 0;
    queue.purge(Buffer.from('b'));
    expect([kindOf('a'), kindOf('b'), kindOf('c')]).toEqual(['miss', 'miss', 'hit']);
    retry();
    expect(retries).toHaveLength(0);
  });

  it('extends the trust after all pending mutations, also if they collapse to a flush', () => {
    header[Header.LOCK] = CRASHED_THREAD;
    queue.purge(Buffer.from('a'));
    lru.trustUntil(0);
    queue.trustUntil(Infinity);
    header[Header.LOCK] = 0;
    expect(kindOf('b')).toBe('miss');
    header[Header.LOCK] = CRASHED_THREAD;
    for (let i = 0; i < 3 * MAX_PENDING; i++) queue.purge(Buffer.from(`key ${i}`));
    header[Header.LOCK] = 0;
    retry();
    store('b');
    expect(kindOf('b')).toBe('hit');
  });

  it('collapses to a flush beyond the limit, and still calls all callbacks', () => {
    header[Header.LOCK] = CRASHED_THREAD;
    let followed = 0;
    queue.expireAll(() => followed++);
    for (let i = 0; i < 3 * MAX_PENDING; i++) queue.purge(Buffer.from(`key ${i}`));
    header[Header.LOCK] = 0;
    retry();
    expect([lru.stats().entries, followed]).toEqual([0, 1]);
  });

  describe('while a purge of a key with many queries is in progress', () => {
    const FIELDS = 3 * PURGED_AT_ONCE;
    const BIG = Buffer.from('big');
    let done: string[];

    beforeEach(() => {
      lru = SharedLru.create({ ...LIMITS, capacity: 2 * FIELDS, maxLeases: FIELDS }, -1, () => 1000);
      header = new Int32Array(lru.buffer);
      queue = new InvalidationQueue(lru, { retry: (work) => retries.push(work), next: (work) => turns.push(work) });
      for (const key of ['a', 'b', 'c']) store(key);
      for (let i = 0; i < FIELDS; i++) {
        const found = lru.lookup(Query.of(BIG, [Buffer.from('HGET'), Buffer.from(String(i))]));
        if (found.kind === 'miss') lru.commit(found.lease, Buffer.from('value'), [1, 2, 3], 60_000);
      }
      done = [];
      queue.purge(BIG, () => done.push('big'));
      expect([turns.length, done]).toEqual([1, []]);
    });

    const turn = (): void => turns.splice(0).forEach((work) => work());

    it('continues with a step in each turn of the event loop', () => {
      const entries: number[] = [];
      while (turns.length > 0) {
        entries.push(lru.stats().entries);
        turn();
      }
      expect(entries).toEqual([2, 1].map((steps) => steps * PURGED_AT_ONCE + 3));
      expect([lru.stats().entries, done, retries.length]).toEqual([3, ['big'], 0]);
    });

    it('purges other keys immediately', () => {
      queue.purge(Buffer.from('a'), () => done.push('a'));
      expect([kindOf('a'), done]).toEqual(['miss', ['a']]);
    });

    it.each([
      ['expires all entries', () => queue.expireAll(() => done.push('next'))],
      ['flushes', () => queue.flush(() => done.push('next'))],
    ])('%s, in order, after it', (_, mutate) => {
      mutate();
      queue.purge(Buffer.from('a'), () => done.push('a'));
      turn();
      expect(done).toEqual([]);
      turn();
      expect([done, turns.length]).toEqual([['big', 'next', 'a'], 0]);
    });

    it('extends the trust after it, and after the purges begun meanwhile, but lets others pass', () => {
      lru.trustUntil(0);
      queue.trustUntil(Infinity);
      queue.purge(Buffer.from('a'), () => done.push('a'));
      turn();
      expect([done, kindOf('b')]).toEqual([['a'], 'miss']);
      turn();
      expect([done, kindOf('c')]).toEqual([['a', 'big'], 'hit']);
    });

    it('waits a little while the lock is held', () => {
      header[Header.LOCK] = CRASHED_THREAD;
      turn();
      expect([turns.length, retries.length]).toEqual([0, 1]);
      queue.purge(Buffer.from('a'), () => done.push('a'));
      queue.trustUntil(Infinity);
      header[Header.LOCK] = 0;
      retry();
      expect(done).toEqual(['a']);
      turn();
      expect([done, turns.length, retries.length]).toEqual([['a', 'big'], 0, 0]);
    });

    it('replaces it by a flush if too many mutations are pending', () => {
      header[Header.LOCK] = CRASHED_THREAD;
      for (let i = 0; i <= MAX_PENDING; i++) queue.purge(Buffer.from(`key ${i}`));
      header[Header.LOCK] = 0;
      turn();
      retry();
      expect([lru.stats().entries, done]).toEqual([0, ['big']]);
    });
  });
});
