import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { bestFormat, hexDump, preview, textOf } from './page/bytes-preview.ts';
import { cacheStatusInWords } from './page/cache-status.ts';
import {
  asUnknown,
  circuitCondition,
  coherenceCondition,
  redisCondition,
  threadsCondition,
} from './page/conditions.ts';
import { bytes, count, duration, longTime, percent, rate } from './page/format.ts';
import { tickOf } from './dashboard-snapshot.spec-support.ts';

it('a condition is unknown, and tells what it was, when the proxy is not heard from', () => {
  const unknown = { level: 'unknown', state: 'unknown', meaning: 'was connected' };
  expect(asUnknown(redisCondition(tickOf()))).toEqual(unknown);
});

describe('figures for people', () => {
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

describe('Cache-Status in words', () => {
  it.each([
    ['hit; ttl=57', 200, 'From the cache, which holds it for another 57 seconds.'],
    ['hit; ttl=1', 404, 'The cache remembers that there is no such key, for another 1 second.'],
    [
      'hit; ttl=-3; detail=stale-if-error',
      200,
      'From the cache, though its time was over 3 seconds ago: Redis could not be asked.',
    ],
    ['fwd=uri-miss; stored', 200, 'The cache did not hold it. It was read from Redis, and the cache holds it now.'],
    [
      'fwd=uri-miss; collapsed',
      200,
      'The cache did not hold it. Somebody else was reading it from Redis already, and it came with that.',
    ],
    ['fwd=uri-miss', 200, 'The cache did not hold it. It was read from Redis, and not stored.'],
    ['fwd=uri-miss', 404, 'The cache did not hold it. Redis was asked.'],
    ['fwd=uri-miss', 503, 'The cache did not hold it. Redis could not be asked.'],
    ['fwd=stale', 504, 'The cache held it, but its time was over. Redis did not answer in time.'],
    [
      'fwd=request; stored',
      200,
      'It was to be read anew, whatever the cache held. It was read from Redis, and the cache holds it now.',
    ],
  ])('%s with %i', (parameters, status, words) => {
    expect(cacheStatusInWords(`redis-http-cache-proxy; ${parameters}`, status)).toBe(words);
  });

  it('says nothing where there is none', () => expect(cacheStatusInWords(null, 400)).toBeUndefined());
});

describe('a preview', () => {
  it('shows text as it is, and other bytes in hex', () => {
    expect(bestFormat(Buffer.from('crème brûlée, 7 €\n'), false)).toBe('text');
    expect(bestFormat(Buffer.from([0x66, 0xff]), false)).toBe('hex');
    expect(bestFormat(Buffer.from('a\0b'), false)).toBe('hex');
  });

  it('does not mind a character that the end has cut in half', () => {
    const half = Buffer.from('a€').subarray(0, 3);
    expect([textOf(half, true), textOf(half, false)]).toEqual(['a', undefined]);
  });

  it('dumps sixteen bytes a line', () => {
    expect(hexDump(Buffer.from('hello from redis!'))).toBe(
      '000000  68 65 6c 6c 6f 20 66 72 6f 6d 20 72 65 64 69 73  hello from redis\n' + `000010  21${' '.repeat(45)}  !`,
    );
  });

  it('has base64 as everybody has it, and says how much it shows', () => {
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
  it('are good in a proxy that is well', () => {
    const all = [redisCondition, circuitCondition, coherenceCondition, threadsCondition].map((of) => of(tickOf()));
    expect(all.map(({ level, state }) => [level, state])).toEqual([
      ['good', 'connected'],
      ['good', 'closed'],
      ['good', 'ttl'],
      ['good', '2'],
    ]);
  });

  it('tell what is wrong', () => {
    const circuits = { closed: 1, 'half-open': 1, open: 0 };
    const some = tickOf({ redis: { connected: 1, circuits }, threads: { count: 2, restarts: 1 } });
    expect([redisCondition(some), circuitCondition(some), threadsCondition(some)].map(({ level }) => level)).toEqual([
      'warning',
      'warning',
      'warning',
    ]);
    const none = tickOf({
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
