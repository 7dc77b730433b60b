import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { bestFormat, hexDump, preview, textOf } from './page/keys/bytes-preview.ts';
import { explainCacheStatus } from './page/keys/cache-status.ts';
import {
  asUnknown,
  circuitCondition,
  coherenceCondition,
  purgeChannelCondition,
  readSourceCondition,
  redisCondition,
  threadsCondition,
  warmupCondition,
} from './page/live/conditions.ts';
import { bytes, count, duration, longTime, percent, rate } from './page/format.ts';
import type { DashboardSnapshot } from './dashboard-snapshot.ts';
import { snapshotWith } from './snapshot-with.spec-support.ts';

it('asUnknown marks a condition as unknown and names its last state', () => {
  const unknown = { level: 'unknown', state: 'unknown', meaning: 'was connected' };
  expect(asUnknown(redisCondition(snapshotWith()))).toEqual(unknown);
});

describe('number formats', () => {
  it.each([
    [count(null), '–'],
    [count(1234), '1,234'],
    [count(123_456), '123.5 k'],
    [count(4_500_000), '4.5 M'],
    [rate(0.25), '0.3'],
    [rate(1234.5), '1,235'],
    [percent(0.75), '75 %'],
    [percent(0.99999), '99.9 %'],
    [percent(1), '100 %'],
    [duration(0.00024), '240 µs'],
    [duration(0.0013), '1.3 ms'],
    [duration(2.5), '2.5 s'],
    [bytes(16), '16 B'],
    [bytes(1536), '1.5 KiB'],
    [bytes(268_435_456), '256 MiB'],
    [longTime(0), '0 s'],
    [longTime(725), '12 min 5 s'],
    [longTime(3 * 86_400 + 4 * 3600 + 59), '3 d 4 h'],
  ])('%s', (shown, expected) => expect(shown).toBe(expected));
});

describe('explainCacheStatus', () => {
  it.each([
    ['hit; ttl=57', 200, 'Served from the cache. Expires in 57 seconds.'],
    ['hit; ttl=1', 404, 'Served from the cache: the key does not exist. Expires in 1 second.'],
    [
      'hit; ttl=-3; detail=stale-if-error',
      200,
      'Served from the cache, stale: it expired 3 seconds ago, and Redis is unavailable.',
    ],
    [
      'hit; ttl=-1; detail=stale-while-revalidate',
      200,
      'Served from the cache, stale: it expired 1 second ago, and is being reloaded.',
    ],
    ['fwd=uri-miss; stored', 200, 'Not cached. Loaded from Redis and cached.'],
    ['fwd=uri-miss; collapsed', 200, 'Not cached. Coalesced into a load that was already in flight.'],
    ['fwd=uri-miss', 200, 'Not cached. Loaded from Redis, not stored.'],
    ['fwd=uri-miss', 404, 'Not cached. Looked up in Redis.'],
    ['fwd=uri-miss', 503, 'Not cached. Redis is unavailable.'],
    ['fwd=stale', 504, 'The cached value had expired. Redis timed out.'],
    ['fwd=request; stored', 200, 'The request asked for a fresh value. Loaded from Redis and cached.'],
  ])('%s with %i', (parameters, status, explanation) => {
    expect(explainCacheStatus(`redis-http-cache-proxy; ${parameters}`, status)).toBe(explanation);
  });

  it('is undefined without the field', () => expect(explainCacheStatus(null, 400)).toBeUndefined());
});

describe('preview of a value', () => {
  it('shows printable UTF-8 as text and other bytes in hex', () => {
    expect(bestFormat(Buffer.from('crème brûlée, 7 €\n'), false)).toBe('text');
    expect(bestFormat(Buffer.from([0x66, 0xff]), false)).toBe('hex');
    expect(bestFormat(Buffer.from('a\0b'), false)).toBe('hex');
  });

  it('accepts a character that is cut off at the end', () => {
    const half = Buffer.from('a€').subarray(0, 3);
    expect([textOf(half, true), textOf(half, false)]).toEqual(['a', undefined]);
  });

  it('dumps sixteen bytes per line', () => {
    expect(hexDump(Buffer.from('hello from redis!'))).toBe(
      '000000  68 65 6c 6c 6f 20 66 72 6f 6d 20 72 65 64 69 73  hello from redis\n' + `000010  21${' '.repeat(45)}  !`,
    );
  });

  it('encodes base64, and returns how many bytes are shown', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6000 }), (value) => {
        expect(preview(value, false, 'base64')).toEqual({
          text: Buffer.from(value).toString('base64'),
          shown: value.length,
        });
        expect(preview(value, false, 'hex').shown).toBe(Math.min(value.length, 4096));
      }),
    );
  });
});

