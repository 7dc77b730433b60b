import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ItemBytes } from '../memory/item-bytes.ts';
import { LruMemory, NONE } from '../memory/layout.ts';
import { QueryLists } from './query-lists.ts';
import { Slots } from '../slots.ts';

const LIMITS = { capacity: 50, maxBytes: 10_000, maxValueBytes: 0, maxLeases: 50, leaseMs: 1, staleMs: 0 };
/** Some are the beginning of others; all hash alike, or to the same bucket. */
const KEYS = ['', 'a', 'ab', 'abc', 'b'].map((key) => Buffer.from(key));
const HASHES = [7, 7, 7, 7 + 1024, 8];

const key = fc.nat({ max: KEYS.length - 1 });
/** Index in the list of the key, modulo its length. */
const member = fc.nat({ max: 9 });
const command = fc.oneof(
  { weight: 4, arbitrary: fc.record({ act: fc.constant('insert' as const), key }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('remove' as const), key, member }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('replace' as const), key, member }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('clear' as const), key }) },
);

describe('QueryLists', () => {
  it('keeps the queries of each key, oldest first, whatever is inserted, removed and replaced', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 40, size: 'max' }), (commands) => {
        const memory = LruMemory.reserve(LIMITS, [1, 2]);
        const items = new ItemBytes(memory);
        const slots = new Slots(memory, items);
        const lists = new QueryLists(memory, items);
        let model = KEYS.map((): number[] => []);
        const allocate = (bytes: Buffer): number =>
          slots.allocate({ id: Buffer.concat([bytes, Buffer.from('abc')]), selectorLength: 3 }, 0);
        for (const command of commands) {
          const bytes = KEYS[command.key];
          const list = model[command.key];
          if (command.act === 'clear') {
            lists.clear();
            model = KEYS.map(() => []);
          } else if (command.act === 'insert') {
            const slot = allocate(bytes);
            lists.insert(slot, Buffer.concat([bytes, Buffer.from('abc')]), bytes.length, HASHES[command.key]);
            list.push(slot);
          } else if (list.length > 0) {
            const at = command.member % list.length;
            if (command.act === 'remove') {
              lists.remove(list[at]);
              list.splice(at, 1);
            } else {
              const by = allocate(bytes);
              lists.replace(list[at], by);
              list[at] = by;
            }
          }
          for (const [i, expected] of model.entries()) {
            const found: number[] = [];
            const start = lists.first(KEYS[i], KEYS[i].length, HASHES[i]);
            for (let slot = start; slot !== NONE; slot = lists.next(slot)) found.push(slot);
            expect(found).toEqual(expected);
            const serials = found.map((slot) => lists.serialOf(slot));
            expect(serials).toEqual([...new Set(serials)].sort((a, b) => a - b));
            expect(Math.max(0, ...serials)).toBeLessThanOrEqual(lists.serial);
          }
        }
      }),
      { numRuns: 100 },
    );
  });
});
