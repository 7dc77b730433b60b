import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Etag } from '../etag.ts';
import { HitBuffer } from '../hit-buffer.ts';
import { Header, type LruLimits, LruMemory, RING_TOUCHES, Ring } from '../memory/layout.ts';
import { SharedLru } from '../shared-lru.ts';
import { checkInvariants, entriesByRecency } from '../shared-memory.spec-support.ts';
import { Query } from '../../../redis/query.ts';

const LIMITS: LruLimits = {
  capacity: 3,
  maxBytes: 100_000,
  maxValueBytes: 50_000,
  maxLeases: 4,
  leaseMs: 1000,
  staleMs: 0,
};
const ETAG: Etag = [1, -2, 3];
const MINUTE_MS = 60_000;
const KEY = Buffer.from('key');
/** In the slot; in blocks; the longest value that is copied at once. */
const SIZES = [100, 1000, 16 * 1024];

describe('Reads without the lock', () => {
  let now: number;
  let lru: SharedLru;
  let other: SharedLru;
  let header: Int32Array;
  let hit: HitBuffer;

  beforeEach(() => {
    now = 1000;
    // Time passes with every look at the clock, as the order of use needs.
    const clock = (): number => (now += 0.125);
    lru = SharedLru.create(LIMITS, 1, clock);
    other = SharedLru.attach(lru.buffer, 2, clock);
    header = new Int32Array(lru.buffer);
    hit = new HitBuffer();
  });

  function store(key: string | Buffer, value: Buffer | string = '', etag: Etag = ETAG): void {
    const found = other.lookup(Query.get(Buffer.from(key)));
    if (found.kind !== 'miss') throw new Error(found.kind);
    expect(other.commit(found.lease, Buffer.from(value), etag, MINUTE_MS)).toBe('stored');
  }

  /** Returns a buffer that calls back when the first word of a value has been copied into it. */
  function interrupted(interrupt: () => void): HitBuffer {
    let called = false;
    const callOnce = (): void => {
      if (called) return;
      called = true;
      interrupt();
    };
    const words64 = new Proxy(hit.words64, {
      set(target, property, word: bigint) {
        target[Number(property)] = word;
        callOnce();
        return true;
      },
      get(target, property) {
        const member: unknown = Reflect.get(target, property, target);
        if (property !== 'set') return member;
        return (source: BigInt64Array, at: number) => {
          target.set(source.subarray(0, 1), at);
          callOnce();
          target.set(source, at);
        };
      },
    });
    return Object.assign(Object.create(hit) as HitBuffer, { words64 });
  }

  const tryGet = (into = hit): boolean => lru.tryGetInto(KEY, 0, KEY.length, into);

  it('hit while another thread holds the lock', () => {
    store(KEY, 'value');
    store('large', Buffer.alloc(40_000, 'large'));
    header[Header.LOCK] = 3;
    expect(tryGet()).toBe(true);
    expect(hit.bytes.subarray(0, hit.length).toString()).toBe('value');
    expect(lru.lookup(Query.get(KEY))).toMatchObject({ kind: 'hit', value: Buffer.from('value') });
    expect(lru.peek(Query.get(KEY))).toMatchObject({ kind: 'hit' });
    expect(lru.lookup(Query.get(Buffer.from('large')))).toMatchObject({ value: Buffer.alloc(40_000, 'large') });
    header[Header.LOCK] = 0;
    expect(lru.stats()).toMatchObject({ hits: 4 });
  });

  it.each(SIZES)('return %d bytes', (size) => {
    const value = Buffer.from(Array.from({ length: size }, (_, i) => (i * 7919) >> 3));
    store(KEY, value);
    expect(tryGet(interrupted(() => undefined))).toBe(true);
    expect(hit.bytes.subarray(0, size)).toEqual(value);
  });

  describe.each(SIZES)('of %d bytes return nothing if, meanwhile,', (size) => {
    const value = Buffer.alloc(size, 'old');
    beforeEach(() => {
      store('first');
      store(KEY, value);
    });

    it.each<[string, () => void]>([
      ['the key is purged', () => other.purge(KEY)],
      [
        'the key is purged and stored again',
        () => {
          other.purge(KEY);
          store(KEY, Buffer.alloc(size, 'new'), [4, 5, 6]);
        },
      ],
      [
        'the key is purged and its memory used for another one',
        () => {
          other.purge(KEY);
          for (const key of ['a', 'b']) store(key, Buffer.alloc(size, key));
        },
      ],
      [
        'the entry is evicted',
        () => {
          for (const key of ['a', 'b', 'c']) store(key, Buffer.alloc(size, key));
        },
      ],
      ['the cache is flushed', () => other.flush()],
      [
        'the cache is flushed and the blocks of the entry, not its slot, are used again',
        () => {
          other.flush();
          store('a', Buffer.alloc(size, 'a'));
        },
      ],
    ])('%s', (_, interrupt) => {
      let interruptions = 0;
      const into = interrupted(() => {
        interruptions++;
        interrupt();
      });
      expect(tryGet(into)).toBe(false);
      expect(interruptions).toBe(1);
      expect(lru.stats().hits).toBe(0);
      // The touch of the discarded read must not disturb the order of use.
      for (const key of ['x', 'y', 'z']) store(key, Buffer.alloc(10, key));
      expect(entriesByRecency(lru.buffer)).toEqual(['z', 'y', 'x']);
      checkInvariants(lru.buffer);
    });
  });

  it('return nothing while a fill is not complete', () => {
    const seen: boolean[] = [];
    const found = other.lookup(Query.get(KEY));
    if (found.kind !== 'miss') throw new Error(found.kind);
    const etag = new Proxy([1, 2, 3], {
      get(target, property) {
        seen.push(tryGet());
        return Reflect.get(target, property) as number;
      },
    }) as unknown as Etag;
    other.commit(found.lease, Buffer.from('value'), etag, MINUTE_MS);
    expect(seen).toEqual([false, false, false]);
    expect(tryGet()).toBe(true);
  });

  it('return nothing while the lifetime is not written', () => {
    const seen: boolean[] = [];
    const found = other.lookup(Query.get(KEY));
    if (found.kind !== 'miss') throw new Error(found.kind);
    const lifetimeMs = {
      valueOf() {
        seen.push(tryGet());
        return MINUTE_MS;
      },
    };
    other.commit(found.lease, Buffer.from('value'), ETAG, lifetimeMs as unknown as number);
    expect(seen).toContain(false);
    expect(seen).not.toContain(true);
    expect(tryGet()).toBe(true);
  });

  it('return nothing if all entries expire before the lifetime is read', () => {
    store(KEY, 'value');
    let expired = false;
    const maxAgeMs = {
      valueOf() {
        if (!expired) other.expireAll();
        expired = true;
        return MINUTE_MS;
      },
    };
    expect(lru.peek(Query.get(KEY), maxAgeMs as unknown as number)).toBeUndefined();
    expect(expired).toBe(true);
    expect(lru.stats()).toMatchObject({ hits: 0 });
  });

  it('return nothing of an entry from before a flush to which a chain still seems to lead', () => {
    store(KEY, 'value');
    const { buckets } = new LruMemory(lru.buffer);
    const bucket = buckets.findIndex((slot) => slot !== 0);
    const slot = buckets[bucket];
    other.flush();
    expect(tryGet()).toBe(false);
    // What a processor may see that reads the chain before it has seen all writes to it.
    buckets[bucket] = slot;
    expect(tryGet()).toBe(false);
    buckets[bucket] = 0;
    checkInvariants(lru.buffer);
  });

  it('return nothing while the cache is being flushed', async () => {
    store(KEY, 'value');
    const found = other.lookup(Query.get(Buffer.from('leased')));
    if (found.kind !== 'miss') throw new Error(found.kind);
    const waiting = lru.result(found.lease);
    expect(tryGet()).toBe(true);
    const seen: boolean[] = [];
    const notify = Atomics.notify.bind(Atomics);
    const spy = jest.spyOn(Atomics, 'notify').mockImplementation((...args) => {
      seen.push(tryGet());
      // Nor does a thread that starts meanwhile read anything.
      const starting = SharedLru.attach(lru.buffer, 3, () => now);
      seen.push(starting.tryGetInto(KEY, 0, KEY.length, hit));
      return notify(...args);
    });
    try {
      other.flush();
    } finally {
      spy.mockRestore();
    }
    expect(seen).toContain(false);
    expect(seen).not.toContain(true);
    expect(await waiting).toBe('void');
  });

  it('return a large value only if it did not change while it was copied', () => {
    store(KEY, Buffer.alloc(40_000, 'old'));
    let admissions = 0;
    const admit = (): boolean => {
      if (++admissions > 1) return true;
      other.purge(KEY);
      store(KEY, Buffer.alloc(40_000, 'new'));
      return true;
    };
    expect(lru.lookup(Query.get(KEY), false, Infinity, admit)).toMatchObject({
      kind: 'hit',
      value: Buffer.alloc(40_000, 'new'),
    });
    expect(admissions).toBe(2);
    expect(lru.stats()).toMatchObject({ hits: 1 });
  });

  it('return no large value if the cache was flushed while it was copied, and its blocks are used again', () => {
    store('first');
    store(KEY, Buffer.alloc(40_000, 'old'));
    const admit = (): boolean => {
      other.flush();
      store('a', Buffer.alloc(40_000, 'new'));
      return true;
    };
    expect(lru.lookup(Query.get(KEY), false, Infinity, admit)).toMatchObject({ kind: 'miss' });
    expect(lru.stats()).toMatchObject({ hits: 0 });
  });

  it('succeed at once after a flush by another thread, for entries stored since', () => {
    store(KEY);
    expect(tryGet()).toBe(true);
    other.flush();
    expect(tryGet()).toBe(false);
    store(KEY);
    expect(tryGet()).toBe(true);
  });

  it('are ordered with those of other threads, however many there are before the next change', () => {
    for (const key of ['a', 'b', 'c']) store(key);
    for (let i = 0; i < 5 * RING_TOUCHES; i++) {
      const [thread, key] = i % 3 === 0 ? [other, 'a'] : [lru, 'b'];
      expect(thread.tryGetInto(Buffer.from(key), 0, 1, hit)).toBe(true);
    }
    other.lookup(Query.get(Buffer.from('c')));
    lru.lookup(Query.get(Buffer.from('a')));
    expect(entriesByRecency(lru.buffer)).toEqual(['a', 'c', 'b']);
    store('d');
    expect(entriesByRecency(lru.buffer)).toEqual(['d', 'a', 'c']);
  });

  it('keep their order if they follow one another while a third thread drains the rings', () => {
    const third = SharedLru.attach(lru.buffer, 3, () => (now += 0.125));
    for (const key of ['a', 'b']) store(key);
    const found = third.lookup(Query.get(Buffer.from('c')));
    if (found.kind !== 'miss') throw new Error(found.kind);
    const read = (thread: SharedLru, key: string): boolean => thread.tryGetInto(Buffer.from(key), 0, 1, hit);
    expect(read(lru, 'a') && read(other, 'b')).toBe(true);

    // The first ring has been looked at, the second one has not.
    const load = Atomics.load.bind(Atomics) as (words: Int32Array, at: number) => number;
    const { byteOffset: ringsAt } = new LruMemory(lru.buffer).rings;
    let haveRead = false;
    const spy = jest.spyOn(Atomics, 'load').mockImplementation(((words: Int32Array, at: number) => {
      const value = load(words, at);
      if (words.byteOffset === ringsAt && at === Ring.HEAD && !haveRead) {
        haveRead = true;
        expect(read(lru, 'a') && read(other, 'b')).toBe(true);
      }
      return value;
    }) as typeof Atomics.load);
    try {
      expect(third.commit(found.lease, Buffer.from('value'), ETAG, MINUTE_MS)).toBe('stored');
    } finally {
      spy.mockRestore();
    }
    expect(haveRead).toBe(true);
    expect(entriesByRecency(lru.buffer)).toEqual(['b', 'a', 'c']);
    third.lookup(Query.get(Buffer.from('c')));
    store('d');
    expect(entriesByRecency(lru.buffer)).toEqual(['d', 'c', 'b']);
    checkInvariants(lru.buffer);
  });

  it('of a thread that crashed while it held the lock count, and the next thread continues its ring', () => {
    const limits = { ...LIMITS, maxThreads: 1 };
    lru = SharedLru.create(limits, 1, () => (now += 0.125));
    other = SharedLru.attach(lru.buffer, 2, () => (now += 0.125));
    const dying = SharedLru.attach(lru.buffer, 3, () => (now += 0.125));
    store(KEY);
    expect(dying.tryGetInto(KEY, 0, KEY.length, hit)).toBe(true);
    header = new Int32Array(lru.buffer);
    header[Header.LOCK] = 3;
    expect(lru.recoverFrom(3)).toBe('emptied');
    const next = SharedLru.attach(lru.buffer, 4, () => (now += 0.125));
    store(KEY);
    expect(next.tryGetInto(KEY, 0, KEY.length, hit)).toBe(true);
    expect(lru.stats()).toMatchObject({ hits: 2 });
    checkInvariants(lru.buffer);
  });

  it('continue a full ring although its last owner had a clock that was ahead', () => {
    const ahead = SharedLru.attach(lru.buffer, 3, () => now + 1000);
    store(KEY);
    header[Header.LOCK] = 4;
    for (let i = 0; i < RING_TOUCHES; i++) expect(ahead.tryGetInto(KEY, 0, KEY.length, hit)).toBe(true);
    header[Header.LOCK] = 0;
    lru.recoverFrom(3);
    const next = SharedLru.attach(lru.buffer, 5, () => (now += 0.125));
    for (let i = 0; i < RING_TOUCHES; i++) {
      expect(next.tryGetInto(KEY, 0, KEY.length, hit)).toBe(true);
      entriesByRecency(lru.buffer);
    }
    expect(lru.stats().hits).toBe(2 * RING_TOUCHES);
    checkInvariants(lru.buffer);
  });

  it('wait for the lock only if the ring is full', () => {
    store(KEY);
    header[Header.LOCK] = 3;
    for (let i = 0; i < RING_TOUCHES; i++) expect(tryGet()).toBe(true);
    header[Header.LOCK] = 0;
    for (let i = 0; i < 2 * RING_TOUCHES; i++) expect(tryGet()).toBe(true);
    checkInvariants(lru.buffer);
    expect(lru.stats().hits).toBe(3 * RING_TOUCHES);
  });

  it('of a thread that crashed count, and others drain its ring and continue it', () => {
    const limits = { ...LIMITS, maxThreads: 1 };
    const clock = (): number => (now += 0.125);
    lru = SharedLru.create(limits, 1, clock);
    other = SharedLru.attach(lru.buffer, 2, clock);
    const dying = SharedLru.attach(lru.buffer, 3, clock);
    for (const key of ['a', 'b', 'c']) store(key);
    dying.tryGetInto(Buffer.from('a'), 0, 1, hit);
    // All rings are taken: this thread reads under the lock.
    const late = SharedLru.attach(lru.buffer, 4, clock);
    expect(late.tryGetInto(Buffer.from('b'), 0, 1, hit)).toBe(false);
    expect(late.lookup(Query.get(Buffer.from('b'))).kind).toBe('hit');
    expect(late.peek(Query.get(Buffer.from('b')))?.kind).toBe('hit');
    expect(entriesByRecency(lru.buffer)).toEqual(['b', 'a', 'c']);
    dying.tryGetInto(Buffer.from('c'), 0, 1, hit);
    lru.recoverFrom(3);
    const next = SharedLru.attach(lru.buffer, 5, clock);
    expect(next.tryGetInto(Buffer.from('a'), 0, 1, hit)).toBe(true);
    store('d');
    expect(entriesByRecency(lru.buffer)).toEqual(['d', 'a', 'c']);
    expect(lru.stats()).toMatchObject({ hits: 5 });
    checkInvariants(lru.buffer);
  });
});
