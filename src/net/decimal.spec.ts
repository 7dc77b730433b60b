import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { countDigits, parseDecimal, writeDecimal } from './decimal.ts';

const parse = (text: string): number => parseDecimal(Buffer.from(`<${text}>`), 1, 1 + text.length);

describe('writeDecimal', () => {
  it('writes the digits of an integer, and nothing else', () => {
    fc.assert(
      fc.property(fc.oneof(fc.nat(), fc.nat(1000), fc.constant(2 ** 34 - 1)), (value) => {
        const target = Buffer.from('<..............>');
        writeDecimal(target, 1, countDigits(value), value);
        expect(target.toString()).toBe(`<${String(value)}${'.'.repeat(14 - String(value).length)}>`);
      }),
    );
  });
});

describe('parseDecimal', () => {
  it('parses integers of up to 15 digits', () => {
    fc.assert(
      fc.property(fc.integer({ min: -999_999_999_999_999, max: 999_999_999_999_999 }), (value) => {
        expect(parse(String(value))).toBe(value);
      }),
      { examples: [[0], [-1], [999_999_999_999_999]] },
    );
  });

  it.each(['', '-', '-0', '00', '01', '-01', '+1', '1.0', ' 1', '1 ', 'a', '1e1', '1000000000000000'])(
    'returns NaN for %j',
    (text) => {
      expect(parse(text)).toBeNaN();
    },
  );
});
