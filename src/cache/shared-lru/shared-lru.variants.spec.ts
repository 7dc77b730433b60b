import { beforeEach, describe, expect, it } from '@jest/globals';
import { Query } from '../../redis/query.ts';
import { variantIdOf } from '../variants/variant-id.ts';
import { type Lease, type LoadResult, PurgeProgress } from './cache-types.ts';
import { PURGED_AT_ONCE, SharedLru } from './shared-lru.ts';
import { checkInvariants } from './shared-memory.spec-support.ts';

const MINUTE_MS = 60_000;
const VALUE = Query.get(Buffer.from('key'));
const VARIANT = variantIdOf(VALUE, 1);
const OTHER = variantIdOf(VALUE, 2);
const admit = (): boolean => true;

describe('Variants in SharedLru', () => {
  let now: number;
  let lru: SharedLru;

  beforeEach(() => {
    now = 1000;
    const limits = {
      capacity: 200,
      maxBytes: 500_000,
      maxValueBytes: 100_000,
      maxLeases: 8,
      leaseMs: 1000,
      staleMs: 100,
    };
    lru = SharedLru.create({ ...limits, revalidateMs: 100, refreshAhead: 0.5 }, 1, () => now);
  });

  function leaseOf(id: Query | typeof VARIANT, maxAgeMs?: number): Lease {
    const found = lru.lookup(id, true, maxAgeMs);
    if (found.kind !== 'miss') throw new Error(found.kind);
    return found.lease;
  }

  function store(text: string, lifetimeMs = MINUTE_MS, hardTtlMs = Infinity): void {
    const lease = leaseOf(VALUE, 0);
    lru.commit(lease, Buffer.from(text), [1, 2, 3], lifetimeMs, hardTtlMs, 'first', [VARIANT, OTHER]);
  }

  function storeVariant(lease = leaseOf(VARIANT)): string {
    const source = lru.describe(VALUE);
    if (source === undefined) throw new Error('no value');
    return lru.commitVariant(lease, Buffer.from('variant'), [4, 5, 6], source.lifetime);
  }

  const read = (maxAgeMs = Infinity) => {
    const found = lru.readServable(VARIANT, maxAgeMs, admit);
    return found?.kind === 'buffer-full' ? undefined : found;
  };

  it('have the age and the TTL of the value, also when expired', () => {
    store('value', 1000, 1050);
    now += 400;
    expect(storeVariant()).toBe('stored');
    const { found } = read() ?? {};
    expect(found).toMatchObject({ etag: [4, 5, 6], freshness: { ageMs: 400, lifetimeMs: 1000 } });
    expect([read()?.kind, read(399), read(400)?.kind]).toEqual(['fresh', undefined, 'fresh']);
    now += 200;
    expect(read()?.kind).toBe('due');
    now += 401;
    expect([read()?.kind, read(5000)]).toEqual(['expired', undefined]);
    expect(lru.getStale(VARIANT)).toMatchObject({ kind: 'stale', value: Buffer.from('variant') });
    // The TTL of the key in Redis.
    now += 60;
    expect([read(), lru.getStale(VARIANT)]).toEqual([undefined, undefined]);
    checkInvariants(lru.buffer);
  });

  it.each<[string, () => void]>([
    ['a new value', () => store('new')],
    ['a new value that is stored in steps', () => store('new'.repeat(20_000))],
    ['a value that is too large', () => store('x'.repeat(100_001))],
    ['the absence of the key', () => void lru.commitNegative(leaseOf(VALUE, 0), 1000, 'first', [VARIANT, OTHER])],
    ...(['missing', 'wrong-type', 'value-too-large', 'unshared'] as LoadResult[]).map(
      (result) =>
        [`a load that ends with ${result}`, () => lru.abandon(leaseOf(VALUE, 0), result, [VARIANT, OTHER])] as [
          string,
          () => void,
        ],
    ),
    ['a purge', () => void lru.purge(VALUE.key)],
  ])('end, with their leases, by %s', (_, end) => {
    store('old');
    storeVariant();
    const [renewing, making] = [leaseOf(VARIANT, 0), leaseOf(OTHER)];
    end();
    expect(read()).toBeUndefined();
    for (const lease of [renewing, making]) {
      expect(
        lru.commitVariant(lease, Buffer.from('old'), [0, 0, 0], { stored: now, expires: now + 9, staleShare: 0 }),
      ).toBe('void');
    }
    expect(read()).toBeUndefined();
    checkInvariants(lru.buffer);
  });

  it.each(['before', 'after'])('end by a purge in whose steps they are made, and are stored %s its end', (when) => {
    lru.commit(leaseOf(Query.get(Buffer.from('a'))), Buffer.from('a'), [1, 2, 3], MINUTE_MS);
    store('old');
    const purge = lru.purgeMatching({ keyBytesPerStep: 0, matches: (bytes, from) => bytes[from] === 0x6b });
    purge.step();
    // The variant takes its slot, where the walk has been.
    lru.purge(Buffer.from('a'));
    const [lease, source] = [leaseOf(VARIANT), lru.describe(VALUE)];
    const commit = () => source && lru.commitVariant(lease, Buffer.from('variant'), [4, 5, 6], source.lifetime);
    if (when === 'before') expect(commit()).toBe('stored');
    while (!purge.step());
    if (when === 'after') expect(commit()).toBe('void');
    expect(lru.readAny(VARIANT, admit)).toBeUndefined();
    checkInvariants(lru.buffer);
  });

  it.each(['before', 'after'])('end by a purge of many queries, also if they are stored %s its end', (when) => {
    const fieldOf = (i: number): Query => Query.of(VALUE.key, [Buffer.from('HGET'), Buffer.from(String(i))]);
    const fields = Array.from({ length: PURGED_AT_ONCE + 1 }, (_, i) => fieldOf(i));
    for (const field of fields) lru.commit(leaseOf(field), Buffer.from('old'), [1, 2, 3], MINUTE_MS);
    const [last] = fields.slice(-1);
    const id = variantIdOf(last, 1);
    const progress = new PurgeProgress();
    expect(lru.tryPurge(VALUE.key, progress)).toBe('more');
    const [lease, source] = [leaseOf(id), lru.describe(last)];
    const commit = () => source && lru.commitVariant(lease, Buffer.from('variant'), [4, 5, 6], source.lifetime);
    if (when === 'before') expect(commit()).toBe('stored');
    while (lru.tryPurge(VALUE.key, progress) !== 'done');
    if (when === 'after') expect(commit()).toBe('void');
    expect(lru.readAny(id, admit)).toBeUndefined();
    checkInvariants(lru.buffer);
  });

  it.each(['timeout', 'unavailable', 'overloaded', 'void'] as LoadResult[])('stay if a load fails: %s', (result) => {
    store('old');
    storeVariant();
    lru.abandon(leaseOf(VALUE, 0), result, [VARIANT, OTHER]);
    expect(read()?.kind).toBe('fresh');
  });

  it('are not ended by a load under a lease that has ended', () => {
    store('old');
    const lease = leaseOf(VALUE, 0);
    lru.purge(VALUE.key);
    store('new');
    storeVariant();
    expect(lru.commit(lease, Buffer.from('old'), [0, 0, 0], 1000, 1000, 'first', [VARIANT])).toBe('void');
    expect(read()?.kind).toBe('fresh');
  });

  it('count nothing when they are read, unless asked to', () => {
    store('old');
    storeVariant();
    const before = lru.stats();
    read();
    lru.readAny(VARIANT, admit);
    expect(lru.stats()).toEqual(before);
    lru.countHit();
    expect(lru.stats().hits).toBe(before.hits + 1);
  });
});
