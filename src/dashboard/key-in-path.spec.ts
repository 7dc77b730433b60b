import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { KEYS_PATH, keyFromTarget } from '../http/keys/key-path.ts';
import { keyInPath } from './page/key-in-path.ts';

/** Which key the proxy is asked for by a page of its own; undefined: for none. */
function askedFor(typed: string, encoded: boolean): Buffer | string | undefined {
  const key = keyInPath(typed, encoded);
  if (key === undefined) return undefined;
  const { pathname, search, hash } = new URL(`v1/keys/${key}`, 'http://proxy/');
  expect([pathname.startsWith(KEYS_PATH), search, hash]).toEqual([true, '', '']);
  return keyFromTarget(pathname, KEYS_PATH);
}

const ODD = [
  '.',
  '..',
  '%2e',
  '%2E',
  '%2f',
  '%5c',
  '/',
  '\\',
  '\t',
  '\n',
  ' ',
  '?',
  '#',
  ';',
  '%',
  '%4',
  'é',
  '\ud800',
  'a',
];
const typed = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1 }),
  fc.array(fc.constantFrom(...ODD), { minLength: 1 }).map((parts) => parts.join('')),
);

describe('a key that is typed into the page', () => {
  it.each([
    ['..\\cache', true, '..\\cache'],
    ['..\\..\\health', true, '..\\..\\health'],
    ['a/../b', true, 'a/../b'],
    ['.\t.', true, '.\t.'],
    [' a ', true, ' a '],
    ['caf%C3%A9/menü', true, 'café/menü'],
    ["it's (all)!*", true, "it's (all)!*"],
    ['..\\cache', false, '..\\cache'],
    ['%2e%2e', false, '%2e%2e'],
    ['a?b#c', false, 'a?b#c'],
    ['...', false, '...'],
  ])('%j (escapes: %s) is that key', (text, encoded, key) => {
    expect(askedFor(text, encoded)).toEqual(Buffer.from(key));
  });

  it.each([
    ...['.', '..', '%2e', '%2E.', '.%2e', '%2e%2E'].map((text) => [text, true] as const),
    ['.', false],
    ['..', false],
  ])('%j (escapes: %s) is none that a browser can ask for', (text, encoded) => {
    expect(askedFor(text, encoded)).toBeUndefined();
  });

  it('is never another one, whatever it is', () => {
    fc.assert(
      fc.property(typed, (text) => {
        const plain = askedFor(text, false);
        if (plain !== undefined) expect(plain).toEqual(Buffer.from(text));
        const own = askedFor(text, true);
        if (own !== undefined) expect(Buffer.isBuffer(own)).toBe(!/%(?![0-9a-f]{2})/i.test(text));
      }),
    );
  });
});
