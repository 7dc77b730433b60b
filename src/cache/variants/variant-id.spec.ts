import { describe, expect, it } from '@jest/globals';
import { Query } from '../../redis/query.ts';
import { variantIdOf, withoutVariant } from './variant-id.ts';

const KEY = Buffer.from('key');
const FORM = { id: 2, render: () => undefined };
const QUERIES = [
  Query.get(KEY),
  Query.of(KEY, [Buffer.from('HGETALL')], FORM),
  Query.of(KEY, [Buffer.from('HGETALL')], { ...FORM, id: 4 }),
  Query.of(KEY, [Buffer.from('HGETALL')]),
  Query.of(KEY, [Buffer.from('HGET'), Buffer.alloc(0)], FORM),
];

describe('variantIdOf', () => {
  it('returns an id of the same key for each query and variant, different from all others', () => {
    const ids = QUERIES.flatMap((query) => [query, ...[1, 2, 3, 4].map((variant) => variantIdOf(query, variant))]);
    const names = ids.map(({ id, selectorLength }) => {
      expect(Buffer.from(id).subarray(0, id.length - selectorLength)).toEqual(KEY);
      return `${selectorLength} ${Buffer.from(id).toString('hex')}`;
    });
    expect(new Set(names).size).toBe(names.length);
  });

  it('is undone by withoutVariant, which keeps the id of a query', () => {
    for (const query of QUERIES) {
      for (const { id, selectorLength } of [query, variantIdOf(query, 1), variantIdOf(query, 4)]) {
        const bytes = Buffer.from(id);
        const shorter = withoutVariant(bytes, bytes.length, selectorLength);
        expect(bytes.subarray(0, bytes.length - shorter)).toEqual(query.id);
        expect(selectorLength - shorter).toBe(query.selectorLength);
      }
    }
  });
});
