import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SubarrayCache } from './subarray-cache.ts';

describe('views of the start of a piece of memory', () => {
  it('are of the length that is asked for, and of that memory', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.nat({ max: 2000 }), fc.constantFrom(0, 256, 512, 513, 2000))), (lengths) => {
        const bytes = Buffer.alloc(2000, 'a');
        const views = new SubarrayCache(bytes);
        for (const length of lengths) {
          const view = views.of(length);
          expect([view.length, view.buffer, view.byteOffset]).toEqual([length, bytes.buffer, bytes.byteOffset]);
        }
      }),
    );
  });

  it('are made once for a length that is asked for again', () => {
    const views = new SubarrayCache(Buffer.alloc(2000));
    expect(views.of(300)).toBe(views.of(300));
  });
});
