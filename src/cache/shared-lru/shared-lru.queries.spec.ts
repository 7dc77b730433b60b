import { beforeEach, describe, expect, it } from '@jest/globals';
import { Query } from '../../redis/query.ts';
import { type EntryId, type Lease, PurgeProgress } from './cache-types.ts';
import { HitBuffer } from './hit-buffer.ts';
import { keysOfOneHash } from './index/colliding-keys.spec-support.ts';
import { Header, type LruLimits, LruMemory, NODE_WORDS, NONE, Node } from './memory/layout.ts';
import { PURGED_AT_ONCE, SharedLru } from './shared-lru.ts';
import { checkInvariants } from './shared-memory.spec-support.ts';

const LIMITS: LruLimits = {
  capacity: 2000,
  maxBytes: 10_000_000,
  maxValueBytes: 50_000,
  maxLeases: 1000,
  leaseMs: 100,
  staleMs: 0,
};
const SEEDS = [0x1f2e3d4c, 0x5b6a7988] as const;
const MINUTE_MS = 60_000;
const CRASHED_THREAD = 7;

describe('SharedLru with queries', () => {
  let now: number;
  /** Called whenever the cache reads the clock, for example before each step of a purge. */
  let onClock: () => void;
  let lru: SharedLru;

  beforeEach(() => {
    now = 1000;
    onClock = () => undefined;
    const clock = (): number => {
      onClock();
      return now;
    };
    lru = SharedLru.attach(LruMemory.reserve(LIMITS, SEEDS).buffer, 1, clock);
  });

  const hget = (key: string | Buffer, field: string | number): Query =>
    Query.of(Buffer.from(key), [Buffer.from('HGET'), Buffer.from(String(field))]);
  const get = (key: string | Buffer): Query => Query.get(Buffer.from(key));

  function leaseOf(id: EntryId): Lease {
    const found = lru.lookup(id);
    if (found.kind !== 'miss') throw new Error(found.kind);
    return found.lease;
  }

  function store(id: EntryId, value = 'value', lifetimeMs = MINUTE_MS): void {
    expect(lru.commit(leaseOf(id), Buffer.from(value), [1, 2, 3], lifetimeMs)).toBe('stored');
  }

  const isCached = (id: EntryId): boolean => lru.peek(id) !== undefined;

  it('has the same limits for a thread that attaches later, whatever was stored', () => {
    for (let field = 0; field < 10; field++) store(hget('hash', field));
    const limits = SharedLru.attach(lru.buffer, 2, () => now).limits;
    expect(limits).toEqual(lru.limits);
    lru.flush();
    expect(SharedLru.attach(lru.buffer, 3, () => now).limits).toEqual(lru.limits);
  });

  it('distinguishes ids with the same bytes and another end of the key', () => {
    const ids = [0, 1, 2, 3].map((selectorLength) => ({ id: Buffer.from('abc'), selectorLength }));
    for (const id of ids) store(id, `selector of ${id.selectorLength}`);
    const hit = new HitBuffer();
    for (const id of ids) {
      const value = Buffer.from(`selector of ${id.selectorLength}`);
      expect(lru.lookup(id)).toMatchObject({ kind: 'hit', value });
      expect(lru.tryGetInto(Buffer.from('-abc-'), 1, 4, hit, id.selectorLength)).toBe(true);
      expect(hit.bytes.subarray(0, hit.length)).toEqual(value);
    }
    expect(lru.purge(Buffer.from('ab'))).toBe(1);
    expect(ids.map(isCached)).toEqual([true, false, true, true]);
    expect(lru.purge(Buffer.alloc(0))).toBe(1);
    checkInvariants(lru.buffer);
  });

  it('spreads ids over the buckets that a client gave the same bytes', () => {
    // Each selector is the beginning of another one: HGET of a field that contains the next selector.
    let bytes = Buffer.from('x');
    const lengths: number[] = [];
    for (let i = 0; i < 150; i++) {
      bytes = Buffer.concat([hget('', '').id.subarray(0, -1), varint(bytes.length), bytes]);
      lengths.push(bytes.length);
    }
    for (const selectorLength of lengths) store({ id: bytes, selectorLength });
    const { buckets, nodes } = new LruMemory(lru.buffer);
    const chains = Array.from(buckets, (first) => {
      let length = 0;
      for (let slot = first; slot !== NONE; slot = nodes[slot * NODE_WORDS + Node.CHAIN]) length++;
      return length;
    });
    expect(chains.reduce((sum, length) => sum + length, 0)).toBe(lengths.length);
    expect(Math.max(...chains)).toBeLessThanOrEqual(Math.ceil(bytes.length / buckets.length));
  });

  it.each([
    ['an id', { id: Buffer.alloc(64 * 1024 + 1), selectorLength: 1 }],
    ['a key', get('k'.repeat(64 * 1024 + 1))],
    ['a selector', { id: Buffer.alloc(20_000), selectorLength: 16_384 }],
    ['an id whose length would be taken for another', { id: Buffer.alloc(2 ** 17 + 1), selectorLength: 0 }],
  ])('does not cache %s beyond the limit', (_, id) => {
    store({ id: Buffer.alloc(1), selectorLength: 1 });
    for (let times = 0; times < 2; times++) expect(lru.lookup(id)).toEqual({ kind: 'unleased', forward: 'uri-miss' });
    expect([lru.peek(id), lru.getStale(id)]).toEqual([undefined, undefined]);
    expect(lru.tryGetInto(id.id, 0, id.id.length, new HitBuffer(), id.selectorLength)).toBe(false);
    expect(lru.stats()).toMatchObject({ entries: 1, leases: 0, misses: 4 });
  });

  it.each([
    ['an id', { id: Buffer.alloc(64 * 1024), selectorLength: 1 }],
    ['a selector', { id: Buffer.alloc(20_000), selectorLength: 16_383 }],
  ])('caches %s of the limit', (_, id) => {
    store(id);
    expect(isCached(id)).toBe(true);
    checkInvariants(lru.buffer);
    expect(lru.purge(id.id.subarray(0, id.id.length - id.selectorLength))).toBe(1);
  });

  describe('purges a key', () => {
    it('with all its queries, and no other key', () => {
      const others = [hget('other', 'a'), get('other'), hget('key2', 'a'), hget('ke', 'y')];
      const own = [get('key'), hget('key', 'a'), hget('key', 'b'), Query.of(Buffer.from('key'), [Buffer.from('HLEN')])];
      for (const id of [...others, ...own]) store(id);
      expect(lru.purge(Buffer.from('key'))).toBe(4);
      expect(own.map(isCached)).toEqual(own.map(() => false));
      expect(others.map(isCached)).toEqual(others.map(() => true));
      expect(lru.purge(Buffer.from('key'))).toBe(0);
      expect(lru.stats()).toMatchObject({ entries: 4, invalidations: 4 });
      checkInvariants(lru.buffer);
    });

    it('and none with the same hash', () => {
      const [first, second] = keysOfOneHash('short', SEEDS);
      for (const key of [first, second]) for (const field of ['a', 'b', 'c']) store(hget(key, field));
      expect(lru.purge(first)).toBe(3);
      expect(['a', 'b', 'c'].map((field) => isCached(hget(second, field)))).toEqual([true, true, true]);
      checkInvariants(lru.buffer);
      expect(lru.purge(second)).toBe(3);
      checkInvariants(lru.buffer);
    });

    it('and voids the leases of its queries, also of those that reload an entry', () => {
      store(hget('key', 'reloaded'));
      const reload = lru.lookup(hget('key', 'reloaded'), false, 0);
      if (reload.kind !== 'miss') throw new Error(reload.kind);
      const leases = [reload.lease, leaseOf(hget('key', 'a')), leaseOf(get('key'))];
      expect(lru.purge(Buffer.from('key'))).toBe(1);
      for (const lease of leases) expect(lru.commit(lease, Buffer.from('old'), [1, 2, 3], MINUTE_MS)).toBe('void');
      checkInvariants(lru.buffer);
    });

    it('and leases it anew while threads still read the result of an earlier load', async () => {
      const other = SharedLru.attach(lru.buffer, 2, () => now);
      const early = leaseOf(hget('key', 'a'));
      const results = [other.result(early), other.result(early)];
      lru.abandon(early, 'wrong-type');
      checkInvariants(lru.buffer);
      const late = leaseOf(hget('key', 'a'));
      store(hget('key', 'b'));
      expect(lru.purge(Buffer.from('key'))).toBe(1);
      checkInvariants(lru.buffer);
      expect(await Promise.all(results)).toEqual(['wrong-type', 'wrong-type']);
      expect(lru.commit(late, Buffer.from('old'), [1, 2, 3], MINUTE_MS)).toBe('void');
      checkInvariants(lru.buffer);
      expect(lru.stats().leases).toBe(0);
    });

    it('and the lease that was left of an entry', () => {
      store(hget('key', 'a'), 'value', 10);
      store(hget('key', 'b'));
      const reload = lru.lookup(hget('key', 'a'), false, 0);
      if (reload.kind !== 'miss') throw new Error(reload.kind);
      now += 10;
      // Drops the expired entry.
      expect(lru.lookup(hget('key', 'a')).kind).toBe('loading');
      checkInvariants(lru.buffer);
      expect(lru.purge(Buffer.from('key'))).toBe(1);
      expect(lru.commit(reload.lease, Buffer.from('old'), [1, 2, 3], MINUTE_MS)).toBe('void');
      checkInvariants(lru.buffer);
    });
  });

  describe('purges a key with many queries', () => {
    const MANY = 4 * PURGED_AT_ONCE + 1;
    const KEY = Buffer.from('key');
    const key = (field: number): Query => hget('key', field);
    let atStep: (step: number) => void;

    /** Purges the key, and calls `atStep` before each step but the first. */
    function purge(): number {
      let step = 0;
      onClock = () => {
        const called = onClock;
        onClock = () => undefined;
        if (step > 0) atStep(step);
        onClock = called;
        step++;
      };
      const purged = lru.purge(KEY);
      onClock = () => undefined;
      checkInvariants(lru.buffer);
      return purged;
    }

    beforeEach(() => {
      atStep = () => undefined;
      for (let i = 0; i < MANY; i++) store(key(i));
    });

    it('in steps, in which it ends a limited number, oldest first', () => {
      const left: number[] = [];
      atStep = () => {
        checkInvariants(lru.buffer);
        left.push(lru.stats().entries);
        expect(isCached(key(MANY - left[left.length - 1]))).toBe(true);
      };
      expect(purge()).toBe(MANY);
      expect(left).toEqual([1, 2, 3, 4].map((steps) => MANY - steps * PURGED_AT_ONCE));
    });

    it('and ends, however many are loaded meanwhile, without all of those', () => {
      let loaded = MANY;
      atStep = () => {
        for (let i = 0; i < PURGED_AT_ONCE; i++) store(key(loaded++));
      };
      const purged = purge();
      expect(purged).toBeGreaterThanOrEqual(MANY);
      expect(purged).toBeLessThan(loaded);
      expect(lru.stats().entries).toBe(loaded - purged);
    });

    it('also if the loads began before and ended meanwhile', () => {
      const early = Array.from({ length: PURGED_AT_ONCE }, (_, i) => leaseOf(key(MANY + i)));
      atStep = (step) => {
        for (const lease of early.splice(0, 40)) lru.commit(lease, Buffer.from('old'), [1, 2, 3], MINUTE_MS);
        if (step === 3) for (const lease of early.splice(0)) lru.abandon(lease, 'missing');
      };
      expect(purge()).toBeGreaterThan(MANY);
      expect(lru.stats()).toMatchObject({ entries: 0, leases: 0 });
    });

    it('also if another thread purges or flushes them, and some are loaded again, meanwhile', () => {
      const other = SharedLru.attach(lru.buffer, 2, () => now);
      atStep = (step) => {
        if (step === 1) other.purge(KEY);
        if (step === 2) for (let i = 0; i < 10; i++) store(key(i));
        if (step === 3) other.flush();
        for (let i = 10 * step; i < 10 * step + 10; i++) store(key(i));
      };
      const before = MANY + 10;
      expect(purge()).toBeLessThanOrEqual(before);
      checkInvariants(lru.buffer);
    });

    it('in more steps if their values are large', () => {
      lru.flush();
      for (let i = 0; i < PURGED_AT_ONCE; i++) store(key(i), 'v'.repeat(50_000));
      let steps = 1;
      atStep = () => steps++;
      expect(purge()).toBe(PURGED_AT_ONCE);
      expect(steps).toBeGreaterThan(10);
    });

    it('one step at a time for a thread that must not block', () => {
      const progress = new PurgeProgress();
      const steps = Array.from({ length: 6 }, () => lru.tryPurge(KEY, progress));
      expect(steps).toEqual(['more', 'more', 'more', 'more', 'done', 'done']);
      expect(progress.purged).toBe(MANY);
      checkInvariants(lru.buffer);
    });
  });

  describe('limits what a client can occupy', () => {
    it('with queries of one key: their leases end with a purge, and their entries evict each other', () => {
      const leases = Array.from({ length: LIMITS.maxLeases }, (_, i) => leaseOf(hget('key', i)));
      expect(lru.lookup(hget('key', 'one more')).kind).toBe('unleased');
      expect(lru.purge(Buffer.from('key'))).toBe(0);
      expect(lru.stats().leases).toBe(0);
      for (const lease of leases) expect(lru.commit(lease, Buffer.from('old'), [1, 2, 3], MINUTE_MS)).toBe('void');
      for (let i = 0; i < LIMITS.capacity + 100; i++) store(hget('key', i));
      expect(lru.stats()).toMatchObject({ entries: LIMITS.capacity, evictionsByCapacity: 100 });
      checkInvariants(lru.buffer);
      expect(lru.purge(Buffer.from('key'))).toBe(LIMITS.capacity);
      checkInvariants(lru.buffer);
    });

    it('with long selectors: other keys are still leased and stored', () => {
      const long = (i: number): Query => hget('key', String(i).padEnd(16_000, 'x'));
      let leased = 0;
      while (lru.lookup(long(leased)).kind === 'miss') leased++;
      expect(leased).toBe(16);
      store(get('other'));
      store(hget('other', 'field'));
      checkInvariants(lru.buffer);
      now += LIMITS.leaseMs;
      for (let i = 0; i < 1000; i++) store(long(i));
      expect(lru.stats().bytes).toBeLessThanOrEqual(LIMITS.maxBytes);
      checkInvariants(lru.buffer);
    });
  });

  it('is flushed, with the query lists, after a thread crashed in the middle of a change of them', () => {
    for (let i = 0; i < 10; i++) store(hget('key', i));
    const { header, queryBuckets, queryNodes } = new LruMemory(lru.buffer);
    header[Header.LOCK] = CRASHED_THREAD;
    queryNodes.fill(12_345, 0, 100);
    queryBuckets.fill(12_345, 0, 500);
    expect(lru.recoverFrom(CRASHED_THREAD)).toBe('emptied');
    checkInvariants(lru.buffer);
    for (let i = 0; i < 10; i++) store(hget('key', i));
    checkInvariants(lru.buffer);
    expect(lru.purge(Buffer.from('key'))).toBe(10);
  });

  it('does not touch the query lists for GET, and not while there are none', () => {
    store(get('a'));
    lru.purge(Buffer.from('a'));
    lru.flush();
    const { queryBuckets, queryNodes } = new LruMemory(lru.buffer);
    const isUntouched = (): boolean => [queryBuckets, queryNodes].every((words) => words.every((word) => word === 0));
    expect(isUntouched()).toBe(true);
    store(hget('a', 'x'));
    expect(isUntouched()).toBe(false);
    lru.flush();
    expect(Math.max(...queryBuckets)).toBe(NONE);
    expect(lru.purge(Buffer.from('a'))).toBe(0);
    store(hget('a', 'x'));
    expect(lru.purge(Buffer.from('a'))).toBe(1);
  });
});

/** Encodes a length as {@link Query.of} does. */
function varint(length: number): Buffer {
  const bytes: number[] = [];
  let rest = length;
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}
