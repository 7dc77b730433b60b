import { beforeEach, describe, expect, it } from '@jest/globals';
import { Query } from '../../../redis/query.ts';
import { HitBuffer } from '../hit-buffer.ts';
import { type LruLimits, LruMemory } from '../memory/layout.ts';
import { SharedLock } from '../memory/shared-lock.ts';
import { SharedLru } from '../shared-lru.ts';
import { SKETCH_KEYS } from './key-sketch.ts';

const LIMITS: LruLimits = {
  capacity: 5000,
  maxBytes: 10_000_000,
  maxValueBytes: 1_000_000,
  maxLeases: 100,
  leaseMs: 1000,
  staleMs: 60_000,
  hotKeys: true,
};
const MINUTE_MS = 60_000;
const get = (key: string): Query => Query.get(Buffer.from(key));

describe('Hot keys', () => {
  let now: number;
  let lru: SharedLru;
  let other: SharedLru;
  const clock = (): number => now;
  const hit = new HitBuffer();

  beforeEach(() => {
    now = 1_000_000;
    lru = SharedLru.create(LIMITS, 1, clock);
    other = SharedLru.attach(lru.buffer, 2, clock);
  });

  /** Reads a key, and stores it if it must be loaded. */
  function read(query: Query, by = lru, lifetimeMs = 10 * MINUTE_MS): void {
    const found = by.lookup(query);
    if (found.kind === 'miss') by.commit(found.lease, Buffer.from('value'), [1, 2, 3], lifetimeMs);
  }

  function readOften(key: string, times: number, by = lru): void {
    for (let i = 0; i < times; i++) read(get(key), by);
  }

  const counts = (limit = 100): Record<string, number> =>
    Object.fromEntries((lru.hotKeys(limit)?.keys ?? []).map(({ key, reads }) => [key.toString(), reads]));

  it('are not counted unless the limits say so', () => {
    const without = SharedLru.create({ ...LIMITS, hotKeys: false }, 1, clock);
    read(get('a'), without);
    expect(without.hotKeys(10)).toBeUndefined();
    expect(lru.buffer.byteLength - without.buffer.byteLength).toBeLessThan(2 ** 20);
  });

  it('are those read most, most read first, with hits and misses of all threads', () => {
    readOften('a', 5);
    readOften('b', 7, other);
    readOften('a', 4, other);
    readOften('c', 1);
    expect(lru.hotKeys(2)).toMatchObject({
      reads: 17,
      samples: 17,
      keys: [
        { key: Buffer.from('a'), keyBytes: 1, reads: 9, error: 0 },
        { key: Buffer.from('b'), keyBytes: 1, reads: 7, error: 0 },
      ],
    });
    expect(Object.keys(counts(100))).toEqual(['a', 'b', 'c']);
  });

  it('include hits that allocate no objects, and all queries of a key', () => {
    read(get('a'));
    const key = Buffer.from('-a-');
    expect(lru.tryGetInto(key, 1, 2, hit)).toBe(true);
    read(Query.of(Buffer.from('a'), [Buffer.from('HGET'), Buffer.from('field')]));
    read(Query.of(Buffer.from('a'), [Buffer.from('HGETALL')]));
    expect(counts()).toEqual({ a: 4 });
  });

  it('include keys that are never cached, and requests that wait for a load', () => {
    const found = lru.lookup(get('absent'));
    if (found.kind !== 'miss') throw new Error(found.kind);
    expect(lru.lookup(get('absent')).kind).toBe('loading');
    expect(other.lookup(get('absent')).kind).toBe('loading');
    lru.abandon(found.lease, 'missing');
    expect(lru.peek(get('absent'))).toBeUndefined();
    expect(counts()).toEqual({ absent: 4 });
  });

  it('count a read once if its load fails and it is served stale', () => {
    read(get('a'), lru, 10);
    now += 20;
    const found = lru.lookup(get('a'));
    if (found.kind !== 'miss') throw new Error(found.kind);
    lru.abandon(found.lease, 'unavailable');
    expect(lru.getStale(get('a'))).toMatchObject({ kind: 'stale' });
    expect(counts()).toEqual({ a: 2 });
  });

  it('count a repeated look-up of a read that was counted not again', () => {
    lru.lookup(get('a'), true);
    expect(counts()).toEqual({});
  });

  it('include the reads of entries that have been purged, expired or replaced since', () => {
    read(get('purged'));
    read(get('expired'), lru, 10);
    read(get('replaced'));
    for (const key of ['purged', 'expired', 'replaced']) readOften(key, 9, other);
    now += 1;
    lru.purge(Buffer.from('purged'));
    const found = lru.lookup(get('replaced'), true, 0);
    if (found.kind !== 'miss') throw new Error(found.kind);
    lru.commit(found.lease, Buffer.from('new'), [1, 2, 3], MINUTE_MS);
    now += 10;
    lru.lookup(get('expired'), true);
    // A look-up that reloads an entry has touched it.
    expect(counts()).toEqual({ purged: 10, expired: 11, replaced: 11 });
  });

  it('leave the window after a minute', () => {
    readOften('a', 3);
    now += 30_000;
    readOften('b', 2);
    expect(counts()).toEqual({ a: 3, b: 2 });
    now += 30_000;
    expect(counts()).toEqual({ b: 2 });
    now += 30_000;
    expect(counts()).toEqual({});
    expect(lru.hotKeys(1)).toMatchObject({ reads: 0, samples: 0, keys: [] });
  });

  it('count reads in the period in which they happened, although a thread was idle for long since', () => {
    read(get('a'));
    lru.hotKeys(1);
    readOften('a', 20, other);
    now += 2 * MINUTE_MS;
    readOften('b', 2);
    expect(counts()).toEqual({ b: 2 });
  });

  it('have a window of 50 to 60 seconds, or since the start', () => {
    expect(lru.hotKeys(1)?.windowMs).toBe(0);
    now += 7000;
    expect(lru.hotKeys(1)?.windowMs).toBe(7000);
    for (let i = 0; i < 30; i++) {
      now += 7000;
      const windowMs = lru.hotKeys(1)?.windowMs ?? 0;
      if (i > 7) expect(windowMs).toBeGreaterThanOrEqual(50_000);
      expect(windowMs).toBeLessThanOrEqual(60_000);
    }
  });

  it('are forgotten after a crash in a critical section, and counted again', () => {
    readOften('a', 3);
    expect(new SharedLock(new LruMemory(lru.buffer).header, 3).tryAcquire()).toBe(true);
    expect(lru.recoverFrom(3)).toBe('emptied');
    expect(counts()).toEqual({});
    readOften('b', 2);
    expect(Object.keys(counts())).toEqual(['b']);
  });

  it('are estimated from samples at many reads a second, within the stated error', () => {
    const shares = Array.from({ length: 2000 }, (_, i) => 1 / (i + 1));
    const cumulative = shares.map((_, i) => shares.slice(0, i + 1).reduce((a, b) => a + b, 0));
    const all = cumulative[cumulative.length - 1];
    const exact = new Map<string, number>();
    const keys = shares.map((_, i) => Buffer.from(`key ${i}`));
    for (const key of keys) read(Query.get(key));
    const READS = 400_000;
    for (let i = 0; i < READS; i++) {
      // 20 seconds, at 20,000 reads a second.
      now += 0.05;
      const drawn = Math.random() * all;
      let low = 0;
      for (let high = keys.length - 1; low < high;) {
        const middle = (low + high) >> 1;
        if (cumulative[middle] < drawn) low = middle + 1;
        else high = middle;
      }
      const by = i % 3 === 0 ? other : lru;
      if (!by.tryGetInto(keys[low], 0, keys[low].length, hit)) by.lookup(Query.get(keys[low]));
      exact.set(`key ${low}`, (exact.get(`key ${low}`) ?? 0) + 1);
    }
    const report = lru.hotKeys(100);
    if (report === undefined) throw new Error('not counted');
    // Every touch is counted, so the sum is exact but for the reads since the last sample.
    expect(Math.abs(report.reads - READS)).toBeLessThan(READS / 20);
    expect(report.samples).toBeGreaterThan(5000);
    expect(report.samples).toBeLessThan(READS / 8);
    const within = report.keys.filter(
      ({ key, reads, error }) => Math.abs(reads - (exact.get(key.toString()) ?? 0)) <= error,
    );
    // Two standard deviations hold for 95 of 100.
    expect(within.length).toBeGreaterThanOrEqual(85);
    expect(
      report.keys
        .slice(0, 5)
        .map(({ key }) => key.toString())
        .sort(),
    ).toEqual(['key 0', 'key 1', 'key 2', 'key 3', 'key 4']);
  });

  it('have the error of reads that few samples stand for, also if there are many samples of others', () => {
    const [often, rare] = ['often', 'rare'].map((key) => Buffer.from(key));
    for (const key of [often, rare]) read(Query.get(key));
    now = 1_000_000;
    // In five seconds some 80 samples of 200,000 reads a second each 0.1 s, half of which are of one key, then 200 reads a second.
    for (let i = 0; i < 1_000_000; i++) {
      now += 0.005;
      const key = Math.random() < 0.5 ? often : rare;
      lru.tryGetInto(key, 0, key.length, hit);
    }
    const { reads = 0, samples = 1, keys = [] } = lru.hotKeys(2) ?? {};
    const weight = reads / samples;
    const before = keys[0].error;
    for (let i = 0; i < 4000; i++) {
      now += 1;
      lru.tryGetInto(rare, 0, rare.length, hit);
    }
    const after = lru.hotKeys(2);
    expect(after?.samples).toBeGreaterThan(samples + 3000);
    const [hot] = after?.keys.filter(({ key }) => key.equals(often)) ?? [];
    expect(hot.error).toBeGreaterThan(0.95 * before);
    expect(hot.error).toBeGreaterThan(1.8 * Math.sqrt(hot.reads * weight));
  });

  it('find keys that are read regularly, whatever the distance of the samples', () => {
    // Every 64th read is of the same key: samples at a fixed distance would see all of them or none.
    for (let i = 0; i < 200_000; i++) {
      now += 0.01;
      read(get(i % 64 === 0 ? 'regular' : `key ${i % 63}`));
    }
    const { regular } = counts();
    expect(regular).toBeGreaterThan(200_000 / 64 / 2);
    expect(regular).toBeLessThan((200_000 / 64) * 2);
  });

  it('include each read as soon as there are few, although there were many before', () => {
    const key = Buffer.from('often');
    read(Query.get(key));
    for (let i = 0; i < 500_000; i++) {
      now += 0.001;
      lru.tryGetInto(key, 0, key.length, hit);
    }
    const { samples } = lru.hotKeys(1) ?? {};
    expect(samples).toBeLessThan(20_000);
    now += 200;
    for (let i = 0; i < 50; i++) {
      now += 100;
      read(get(`rare ${i % 2}`));
    }
    expect(counts()).toMatchObject({ 'rare 0': 25, 'rare 1': 25 });
  });

  it('need the same memory for any number of keys', () => {
    const { byteLength } = lru.buffer;
    for (let i = 0; i < 3 * SKETCH_KEYS; i++) read(get(`key ${i}`.repeat(100)));
    readOften('hot', 500);
    expect(lru.buffer.byteLength).toBe(byteLength);
    expect(lru.hotKeys(1)?.keys[0].key.toString()).toBe('hot');
  });
});
