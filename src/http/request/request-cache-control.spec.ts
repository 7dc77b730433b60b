import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readDirectives } from './request-cache-control.ts';
import { anyDirectives, directiveList } from './request-cache-control.spec-support.ts';

describe('readDirectives', () => {
  it.each([
    ['no-cache', { maxAgeMs: 0, onlyIfCached: false }],
    ['No-Cache', { maxAgeMs: 0, onlyIfCached: false }],
    ['max-age=0', { maxAgeMs: 0, onlyIfCached: false }],
    ['max-age=5', { maxAgeMs: 5000, onlyIfCached: false }],
    ['max-age="5"', { maxAgeMs: 5000, onlyIfCached: false }],
    ['max-age=5, max-age=3', { maxAgeMs: 3000, onlyIfCached: false }],
    ['max-age=5,no-cache', { maxAgeMs: 0, onlyIfCached: false }],
    [' ,\t, no-store , no-cache,', { maxAgeMs: 0, onlyIfCached: false }],
    ['ext="a, \\" max-age=1", max-age=2', { maxAgeMs: 2000, onlyIfCached: false }],
    ['only-if-cached', { maxAgeMs: Infinity, onlyIfCached: true }],
    ['only-if-cached, max-age=1', { maxAgeMs: 1000, onlyIfCached: true }],
    ['max-age=9999999999999', { maxAgeMs: 9999999999999000, onlyIfCached: false }],
  ])('parses %s', (field, directives) => {
    expect(readDirectives(field, undefined)).toEqual(directives);
  });

  it.each([
    ...['', 'no-store', 'max-stale', 'max-stale=5', 'min-fresh=5', 'no-transform', 'x-no-cache', 'no-cached'],
    ...[
      'max-age',
      'max-age=',
      'max-age=-1',
      'max-age=1.5',
      'max-age=x',
      'ext="no-cache"',
      'ext=no-cache',
      '"no-cache"',
    ],
  ])('ignores %s', (field) => {
    expect(readDirectives(field, undefined)).toBeUndefined();
  });

  it('agrees with a simple model, and parses any text', () => {
    fc.assert(directiveList, { numRuns: 3000 });
    fc.assert(anyDirectives, { numRuns: 1000 });
  });

  it('reads Pragma: no-cache only if Cache-Control is absent', () => {
    expect(readDirectives(undefined, 'no-cache')).toEqual({ maxAgeMs: 0, onlyIfCached: false });
    expect(readDirectives('no-store', 'no-cache')).toBeUndefined();
    expect(readDirectives('', 'no-cache')).toBeUndefined();
    expect(readDirectives(undefined, 'only-if-cached, max-age=1')).toBeUndefined();
    expect(readDirectives(undefined, undefined)).toBeUndefined();
  });

  it('parses a long malformed field in linear time', () => {
    const start = process.cpuUsage();
    for (const field of ['a="'.repeat(5000), `x="${'\\'.repeat(16_000)}`, ', '.repeat(8000), 'a='.repeat(8000)]) {
      readDirectives(field, undefined);
    }
    expect(process.cpuUsage(start).user).toBeLessThan(1_000_000);
  });
});