describe('conditions', () => {
  it('are good while the proxy is healthy', () => {
    const all = [redisCondition, circuitCondition, coherenceCondition, threadsCondition].map((conditionOf) =>
      conditionOf(snapshotWith()),
    );
    expect(all.map(({ level, state }) => [level, state])).toEqual([
      ['good', 'connected'],
      ['good', 'closed'],
      ['good', 'ttl'],
      ['good', '2'],
    ]);
  });

  it('include the subscription to the purge channel, if there is one', () => {
    const conditionOf = (purgeChannel: DashboardSnapshot['purgeChannel']) =>
      purgeChannelCondition(snapshotWith({ purgeChannel }));
    expect(conditionOf(null)).toBeUndefined();
    expect(conditionOf({ subscribed: true, purges: 1 })).toEqual({
      level: 'good',
      state: 'subscribed',
      meaning: '1 purge applied',
    });
    expect(conditionOf({ subscribed: false, purges: 1 })?.level).toBe('bad');
  });

  it('include the servers that keys are loaded from, with REDIS_READ_FROM', () => {
    type Servers = NonNullable<DashboardSnapshot['readSources']>['servers'];
    const conditionOf = (servers: Servers, lagSeconds = 0) =>
      readSourceCondition(snapshotWith({ readSources: { servers, lagSeconds } }));
    const [replica, master] = [
      { role: 'replica', address: 'a:1' },
      { role: 'master', address: 'b:1' },
    ] as const;
    const none = { role: 'none', address: null } as const;
    expect(readSourceCondition(snapshotWith())).toBeUndefined();
    expect(conditionOf([replica], 0.4)).toEqual({ level: 'good', state: 'replica', meaning: 'a:1; lag 0 s' });
    expect(conditionOf([replica], 6)?.level).toBe('warning');
    expect(conditionOf([master])).toEqual({ level: 'warning', state: 'master', meaning: 'b:1; no replica is current' });
    expect(conditionOf([none])).toEqual({
      level: 'bad',
      state: 'none',
      meaning: 'keys cannot be loaded: no server can be read',
    });
    expect(conditionOf([replica, none, master], 2)).toEqual({
      level: 'bad',
      state: 'mixed',
      meaning: 'a:1, b:1; keys cannot be loaded: no server can be read; no replica is current; lag 2 s',
    });
    expect(conditionOf([replica, replica, replica, replica])?.meaning).toBe('4 servers; lag 0 s');
  });

  it('include the warm start, if there is a file for it', () => {
    const conditionOf = (warmup: DashboardSnapshot['warmup']) => warmupCondition(snapshotWith({ warmup }));
    expect(conditionOf(null)).toBeUndefined();
    expect(conditionOf({ state: 'loading', done: 10, total: 200 })).toEqual({
      level: 'good',
      state: 'loading',
      meaning: '10 of 200 keys',
    });
    expect(conditionOf({ state: 'complete', done: 0, total: 0 })?.meaning).toBe('no keys to load');
    expect(conditionOf({ state: 'paused', done: 10, total: 200 })?.level).toBe('warning');
  });

  it('are warnings or bad when something fails', () => {
    const circuits = { closed: 1, 'half-open': 1, open: 0 };
    const some = snapshotWith({ redis: { connected: 1, circuits }, threads: { count: 2, restarts: 1 } });
    expect([redisCondition(some), circuitCondition(some), threadsCondition(some)].map(({ level }) => level)).toEqual([
      'warning',
      'warning',
      'warning',
    ]);
    const none = snapshotWith({
      redis: { connected: 0, circuits: { ...circuits, open: 1 } },
      coherence: { state: 'resync', invalidations: 0, losses: 1 },
    });
    expect([redisCondition(none), circuitCondition(none), coherenceCondition(none)].map(({ level }) => level)).toEqual([
      'bad',
      'bad',
      'bad',
    ]);
  });
});
