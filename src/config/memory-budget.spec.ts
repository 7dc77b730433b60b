import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Notice, loadSettings } from './load-settings.ts';
import { memoryLimit, memoryNeeded } from './memory-budget.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;

/** The settings and the lines for the log, as far as they are about memory, under a memory limit. */
function load(limit: number, environment: Record<string, string> = {}) {
  const notices: Notice[] = [];
  const settings = loadSettings(environment, '/nowhere', {}, (notice) => notices.push(notice), limit);
  return { settings, notices };
}

describe('the memory limit', () => {
  it('is that of the control group, where there is one, and else the memory of the machine', () => {
    expect(memoryLimit(300 * MiB, 16 * GiB)).toBe(300 * MiB);
    expect(memoryLimit(0, 16 * GiB)).toBe(16 * GiB);
    expect(memoryLimit(2 ** 64, 16 * GiB)).toBe(16 * GiB);
    expect(memoryLimit(32 * GiB, 16 * GiB)).toBe(16 * GiB);
    expect(memoryLimit()).toBeGreaterThan(0);
  });
});

describe('settings that follow from the memory limit', () => {
  const four = { PROXY_THREADS: '4' };

  it('have their documented defaults where they fit, without a line in the log', () => {
    const { settings, notices } = load(4 * GiB, four);
    expect(settings.cache.maxBytes).toBe(256 * MiB);
    expect(settings.proxy.maxBufferedBytes).toBe(256 * MiB);
    expect(notices).toEqual([]);
  });

  it('are smaller by default in a small container, with a line that tells so and a warning with the numbers', () => {
    const { settings, notices } = load(512 * MiB, { PROXY_THREADS: '1', PROXY_MAX_CONNECTIONS: '10000' });
    expect(settings.cache.maxBytes).toBe(66 * MiB);
    expect(settings.proxy.maxBufferedBytes).toBe(40 * MiB);
    expect(notices).toEqual([
      {
        level: 'log',
        text: 'defaults reduced to fit the memory limit of 512 MiB: PROXY_MAX_BUFFERED_BYTES=41943040, CACHE_MAX_BYTES=69206016',
      },
      {
        level: 'warn',
        text: 'the settings allow 784 MiB of memory, more than the memory limit of 512 MiB: process 200 + threads 150 (PROXY_THREADS=1) + cache 81 (CACHE_MAX_BYTES=69206016, CACHE_CAPACITY=10000) + connections 313 (PROXY_MAX_CONNECTIONS=10000) + buffers 40 (PROXY_MAX_BUFFERED_BYTES=41943040)',
      },
    ]);
  });

  it('are not changed where they are set, with a warning alone', () => {
    const set = { ...four, CACHE_MAX_BYTES: String(GiB), PROXY_MAX_BUFFERED_BYTES: String(100 * MiB) };
    const { settings, notices } = load(GiB, set);
    expect(settings.cache.maxBytes).toBe(GiB);
    expect(settings.proxy).toMatchObject({ threads: 4, maxBufferedBytes: 100 * MiB });
    expect(notices.map(({ level }) => level)).toEqual(['warn']);
  });

  it('are of use even where nothing fits, with a warning', () => {
    const { settings, notices } = load(128 * MiB);
    expect(settings.cache.maxBytes).toBe(8 * MiB);
    expect(settings.proxy).toMatchObject({ threads: 1, maxBufferedBytes: 16 * MiB });
    expect(notices.map(({ level }) => level)).toEqual(expect.arrayContaining(['warn']));
  });

  it('leave at least a third of the memory to cache and clients, whatever the number of cores', () => {
    for (const mebibytes of [128, 300, 512, 1024, 65_536]) {
      const { threads } = load(mebibytes * MiB).settings.proxy;
      expect(threads).toBeGreaterThanOrEqual(1);
      if (threads > 1) expect((200 + 150 * threads) / mebibytes).toBeLessThanOrEqual(2 / 3);
    }
  });

  it('fit with a number of connections that fits, and are never refused as too small', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 16, max: 8192 }),
        fc.integer({ min: 0, max: 500_000 }),
        fc.constantFrom('1', '2', '8', undefined),
        (mebibytes, capacity, threads) => {
          const connections = Math.max(1, mebibytes - 300);
          const { settings } = load(mebibytes * MiB, {
            CACHE_CAPACITY: String(capacity),
            PROXY_MAX_CONNECTIONS: String(connections),
            ...(threads === undefined ? {} : { PROXY_THREADS: threads }),
          });
          expect(settings.cache.maxBytes).toBeGreaterThanOrEqual(8 * MiB);
          const fixed = 200 + 150 * settings.proxy.threads + (200 * capacity) / MiB + 10;
          if (fixed < mebibytes / 2) expect(memoryNeeded(settings)).toBeLessThanOrEqual(mebibytes * MiB);
        },
      ),
    );
  });
});
