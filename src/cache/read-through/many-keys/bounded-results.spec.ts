import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { bufferedBytes } from '../buffered-bytes.spec-support.ts';
import { BoundedResults } from './bounded-results.ts';
import type { ReadOutcome } from '../read-outcome.ts';

const MAX_BYTES = 10;

const outcome = (bytes: number): ReadOutcome =>
  ({ kind: 'value', value: Buffer.alloc(bytes) }) as unknown as ReadOutcome;

/** Bytes of each value, and the order in which the values arrive. */
const reads = fc
  .array(fc.nat(MAX_BYTES + 2), { maxLength: 12 })
  .chain((sizes) => fc.tuple(fc.constant(sizes), fc.shuffledSubarray([...sizes.keys()], { minLength: sizes.length })));

it('keeps the first values within the cap, in whatever order they arrive, and never retains twice the cap', () => {
  fc.assert(
    fc.property(reads, ([sizes, order]) => {
      const account = bufferedBytes();
      const results = new BoundedResults(sizes.length, MAX_BYTES, account, (memory) => account.release(memory));
      for (const index of order) {
        results.set(index, outcome(sizes[index]));
        const held = results.outcomes.reduce((sum, each) => sum + ('value' in each ? each.value.length : 0), 0);
        expect(held).toBeLessThan(2 * MAX_BYTES);
      }
      let bytes = 0;
      const expected = sizes.map((size) => {
        if (size > MAX_BYTES || (size > 0 && bytes >= MAX_BYTES)) return 'omitted';
        bytes += size;
        return size;
      });
      expect(results.outcomes.map((each) => ('value' in each ? each.value.length : each.kind))).toEqual(expected);
    }),
  );
});
