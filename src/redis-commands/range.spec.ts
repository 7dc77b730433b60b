import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TestRedis } from '../../test/support/redis.ts';
import { sliceRange, parseRange } from './range.ts';

const offset = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -12, max: 12 }).map(String) },
  fc.bigInt({ min: -(2n ** 63n) - 1n, max: 2n ** 63n }).map(String),
  fc.constantFrom('', '-', '-0', '00', '+1', '1.0', ' 1', '1 ', 'a', '1e1', '9'.repeat(30)),
);

describe('sliceRange', () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await TestRedis.start();
  });
  afterAll(() => redis?.stop());

  it('returns the same bytes as GETRANGE of Redis, and rejects the same offsets', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 10 }), offset, offset, async (bytes, start, end) => {
        const value = Buffer.from(bytes);
        await redis.client.set('key', value);
        const range = parseRange(Buffer.from(start), Buffer.from(end));
        const expected = await redis.client
          .callBuffer('GETRANGE', 'key', start, end)
          .catch((error: unknown) => (error as Error).message);
        const actual = range === undefined ? 'ERR value is not an integer or out of range' : sliceRange(value, range);
        expect(actual).toEqual(expected);
      }),
      { numRuns: 500, examples: [[Uint8Array.of(0), String(-(2n ** 63n) + 1n), String(-(2n ** 63n))]] },
    );
  });
});
