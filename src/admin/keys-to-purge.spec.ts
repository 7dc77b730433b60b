import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { selectedKeys } from './keys-to-purge.ts';

const PATH = '/v1/cache';

function selects(target: string, key: Buffer | string): boolean {
  const selected = selectedKeys(target);
  if (typeof selected !== 'object') throw new Error(String(selected));
  return selected.matches(Buffer.from(key), 0, Buffer.from(key).length);
}

const encode = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');

describe('The keys that a query selects', () => {
  it('are undefined without a query', () => {
    expect(selectedKeys(PATH)).toBeUndefined();
    expect(selectedKeys(`http://proxy:8080${PATH}`)).toBeUndefined();
  });

  it.each([
    ['?prefix=user:', 'user:1', true],
    ['?prefix=user%3A', 'user:1', true],
    ['?prefix=user:', 'user', false],
    ['?prefix=a=b', 'a=bc', true],
    ['?prefix=a?b', 'a?bc', true],
    ['?prefix=*', 'a', false],
    ['?prefix=%2B%20%26%23', '+ &#', true],
    ['?pattern=user:*', 'user:1', true],
    ['?pattern=user:[0-9]', 'user:10', false],
    ['?pattern=%2A:1', 'user:1', true],
    ['?pattern=a,b', 'a,b', true],
    ['?pattern=a%5C*', 'a*', true],
  ])('of %s: %s is one, %s', (query, key, expected) => {
    expect(selects(`${PATH}${query}`, key)).toBe(expected);
    expect(selects(`http://proxy${PATH}${query}`, key)).toBe(expected);
  });

  it('are given by any bytes, percent-encoded or not, as node:http decodes them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (bytes) => {
        expect(selects(`${PATH}?prefix=${encode(bytes)}`, Buffer.from(bytes))).toBe(true);
      }),
    );
    expect(selects(`${PATH}?prefix=\u00ff`, Buffer.from([0xff]))).toBe(true);
    expect(selects(`${PATH}?prefix=caf%C3%A9`, 'caf\u00e9')).toBe(true);
  });

  it.each([
    ['?', 'Expected one'],
    ['?prefix', 'Expected one'],
    ['?key=a', 'Expected one'],
    ['?Prefix=a', 'Expected one'],
    ['?%70refix=a', 'Expected one'],
    ['?prefix=a&pattern=b', 'Expected one'],
    ['?prefix=a&prefix=b', 'Expected one'],
    ['?prefix=a&', 'Expected one'],
    ['?&prefix=a', 'Expected one'],
    ['?prefix=a;pattern=b&', 'Expected one'],
    ['?prefix=', 'The prefix is empty.'],
    ['?pattern=', 'The pattern is empty.'],
    ['?prefix=a+b', 'A plus sign'],
    ['?prefix=%', 'The prefix is not percent-encoded.'],
    ['?pattern=%zz', 'The pattern is not percent-encoded.'],
    ['?prefix=a#b', 'The prefix is not percent-encoded.'],
    ['?pattern=[a', 'The pattern is invalid'],
    ['?pattern=[]', 'The pattern is invalid'],
    ['?pattern=a%5C', 'The pattern is invalid'],
    [`?prefix=${'a'.repeat(65_537)}`, 'The prefix exceeds 65536 bytes.'],
    [`?pattern=${'a'.repeat(1025)}`, 'The pattern exceeds 1024 bytes.'],
  ])('are rejected with a reason if the query is not understood: %s', (query, reason) => {
    expect(selectedKeys(`${PATH}${query}`)).toContain(reason);
  });
});
