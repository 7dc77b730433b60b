import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Etag } from './etag.ts';
import { HitBuffer } from './hit-buffer.ts';
import { EXPIRE_ALL_HISTORY_LENGTH, Header, LayoutError, type LruLimits } from './memory/layout.ts';
import { type FillResult, type Lease, PurgeProgress } from './cache-types.ts';
import { SharedLru } from './shared-lru.ts';
import { checkInvariants } from './shared-memory.spec-support.ts';
import { Query } from '../../redis/query.ts';

const LIMITS: LruLimits = {
  capacity: 3,
  maxBytes: 100_000,
  maxValueBytes: 50_000,
  maxLeases: 4,
  leaseMs: 100,
  staleMs: 0,
};
const ETAG: Etag = [1, -2, 3];
const MINUTE_MS = 60_000;

describe('SharedLru', () => {
  let now: number;
  /** Called whenever the cache reads the clock, for example before each chunk of a fill. */
  let onClock: () => void;
  let lru: SharedLru;
  const clock = (): number => {
    onClock();
    return now;
  };

  beforeEach(() => {
    now = 1000;
    onClock = () => undefined;
    lru = create();
  });

  function create(limits: Partial<LruLimits> = {}): SharedLru {
    return SharedLru.create({ ...LIMITS, ...limits }, 1, clock);
  }

  function leaseOf(key: string): Lease {
    const found = lru.lookup(Query.get(Buffer.from(key)));
    if (found.kind !== 'miss') throw new Error(`${key}: ${found.kind}`);
    return found.lease;
  }

  function store(key: string, value: string | Buffer = '', lifetimeMs = MINUTE_MS): FillResult {
    return lru.commit(leaseOf(key), Buffer.from(value), ETAG, lifetimeMs);
  }

  function kindOf(key: string): string {
    return lru.lookup(Query.get(Buffer.from(key))).kind;
  }

  function valueOf(key: string): Buffer | undefined {
    const found = lru.lookup(Query.get(Buffer.from(key)));
    return found.kind === 'hit' ? found.value : undefined;
  }

  describe('stores values', () => {
    it.each([0, 1, 8, 127, 128, 129, 16_384, 16_385, 50_000])('of %d bytes', (size) => {
      const value = Buffer.from(Array.from({ length: size }, (_, i) => (i * 7919) >> 3));
      store('key', value);
      expect(valueOf('key')).toEqual(value);
    });

    it('under keys of any bytes, also the empty key', () => {
      for (const key of [Buffer.alloc(0), Buffer.from([0]), Buffer.from([0xff, 0xfe])]) {
        const found = lru.lookup(Query.get(key));
        if (found.kind === 'miss') lru.commit(found.lease, key, ETAG, MINUTE_MS);
        expect(lru.lookup(Query.get(key))).toMatchObject({ kind: 'hit', value: key });
      }
    });

    it('with their etags', () => {
      store('key');
      expect(lru.lookup(Query.get(Buffer.from('key')))).toMatchObject({ kind: 'hit', etag: ETAG });
    });

    it('and returns copies, which callers may modify', () => {
      store('key', 'value');
      valueOf('key')?.fill(0);
      expect(valueOf('key')).toEqual(Buffer.from('value'));
    });

    it('for every thread that maps the memory', () => {
      const other = SharedLru.attach(lru.buffer, 2, clock);
      store('key', 'value');
      expect(other.limits).toMatchObject(LIMITS);
      expect(other.lookup(Query.get(Buffer.from('key')))).toMatchObject({ kind: 'hit', value: Buffer.from('value') });
      expect(other.purge(Buffer.from('key'))).toBe(1);
      expect(kindOf('key')).toBe('miss');
    });
  });

  describe('evicts', () => {
    it('nothing up to the capacity, and one entry for each entry beyond it', () => {
      for (const key of ['a', 'b', 'c']) store(key);
      expect(lru.stats()).toMatchObject({ entries: 3, evictionsByCapacity: 0 });
      store('d');
      expect(lru.stats()).toMatchObject({ entries: 3, evictionsByCapacity: 1 });
    });

    it('the least recently read entry, not the one that was stored first', () => {
      for (const key of ['a', 'b', 'c']) store(key);
      kindOf('a');
      store('d');
      expect(['a', 'b', 'c', 'd'].map(kindOf)).toEqual(['hit', 'miss', 'hit', 'hit']);
    });

    it('as many entries as needed to fit the byte budget, keys included', () => {
      lru = create({ maxBytes: 30 });
      store('a', '123456789');
      store('b', '123456789');
      store('c', '123456789');
      expect(lru.stats()).toMatchObject({ entries: 3, bytes: 30, evictionsByBytes: 0 });
      store('d', '12345678901');
      expect(lru.stats()).toMatchObject({ entries: 2, bytes: 22, evictionsByBytes: 2 });
      expect(kindOf('c')).toBe('hit');
    });

    it('nothing for a key that is being loaded', () => {
      for (const key of ['a', 'b', 'c']) store(key);
      leaseOf('d');
      expect(lru.stats()).toMatchObject({ entries: 3, leases: 1, evictionsByCapacity: 0 });
    });
  });

  describe('expires', () => {
    it('an entry exactly at the end of its lifetime', () => {
      store('key', 'value', 500);
      now += 499;
      expect(lru.lookup(Query.get(Buffer.from('key')))).toMatchObject({
        kind: 'hit',
        freshness: { ageMs: 499, lifetimeMs: 500 },
      });
      now += 1;
      expect(kindOf('key')).toBe('miss');
      expect(lru.stats()).toMatchObject({ entries: 0, bytes: 0, expirations: 1 });
    });

    it('no entry later because it was read', () => {
      store('key', 'value', 500);
      for (; now < 1500; now += 100) expect(kindOf('key')).toBe('hit');
      expect(kindOf('key')).toBe('miss');
    });

    it('no entry with an infinite lifetime', () => {
      store('key', 'value', Infinity);
      now += 1e15;
      expect(kindOf('key')).toBe('hit');
    });
  });

  describe('does not store', () => {
    it('a value over the size limit', () => {
      expect(store('key', Buffer.alloc(50_001))).toBe('uncacheable');
      expect(store('key', Buffer.alloc(50_000))).toBe('stored');
      expect(lru.stats()).toMatchObject({ entries: 1, uncacheable: 1 });
    });

    it('an item over the whole byte budget, and evicts nothing for it', () => {
      lru = create({ maxBytes: 30 });
      store('a');
      expect(store('b', Buffer.alloc(30))).toBe('uncacheable');
      expect(kindOf('a')).toBe('hit');
      expect(lru.stats()).toMatchObject({ leases: 0, uncacheable: 1 });
    });

    it('a key of more than 64 KiB, for which no lease is granted', () => {
      lru = create({ maxLeases: 1000 });
      expect(lru.lookup(Query.get(Buffer.alloc(65_536))).kind).toBe('miss');
      expect(lru.lookup(Query.get(Buffer.alloc(65_537))).kind).toBe('unleased');
      expect(lru.stats()).toMatchObject({ misses: 2, leases: 1 });
    });
  });

  describe('stores a negative entry', () => {
    it('for its lifetime, distinct from an empty value', () => {
      lru.commitNegative(leaseOf('nothing'), 500);
      store('empty', '');
      expect(lru.lookup(Query.get(Buffer.from('nothing')))).toEqual({
        kind: 'missing',
        freshness: { ageMs: 0, lifetimeMs: 500 },
      });
      expect(valueOf('empty')).toEqual(Buffer.alloc(0));
      now += 500;
      expect(kindOf('nothing')).toBe('miss');
    });

    it('that is counted, purged and evicted like any other entry', () => {
      for (const key of ['a', 'b', 'c']) store(key);
      lru.commitNegative(leaseOf('nothing'), MINUTE_MS);
      expect(lru.stats()).toMatchObject({ entries: 3, evictionsByCapacity: 1, bytes: 'bcnothing'.length });
      expect(lru.purge(Buffer.from('nothing'))).toBe(1);
      expect(kindOf('nothing')).toBe('miss');
    });
  });

  describe('leases a key', () => {
    it('to one reader at a time; the others learn which lease is loading it', () => {
      const lease = leaseOf('key');
      expect(lru.lookup(Query.get(Buffer.from('key')))).toMatchObject({ kind: 'loading', lease, own: true });
      expect(kindOf('another')).toBe('miss');
    });

    it('until it is filled, which is possible once', () => {
      const lease = leaseOf('key');
      expect(lru.commit(lease, Buffer.from('1'), ETAG, MINUTE_MS)).toBe('stored');
      expect(lru.commit(lease, Buffer.from('2'), ETAG, MINUTE_MS)).toBe('void');
      expect(lru.commitNegative(lease, MINUTE_MS)).toBe('void');
      expect(valueOf('key')).toEqual(Buffer.from('1'));
    });

    it('until it is abandoned, with nothing stored', () => {
      lru.abandon(leaseOf('key'));
      expect(lru.stats()).toMatchObject({ entries: 0, leases: 0 });
      expect(kindOf('key')).toBe('miss');
    });

    it('until it is purged: a value read before is never stored afterwards', () => {
      const lease = leaseOf('key');
      expect(lru.purge(Buffer.from('key'))).toBe(0);
      expect(lru.commit(lease, Buffer.from('old'), ETAG, MINUTE_MS)).toBe('void');
      expect(kindOf('key')).toBe('miss');
    });

    it('until the cache is flushed', () => {
      const lease = leaseOf('key');
      lru.flush();
      expect(lru.commit(lease, Buffer.from('old'), ETAG, MINUTE_MS)).toBe('void');
      expect(lru.stats()).toMatchObject({ entries: 0, leases: 0, voidedFills: 1 });
    });

    it('again after a purge, and the old lease is not valid for the new one', () => {
      const old = leaseOf('key');
      lru.purge(Buffer.from('key'));
      const young = leaseOf('key');
      lru.abandon(old);
      expect(lru.commit(old, Buffer.from('old'), ETAG, MINUTE_MS)).toBe('void');
      expect(lru.commit(young, Buffer.from('young'), ETAG, MINUTE_MS)).toBe('stored');
      expect(valueOf('key')).toEqual(Buffer.from('young'));
    });

    it('whose end a thread that has joined its load learns at once, even if it comes before it waits', async () => {
      const lease = leaseOf('key');
      const wait = Atomics.waitAsync.bind(Atomics) as (...args: unknown[]) => ReturnType<typeof Atomics.waitAsync>;
      let result: ReturnType<typeof Atomics.waitAsync> | undefined;
      const spy = jest.spyOn(Atomics, 'waitAsync').mockImplementation((...args: unknown[]) => {
        lru.abandon(lease, 'timeout');
        return (result = wait(...args));
      });
      try {
        expect(await SharedLru.attach(lru.buffer, 2, clock).result(lease)).toBe('timeout');
      } finally {
        spy.mockRestore();
      }
      expect(result).toMatchObject({ async: false });
    });

    it('to the next reader after leaseMs', () => {
      const lease = leaseOf('key');
      now += 99;
      expect(kindOf('key')).toBe('loading');
      now += 1;
      expect(kindOf('key')).toBe('miss');
      expect(lru.commit(lease, Buffer.from('late'), ETAG, MINUTE_MS)).toBe('void');
      expect(lru.stats()).toMatchObject({ leases: 1, expiredLeases: 1 });
    });

    it('at most maxLeases times at once, and again once those have expired', () => {
      for (const key of ['a', 'b', 'c', 'd']) leaseOf(key);
      expect(kindOf('e')).toBe('unleased');
      expect(lru.stats()).toMatchObject({ misses: 5, leases: 4 });
      now += 100;
      expect(kindOf('e')).toBe('miss');
      expect(lru.stats()).toMatchObject({ leases: 1, expiredLeases: 4 });
    });
  });

  describe('writes a large value in chunks, between which other threads may run,', () => {
    const large = Buffer.alloc(40_000, 'large');
    let other: SharedLru;

    beforeEach(() => {
      other = SharedLru.attach(lru.buffer, 2, () => now);
    });

    /** Fills `key` and calls back before the second chunk, after 16 KiB. */
    function fillInterrupted(lease: Lease, interruption: () => void): FillResult {
      let reads = 0;
      onClock = () => {
        if (++reads === 2) interruption();
      };
      return lru.commit(lease, large, ETAG, MINUTE_MS);
    }

    it('and stores nothing if the key was purged meanwhile', () => {
      expect(fillInterrupted(leaseOf('key'), () => other.purge(Buffer.from('key')))).toBe('void');
      expect(lru.stats()).toMatchObject({ entries: 0, bytes: 0, leases: 0 });
    });

    it('and stores nothing if the cache was flushed meanwhile', () => {
      expect(fillInterrupted(leaseOf('key'), () => other.flush())).toBe('void');
      expect(lru.stats()).toMatchObject({ entries: 0, bytes: 0, leases: 0 });
    });

    it('and stays within the budget while others store', () => {
      lru = create({ maxBytes: 40_010 });
      other = SharedLru.attach(lru.buffer, 2, () => now);
      const lease = leaseOf('key');
      const interrupt = (): void => {
        const found = other.lookup(Query.get(Buffer.from('small')));
        if (found.kind === 'miss') other.commit(found.lease, Buffer.alloc(100), ETAG, MINUTE_MS);
      };
      expect(fillInterrupted(lease, interrupt)).toBe('stored');
      expect(lru.stats()).toMatchObject({ entries: 1, bytes: 40_003, evictionsByBytes: 1 });
    });

    it('and never mixes it with another fill under the same lease', () => {
      const lease = leaseOf('key');
      const intruder = (): void => {
        expect(other.commit(lease, Buffer.alloc(30_000, 'intruder'), ETAG, MINUTE_MS)).toBe('void');
        expect(other.commitNegative(lease, MINUTE_MS)).toBe('void');
      };
      expect(fillInterrupted(lease, intruder)).toBe('stored');
      expect(valueOf('key')).toEqual(large);
    });

    it('and releases the bytes of a fill that was never continued', () => {
      lru = create({ maxBytes: 40_010 });
      expect(() =>
        fillInterrupted(leaseOf('key'), () => {
          throw new Error('as if the thread had crashed');
        }),
      ).toThrow('crashed');
      onClock = () => undefined;
      expect(lru.stats()).toMatchObject({ bytes: 16_387, leases: 1 });
      now += LIMITS.leaseMs;
      // From now on any miss releases the bytes.
      expect(store('other', large)).toBe('stored');
      expect(lru.stats()).toMatchObject({ entries: 1, bytes: 40_005, leases: 0 });
    });
  });

  describe('removes', () => {
    it('one key by a purge, and returns whether it was cached', () => {
      store('key', 'value');
      store('other');
      expect(lru.purge(Buffer.from('key'))).toBe(1);
      expect(lru.purge(Buffer.from('key'))).toBe(0);
      expect(kindOf('key')).toBe('miss');
      expect(kindOf('other')).toBe('hit');
      expect(lru.stats()).toMatchObject({ invalidations: 1 });
    });

    it('an expired entry by a purge, which does not count as cached', () => {
      store('key', 'value', 500);
      now += 500;
      expect(lru.purge(Buffer.from('key'))).toBe(0);
      expect(lru.stats()).toMatchObject({ entries: 0, invalidations: 0, expirations: 1 });
    });

    it('every key by a flush, and returns their number', () => {
      for (const key of ['a', 'b']) store(key, 'value');
      expect(lru.flush()).toBe(2);
      expect(lru.flush()).toBe(0);
      expect(lru.stats()).toMatchObject({ entries: 0, bytes: 0, leases: 0 });
      expect(['a', 'b'].map(kindOf)).toEqual(['miss', 'miss']);
    });
  });

  describe('keeps an expired value', () => {
    const key = Buffer.from('key');
    beforeEach(() => {
      lru = create({ staleMs: 200 });
    });

    /** Returns the stale value of `key`. */
    const staleValue = (): Buffer | undefined => lru.getStale(Query.get(key))?.value;

    it('for exactly staleMs', () => {
      store('key', 'value', 500);
      now += 499;
      expect(lru.getStale(Query.get(key))).toBeUndefined();
      now += 1;
      expect(lru.tryGetInto(key, 0, key.length, new HitBuffer())).toBe(false);
      now += 199;
      expect(lru.getStale(Query.get(key))).toMatchObject({
        value: Buffer.from('value'),
        freshness: { ageMs: 699, lifetimeMs: 500 },
      });
      expect(lru.stats()).toMatchObject({ entries: 1, bytes: 8, hits: 0, expirations: 0 });
      now += 1;
      expect(lru.getStale(Query.get(key))).toBeUndefined();
      expect(kindOf('key')).toBe('miss');
      expect(lru.stats()).toMatchObject({ entries: 0, bytes: 0, expirations: 1 });
    });

    it('but never beyond the TTL of the key itself', () => {
      lru.commit(leaseOf('key'), Buffer.from('value'), ETAG, 500, 500);
      lru.commit(leaseOf('b'), Buffer.from('value'), ETAG, 500, 600);
      now += 500;
      expect(staleValue()).toBeUndefined();
      now += 90;
      expect(lru.getStale(Query.get(Buffer.from('b')))).toBeDefined();
      now += 10;
      expect(lru.getStale(Query.get(Buffer.from('b')))).toBeUndefined();
    });

    it('but not a negative entry', () => {
      lru.commitNegative(leaseOf('key'), 500);
      now += 500;
      expect(lru.getStale(Query.get(key))).toBeUndefined();
      expect(lru.lookup(Query.get(key))).toMatchObject({ kind: 'miss', forward: 'uri-miss' });
    });

    it('also if it is large', () => {
      const large = Buffer.alloc(50_000, 'large');
      store('key', large, 500);
      now += 500;
      expect(staleValue()).toEqual(large);
    });

    it('within the capacity and the budget, in the order of use, to which stale reads count', () => {
      store('key', 'value', 500);
      store('b');
      store('c');
      now += 500;
      expect(staleValue()).toEqual(Buffer.from('value'));
      store('d');
      expect(lru.stats()).toMatchObject({ entries: 3, evictionsByCapacity: 1 });
      expect(staleValue()).toEqual(Buffer.from('value'));
      for (const other of ['e', 'f', 'g']) store(other);
      expect(staleValue()).toBeUndefined();
    });

    it('while one reader reloads it, and reports it as stale', () => {
      store('key', 'old', 500);
      now += 500;
      const found = lru.lookup(Query.get(key));
      expect(found).toMatchObject({ kind: 'miss', forward: 'stale' });
      expect(lru.lookup(Query.get(key))).toMatchObject({ kind: 'loading', forward: 'stale' });
      expect(staleValue()).toEqual(Buffer.from('old'));
      if (found.kind === 'miss') lru.commit(found.lease, Buffer.from('new'), ETAG, MINUTE_MS);
      expect(valueOf('key')).toEqual(Buffer.from('new'));
      expect(lru.stats()).toMatchObject({ entries: 1, bytes: 6, leases: 0, expirations: 1 });
    });

    it.each(['timeout', 'unavailable', 'overloaded', 'void'] as const)('after a load that ended with %s', (result) => {
      store('key', 'value', 500);
      now += 500;
      lru.abandon(leaseOf('key'), result);
      expect(staleValue()).toEqual(Buffer.from('value'));
      expect(kindOf('key')).toBe('miss');
    });

    it.each(['missing', 'wrong-type', 'unshared'] as const)(
      'but not once it is known to be outdated (%s)',
      (result) => {
        store('key', 'value', 500);
        now += 500;
        lru.abandon(leaseOf('key'), result);
        expect(staleValue()).toBeUndefined();
        expect(lru.stats()).toMatchObject({ entries: 0, bytes: 0, leases: 0 });
      },
    );

    it('but not if its new value is too large to be stored', () => {
      store('key', 'value', 500);
      now += 500;
      expect(store('key', Buffer.alloc(50_001))).toBe('uncacheable');
      expect(staleValue()).toBeUndefined();
    });

    it.each(['purge', 'flush'] as const)('until a %s, which also voids the lease of its reload', (how) => {
      store('key', 'value', 500);
      now += 500;
      const lease = leaseOf('key');
      if (how === 'purge') expect(lru.purge(key)).toBe(1);
      else lru.flush();
      expect(staleValue()).toBeUndefined();
      expect(lru.commit(lease, Buffer.from('read before'), ETAG, MINUTE_MS)).toBe('void');
      expect(lru.stats()).toMatchObject({ entries: 0, leases: 0 });
    });

    it('until it is evicted; a purge still finds the lease of its reload', () => {
      store('key', 'value', 500);
      now += 500;
      const lease = leaseOf('key');
      for (const other of ['b', 'c', 'd']) store(other);
      expect(staleValue()).toBeUndefined();
      expect(lru.lookup(Query.get(key))).toMatchObject({ kind: 'loading', lease, forward: 'uri-miss' });
      lru.purge(key);
      expect(lru.commit(lease, Buffer.from('read before'), ETAG, MINUTE_MS)).toBe('void');
      checkInvariants(lru.buffer);
    });

    it('if the loading thread crashes or takes too long', () => {
      store('key', 'value', 10);
      now += 10;
      SharedLru.attach(lru.buffer, 2, clock).lookup(Query.get(key));
      lru.recoverFrom(2);
      expect(kindOf('key')).toBe('miss');
      now += LIMITS.leaseMs;
      expect(kindOf('key')).toBe('miss');
      expect(staleValue()).toEqual(Buffer.from('value'));
      expect(lru.stats()).toMatchObject({ leases: 1, expiredLeases: 1 });
    });

    it('from the time when all entries were expired, but never beyond its own expiry plus staleMs', () => {
      store('key', 'value', 500);
      now += 100;
      lru.expireAll();
      now += 199;
      expect(lru.getStale(Query.get(key))).toMatchObject({ freshness: { ageMs: 299, lifetimeMs: 100 } });
      now += 1;
      expect(lru.getStale(Query.get(key))).toBeUndefined();
    });

    it('no longer when all entries are expired again', () => {
      store('key', 'value');
      for (let times = 0; times < 4; times++) {
        lru.expireAll();
        now += 50;
      }
      expect(lru.getStale(Query.get(key))).toBeUndefined();
    });

    it('no longer than the time of its expiry is known', () => {
      store('key', 'value');
      for (let times = 1; times < EXPIRE_ALL_HISTORY_LENGTH; times++) lru.expireAll();
      expect(lru.getStale(Query.get(key))).toBeDefined();
      lru.expireAll();
      expect(lru.getStale(Query.get(key))).toBeUndefined();
    });
  });

  describe('looks up entries of at most', () => {
    const key = Buffer.from('key');

    it('maxAgeMs: an older entry is reloaded, while others still hit it', () => {
      store('key', 'old');
      now += 100;
      expect(lru.lookup(Query.get(key), false, 100)).toMatchObject({ kind: 'hit' });
      const found = lru.lookup(Query.get(key), false, 99);
      expect(found).toMatchObject({ kind: 'miss', forward: 'request' });
      expect(kindOf('key')).toBe('hit');
      if (found.kind === 'miss') lru.commit(found.lease, Buffer.from('new'), ETAG, MINUTE_MS);
      expect(lru.lookup(Query.get(key), false, 1)).toMatchObject({ kind: 'hit', value: Buffer.from('new') });
      expect(lru.stats()).toMatchObject({ entries: 1, bytes: 6, expirations: 0 });
    });

    it('age 0: no entry is accepted', () => {
      lru.commitNegative(leaseOf('key'), MINUTE_MS);
      expect(lru.lookup(Query.get(key), false, 0)).toMatchObject({ kind: 'miss', forward: 'request' });
      expect(kindOf('key')).toBe('missing');
    });

    it('maxAgeMs without a lease, if only cached entries are requested', () => {
      expect(lru.peek(Query.get(key))).toBeUndefined();
      store('key', 'value');
      now += 10;
      expect(lru.peek(Query.get(key), 10)).toMatchObject({ kind: 'hit', value: Buffer.from('value') });
      expect(lru.peek(Query.get(key), 9)).toBeUndefined();
      expect(lru.stats()).toMatchObject({ hits: 1, misses: 3, leases: 0 });
    });
  });

  describe('expires all entries', () => {
    const key = Buffer.from('key');

    it('also those stored in the same tick, and frees them on the next look-up', () => {
      store('key');
      store('purged');
      lru.expireAll();
      expect(lru.tryGetInto(key, 0, key.length, new HitBuffer())).toBe(false);
      expect(lru.purge(Buffer.from('purged'))).toBe(0);
      expect(lru.stats()).toMatchObject({ entries: 1, invalidations: 0, expirations: 1 });
      expect(kindOf('key')).toBe('miss');
      expect(lru.stats()).toMatchObject({ entries: 0, bytes: 0, expirations: 2 });
    });

    it('but not those stored later, even within the same tick, until it is repeated', () => {
      for (let times = 0; times < 3; times++) {
        lru.expireAll();
        store('key', 'value', 500);
        expect(lru.lookup(Query.get(key))).toMatchObject({ kind: 'hit', freshness: { ageMs: 0, lifetimeMs: 500 } });
        expect(lru.tryGetInto(key, 0, key.length, new HitBuffer())).toBe(true);
      }
    });

    it('and voids the leases: a value requested before is not stored afterwards', () => {
      const lease = leaseOf('key');
      lru.expireAll();
      expect(lru.commit(lease, Buffer.from('old'), ETAG, MINUTE_MS)).toBe('void');
      expect(lru.stats()).toMatchObject({ entries: 0, leases: 0 });
    });

    it('and wakes waiters, which look up the key again', async () => {
      const told = SharedLru.attach(lru.buffer, 2, clock).result(leaseOf('key'));
      lru.expireAll();
      expect(await told).toBe('void');
      checkInvariants(lru.buffer);
    });

    it('also those stored by a thread whose clock is ahead', () => {
      const ahead = SharedLru.attach(lru.buffer, 2, () => now + 5);
      ahead.commit(leaseOf('key'), Buffer.from('value'), ETAG, MINUTE_MS);
      lru.expireAll();
      expect(kindOf('key')).toBe('miss');
    });
  });

  describe('while its entries are unconfirmed', () => {
    const key = Buffer.from('key');

    it('reloads requested keys, and serves the entries again once confirmed', () => {
      store('key', 'old');
      store('other');
      lru.trustUntil(now);
      expect([lru.tryGetInto(key, 0, key.length, new HitBuffer()), kindOf('key')]).toEqual([true, 'hit']);
      now++;
      expect([
        lru.tryGetInto(key, 0, key.length, new HitBuffer()),
        lru.peek(Query.get(key)),
        lru.getStale(Query.get(key)),
      ]).toEqual([false, undefined, undefined]);
      const found = lru.lookup(Query.get(key));
      expect(found).toMatchObject({ kind: 'miss', forward: 'stale' });
      expect(lru.lookup(Query.get(key))).toMatchObject({ kind: 'loading', forward: 'stale' });
      if (found.kind === 'miss') lru.commit(found.lease, Buffer.from('new'), ETAG, MINUTE_MS);
      expect(lru.tryGetInto(key, 0, key.length, new HitBuffer())).toBe(false);
      lru.trustUntil(now);
      expect(lru.lookup(Query.get(key))).toMatchObject({ kind: 'hit', value: Buffer.from('new') });
      expect(kindOf('other')).toBe('hit');
    });

    it('removes purged entries', () => {
      store('key', 'old');
      lru.trustUntil(now);
      now++;
      const lease = leaseOf('key');
      lru.purge(key);
      expect(lru.commit(lease, Buffer.from('old'), ETAG, MINUTE_MS)).toBe('void');
      lru.trustUntil(Infinity);
      expect(kindOf('key')).toBe('miss');
    });
  });

  describe('for a thread that must not block', () => {
    it('purges a key, flushes and expires all entries', () => {
      for (const key of ['a', 'b']) store(key);
      const lease = leaseOf('leased');
      const purge = (key: string): string => lru.tryPurge(Buffer.from(key), new PurgeProgress());
      expect([purge('a'), purge('leased')]).toEqual(['done', 'done']);
      expect(lru.commit(lease, Buffer.from('old'), ETAG, MINUTE_MS)).toBe('void');
      expect([kindOf('a'), kindOf('b')]).toEqual(['miss', 'hit']);
      expect([lru.tryExpireAll(), kindOf('b')]).toEqual([true, 'miss']);
      store('c');
      expect([lru.tryFlush(), kindOf('c')]).toEqual([true, 'miss']);
      expect(lru.stats().invalidations).toBe(1);
    });

    it('does nothing while another thread holds the lock', () => {
      store('key');
      const header = new Int32Array(lru.buffer);
      header[Header.LOCK] = 2;
      expect(lru.tryPurge(Buffer.from('key'), new PurgeProgress())).toBe('locked');
      expect([lru.tryFlush(), lru.tryExpireAll()]).toEqual([false, false]);
      header[Header.LOCK] = 0;
      expect(kindOf('key')).toBe('hit');
    });
  });

  it('never returns a negative age to a thread that read the clock before another thread stored', () => {
    store('key');
    const behind = SharedLru.attach(lru.buffer, 2, () => now - 1);
    expect(behind.lookup(Query.get(Buffer.from('key')))).toMatchObject({ kind: 'hit', freshness: { ageMs: 0 } });
  });

  it('counts every look-up as hit, miss or collapsed', () => {
    store('a');
    lru.commitNegative(leaseOf('b'), MINUTE_MS);
    expect(['a', 'b', 'c', 'c'].map(kindOf)).toEqual(['hit', 'missing', 'miss', 'loading']);
    expect(lru.stats()).toMatchObject({ hits: 2, misses: 3, collapsed: 1 });
  });

  it('recovers nothing unless a thread crashed holding the lock', () => {
    store('a');
    expect(lru.recoverFrom(2)).toBe('intact');
    expect(kindOf('a')).toBe('hit');
  });

  it.each<[string, Partial<LruLimits>]>([
    ['a negative capacity', { capacity: -1 }],
    ['a fractional capacity', { capacity: 1.5 }],
    ['more entries than slots can be addressed', { capacity: 2 ** 27 }],
    ['no bytes', { maxBytes: 0 }],
    ['NaN bytes', { maxBytes: NaN }],
    ['more bytes than blocks can be addressed', { maxBytes: 2 ** 40 }],
    ['values longer than the length field', { maxBytes: 2 ** 33, maxValueBytes: 2 ** 31 }],
    ['no leases', { maxLeases: 0 }],
  ])('cannot be created with %s', (_, limits) => {
    expect(() => create(limits)).toThrow(LayoutError);
  });

  it('stores nothing with a capacity of 0, neither values nor negative entries, and frees the leases', () => {
    lru = create({ capacity: 0 });
    for (let times = 0; times < 3; times++) {
      const first = lru.lookup(Query.get(Buffer.from('key')));
      if (first.kind !== 'miss') throw new Error(first.kind);
      expect(lru.commit(first.lease, Buffer.alloc(0), [1, 2, 3], MINUTE_MS)).toBe('uncacheable');
      const second = lru.lookup(Query.get(Buffer.from('key')));
      if (second.kind !== 'miss') throw new Error(second.kind);
      expect(lru.commitNegative(second.lease, MINUTE_MS)).toBe('uncacheable');
    }
    expect(lru.stats()).toMatchObject({ entries: 0, bytes: 0, leases: 0, hits: 0 });
  });

  it('has blocks for every fill within the budget, also while others wait for an abandoned fill', async () => {
    const big = { capacity: 10, maxBytes: 4_000_000, maxValueBytes: 3_000_000, leaseMs: MINUTE_MS };
    lru = create(big);
    const elsewhere = SharedLru.attach(lru.buffer, 2, () => now);
    const [a, b, c] = ['a', 'b', 'c'].map(leaseOf);
    const told = elsewhere.result(b);
    const value = Buffer.alloc(1_500_000, 'c');
    let steps = 0;
    onClock = () => {
      if (++steps !== 150) return;
      // More than 2 MB of a are written, nothing can be evicted: b does not fit, c does.
      expect(elsewhere.commit(b, Buffer.alloc(2_500_000), ETAG, MINUTE_MS)).toBe('uncacheable');
      expect(elsewhere.commit(c, value, ETAG, MINUTE_MS)).toBe('stored');
    };
    lru.commit(a, Buffer.alloc(3_000_000), ETAG, MINUTE_MS);
    onClock = () => undefined;
    expect(steps).toBeGreaterThan(150);
    await told;
    checkInvariants(lru.buffer);
  });
});
