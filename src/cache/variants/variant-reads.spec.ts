import zlib from 'node:zlib';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { CoherenceState } from '../../instance/coherence-state.ts';
import { InstanceMemory } from '../../instance/instance-memory.ts';
import { ReadMetrics } from '../../instance/read-metrics.ts';
import { Query } from '../../redis/query.ts';
import { bufferedBytes } from '../read-through/buffered-bytes.spec-support.ts';
import { LoadLimiter } from '../read-through/load-limiter.ts';
import { type DirectedOutcome, hasValue } from '../read-through/read-outcome.ts';
import { ReadThrough } from '../read-through/read-through.ts';
import { SharedLru } from '../shared-lru/shared-lru.ts';
import { checkInvariants } from '../shared-lru/shared-memory.spec-support.ts';
import { COMPRESSED, DECOMPRESSED } from './variant-id.ts';
import { VariantReads, compression, decompression } from './variant-reads.ts';

const LEASE_MS = 2000;
const LIMITS = { capacity: 9, maxBytes: 100_000, maxValueBytes: 20_000, maxLeases: 8, leaseMs: LEASE_MS, staleMs: 0 };
const LOAD_LIMITS = { maxConcurrentLoads: 9, maxQueuedLoads: 9, queueTimeoutMs: 60_000 };
const LIFETIMES = { ttlMs: 60_000, ttlJitter: 0, negativeTtlMs: 0 };
const KEY = Query.get(Buffer.from('k'));
const OTHER = Query.get(Buffer.from('other'));
const textOf = (version: string) => `${version}: ${'some text '.repeat(500)}`;

describe.each([
  {
    name: 'compressed',
    conversion: compression('gzip', 1),
    store: (text: string) => Buffer.from(text),
    decode: zlib.gunzipSync,
  },
  { name: 'decompressed', conversion: decompression('gzip'), store: zlib.gzipSync, decode: (value: Buffer) => value },
])('A variant that is $name', ({ conversion, store, decode }) => {
  let now: number;
  let inRedis: string;
  let lru: SharedLru;
  let reads: ReadThrough;
  let variants: VariantReads;

  beforeEach(async () => {
    now = 5000;
    lru = SharedLru.create(LIMITS, 1, () => now);
    const instance = InstanceMemory.create();
    const buffered = bufferedBytes(instance, 0);
    reads = new ReadThrough({
      lru,
      store: {
        fetch: (_, onReply) => onReply({ kind: 'value', value: store(textOf(inRedis)), ttlMs: undefined }),
      },
      limiter: new LoadLimiter(instance, 0, 1, LOAD_LIMITS),
      counts: new ReadMetrics(instance, 0),
      coherence: new CoherenceState(instance),
      clock: () => now,
      buffered,
      lifetimes: LIFETIMES,
      variants: [COMPRESSED.gzip, DECOMPRESSED],
    });
    variants = new VariantReads({ lru, reads, buffered, maxBytes: LIMITS.maxValueBytes });
    inRedis = 'old';
    await reads.read(KEY);
  });

  const read = () => variants.read(KEY, conversion, undefined, {});
  const seen = (outcome: DirectedOutcome) => {
    if (!hasValue(outcome)) return outcome.kind;
    return [outcome.isVariant === true, String(decode(outcome.value)).split(':')[0], outcome.freshness.ageMs];
  };

  it('is stored if its lease expired during the conversion, with the age of the value', async () => {
    const made = read();
    now += LEASE_MS;
    // Another lease ends those that have expired.
    await reads.read(OTHER);
    expect(lru.stats()).toMatchObject({ expiredLeases: 1, leases: 0 });
    expect(seen(await made)).toEqual([true, 'old', 0]);
    const found = read();
    expect(found).not.toBeInstanceOf(Promise);
    expect(seen(await found)).toEqual([true, 'old', LEASE_MS]);
    checkInvariants(lru.buffer);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['purged', async () => Promise.resolve(lru.purge(KEY.key))],
    ['flushed', async () => Promise.resolve(lru.flush())],
    ['expired with all others', async () => Promise.resolve(lru.expireAll())],
    ['loaded anew', async () => reads.read(KEY, { maxAgeMs: 0 })],
  ])('is not stored if the value is %s during the conversion', async (_, end) => {
    const made = read();
    inRedis = 'new';
    await end();
    expect(seen(await made)).toEqual([true, 'old', 0]);
    expect(seen(await read())).toEqual([true, 'new', 0]);
    expect(lru.stats()).toMatchObject({ leases: 0 });
    checkInvariants(lru.buffer);
  });
});
