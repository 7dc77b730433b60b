import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { byteRangeOf, contentRange, slice } from './byte-range.ts';

describe('byteRangeOf', () => {
  it.each([
    ['bytes=0-0', { from: 0, to: 1 }],
    ['bytes=0-9', { from: 0, to: 10 }],
    ['bytes=9-9', { from: 9, to: 10 }],
    ['bytes=2-100', { from: 2, to: 10 }],
    ['bytes=2-', { from: 2, to: 10 }],
    ['bytes=-1', { from: 9, to: 10 }],
    ['bytes=-10', { from: 0, to: 10 }],
    ['bytes=-11', { from: 0, to: 10 }],
    ['bytes=00-007', { from: 0, to: 8 }],
    ['BYTES=0-1', { from: 0, to: 2 }],
    ['bytes=,0-1, ,', { from: 0, to: 2 }],
    ['bytes=0-18446744073709551615', { from: 0, to: 10 }],
    [`bytes=1-${'9'.repeat(400)}`, { from: 1, to: 10 }],
    [`bytes=-${'9'.repeat(400)}`, { from: 0, to: 10 }],
  ])('returns the range of %s', (range, expected) => {
    expect(byteRangeOf(range, 10)).toEqual(expected);
  });

  it.each([
    'bytes=10-',
    'bytes=10-20',
    'bytes=-0',
    `bytes=${'9'.repeat(400)}-`,
    'bytes=9007199254740993-9007199254740993',
  ])('finds %s unsatisfiable', (range) => {
    expect(byteRangeOf(range, 10)).toBe('unsatisfiable');
  });

  it.each([
    ...['', 'bytes', 'bytes=', 'bytes=-', 'bytes=,', 'bytes=1-0', 'bytes=0-1,3-4', 'bytes=0-1 3-4', 'bytes=a-b'],
    ...[
      'bytes=0',
      'bytes=+0-1',
      'bytes=0-+1',
      'bytes=--1',
      'bytes=0 - 1',
      'bytes =0-1',
      'byte=0-1',
      'items=0-1',
      '0-1',
    ],
    ...[
      'bytes=0-1;',
      'bytes=0x0-1',
      'bytes=1e0-2',
      'bytes=0.0-1',
      'bytes=9007199254740993-9007199254740992',
      ' bytes=0-1',
    ],
  ])('ignores %s', (range) => {
    expect(byteRangeOf(range, 10)).toBeUndefined();
  });

  it('finds no part of an empty value', () => {
    expect(['bytes=0-', 'bytes=0-0', 'bytes=-0', 'bytes=-1'].map((range) => byteRangeOf(range, 0))).toEqual([
      ...['unsatisfiable', 'unsatisfiable', 'unsatisfiable'],
      undefined,
    ]);
  });

  /** The definition: the positions that a range names, one by one. */
  function named(range: string, length: number): number[] | 'unsatisfiable' | undefined {
    if (!range.toLowerCase().startsWith('bytes=')) return undefined;
    const parts = range.slice('bytes='.length).split('-');
    if (parts.length !== 2 || !parts.every((part) => [...part].every((digit) => '0123456789'.includes(digit)))) {
      return undefined;
    }
    const [first, last] = parts.map((part) => (part === '' ? undefined : BigInt(part)));
    if (first === undefined && last === undefined) return undefined;
    if (first !== undefined && last !== undefined && last < first) return undefined;
    const isNamed = (position: bigint): boolean =>
      first === undefined
        ? position >= BigInt(length) - (last ?? 0n)
        : position >= first && (last === undefined || position <= last);
    const positions = Array.from({ length }, (_, i) => i).filter((i) => isNamed(BigInt(i)));
    if (positions.length > 0) return positions;
    return first === undefined && last !== 0n ? undefined : 'unsatisfiable';
  }

  it('returns the bytes that the field names, as the definition does', () => {
    const digits = fc.oneof(
      { weight: 6, arbitrary: fc.nat({ max: 40 }).map(String) },
      { weight: 2, arbitrary: fc.constant('') },
      { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: 2n ** 70n }).map(String) },
      { weight: 1, arbitrary: fc.nat({ max: 40 }).map((n) => `00${n}`) },
    );
    const range = fc.oneof(
      { weight: 8, arbitrary: fc.tuple(digits, digits).map(([first, last]) => `bytes=${first}-${last}`) },
      {
        weight: 1,
        arbitrary: fc.array(fc.constantFrom('bytes', '=', '-', '1', '2', 'x', 'Bytes=')).map((a) => a.join('')),
      },
    );
    const seen = { part: 0, unsatisfiable: 0, ignored: 0 };
    fc.assert(
      fc.property(range, fc.nat({ max: 30 }), (field, length) => {
        const value = Buffer.from(Array.from({ length }, (_, i) => i));
        const found = byteRangeOf(field, length);
        const expected = named(field, length);
        if (found === undefined || found === 'unsatisfiable') {
          seen[found ?? 'ignored']++;
          expect(expected).toBe(found);
          return;
        }
        seen.part++;
        expect([...slice(value, found)]).toEqual(expected);
        const [, first, last, of] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(contentRange(found, length)) ?? [];
        expect([Number(first), Number(last), Number(of)]).toEqual([value[found.from], value[found.to - 1], length]);
      }),
      { numRuns: 2000 },
    );
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(50);
  });
});
