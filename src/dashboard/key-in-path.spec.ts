import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { KEYS_PATH, keyFromTarget } from '../http/request/key-path.ts';
import { keyInPath } from './page/keys/key-in-path.ts';

/** Returns the key that the proxy receives for an input of the page; undefined if the page rejects it. */
function receivedKey(typed: string, encoded: boolean): Buffer | string | undefined {
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

describe('keyInPath', () => {
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
  ])('%j (percent-encoded: %s) requests that key', (text, encoded, key) => {
    expect(receivedKey(text, encoded)).toEqual(Buffer.from(key));
  });

  it.each([
    ...['.', '..', '%2e', '%2E.', '.%2e', '%2e%2E'].map((text) => [text, true] as const),
    ['.', false],
    ['..', false],
  ])('rejects %j (percent-encoded: %s), which a browser cannot request', (text, encoded) => {
    expect(receivedKey(text, encoded)).toBeUndefined();
  });

  it('never requests another key, whatever is typed', () => {
    fc.assert(
      fc.property(typed, (text) => {
        const plain = receivedKey(text, false);
        if (plain !== undefined) expect(plain).toEqual(Buffer.from(text));
        const own = receivedKey(text, true);
        if (own !== undefined) expect(Buffer.isBuffer(own)).toBe(!/%(?![0-9a-f]{2})/i.test(text));
      }),
    );
  });
});
