import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SubarrayCache } from './subarray-cache.ts';

describe('SubarrayCache', () => {
  it('returns views of the given length of the buffer', () => {
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

  it('returns the same view for a repeated length', () => {
    const views = new SubarrayCache(Buffer.alloc(2000));
    expect(views.of(300)).toBe(views.of(300));
  });
});
