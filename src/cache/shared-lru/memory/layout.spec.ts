import { describe, expect, it } from '@jest/globals';
import { loadSettings } from '../../../config/load-settings.ts';
import { memoryNeeded } from '../../../config/memory-budget.ts';
import { describeSettings } from '../../../config/environment/environment.ts';
import { COUNTER_NAMES } from '../counters.ts';
import { EXPIRE_ALL_HISTORY_LENGTH, Header, HeaderFloat, LayoutError, LruMemory } from './layout.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;
/** Bytes of a slot's query node and bucket, which are resident only for queries other than GET. */
const QUERY_BYTES = 32;

/** Returns the largest value that a setting accepts. */
function maximumOf(name: string): number {
  const { accepted } = describeSettings().find((setting) => setting.name === name) ?? { accepted: '' };
  return Number(/to (\d+)$/.exec(accepted)?.[1]);
}

describe('the layout of the cache', () => {
  it('supports the largest cache and number of leases that the settings accept', () => {
    const limits = {
      capacity: maximumOf('CACHE_CAPACITY'),
      maxBytes: maximumOf('CACHE_MAX_BYTES'),
      maxValueBytes: maximumOf('CACHE_MAX_VALUE_BYTES'),
      maxLeases: maximumOf('PROXY_MAX_CONCURRENT_LOADS') + maximumOf('PROXY_MAX_QUEUED_LOADS') + 10_000,
      leaseMs: 1000,
      staleMs: 0,
    };
    expect(limits.maxBytes).toBe(64 * GiB);
    const bytes = LruMemory.bytesFor(limits);
    expect(bytes).toBeGreaterThan(limits.maxBytes);
    expect(bytes).toBeLessThan(
      limits.maxBytes * 1.0625 + (200 + QUERY_BYTES) * limits.capacity + 480 * limits.maxLeases,
    );
  });

  it('rejects more blocks than a signed 32-bit number can count', () => {
    const limits = { capacity: 1, maxValueBytes: 1, maxLeases: 1, leaseMs: 1, staleMs: 0 };
    expect(LruMemory.bytesFor({ ...limits, maxBytes: 127 * GiB })).toBeGreaterThan(127 * GiB);
    expect(() => LruMemory.bytesFor({ ...limits, maxBytes: 128 * GiB })).toThrow(LayoutError);
  });

  it('reserves the computed memory', () => {
    const limits = { capacity: 7, maxBytes: 1000, maxValueBytes: 100, maxLeases: 3, leaseMs: 1, staleMs: 0 };
    expect(LruMemory.reserve(limits, [1, 2]).buffer.byteLength).toBe(LruMemory.bytesFor(limits));
  });

  it('gives each field of the header bytes of its own', () => {
    const floats = new Map<string, number>([
      ['COUNTERS', COUNTER_NAMES.length],
      ['EXPIRE_ALL_HISTORY', EXPIRE_ALL_HISTORY_LENGTH],
    ]);
    const fields = [
      ...Object.entries(Header).map(([name, word]) => ({ name, from: 4 * word, to: 4 * word + 4 })),
      ...Object.entries(HeaderFloat).map(([name, at]) => ({
        name,
        from: 8 * at,
        to: 8 * (at + (floats.get(name) ?? 1)),
      })),
    ].sort((a, b) => a.from - b.from);
    const overlapping = fields.slice(1).filter(({ from }, index) => from < fields[index].to);
    expect(overlapping).toEqual([]);
  });

  it('reserves no more than the documented memory formula counts for the cache, beside the query lists', () => {
    for (const [capacity, maxBytes] of [
      [0, MiB],
      [10_000, 256 * MiB],
      [1_000_000, GiB],
      [50_000_000, 64 * GiB],
    ]) {
      const settings = loadSettings(
        { CACHE_CAPACITY: String(capacity), CACHE_MAX_BYTES: String(maxBytes) },
        '/nowhere',
      );
      const { maxConcurrentLoads, maxQueuedLoads, maxConnections, maxBufferedBytes, threads } = settings.proxy;
      const beside = (200 + 150 * threads) * MiB + maxConnections * 32 * 1024 + maxBufferedBytes;
      const maxLeases = maxConcurrentLoads + maxQueuedLoads + 10_000;
      const limits = { capacity, maxBytes, maxValueBytes: MiB, maxLeases, leaseMs: 1, staleMs: 0 };
      const counted = memoryNeeded(settings) - beside;
      const reserved = LruMemory.bytesFor(limits);
      expect(counted).toBeGreaterThanOrEqual(reserved - QUERY_BYTES * (capacity + maxLeases) - MiB);
      expect(counted).toBeLessThan(reserved * 1.1 + 2 * MiB);
    }
  });
});
