import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { keyInTarget, percentDecoding } from './key-path.spec-support.ts';
import { MAX_KEY_BYTES } from '../../access/access.ts';
import {
  ENTRIES_PATH,
  HASHES_PATH,
  KEYS_PATH,
  LISTS_PATH,
  SETS_PATH,
  hideKey,
  keyFromTarget,
  keyPrefixOf,
  partFromTarget,
} from './key-path.ts';

const key = (target: string) => keyFromTarget(KEYS_PATH + target, KEYS_PATH);

/** Any percent-encoding of bytes: each byte encoded or, where allowed, plain. */
const spelling = fc
  .array(fc.record({ byte: fc.integer({ min: 0, max: 255 }), plain: fc.boolean(), upper: fc.boolean() }), {
    minLength: 1,
  })
  .map((parts) => ({
    bytes: Buffer.from(parts.map(({ byte }) => byte)),
    text: parts
      .map(({ byte, plain, upper }) => {
        const hex = byte.toString(16).padStart(2, '0');
        const canBePlain = byte > 0x20 && byte !== 0x7f && byte !== 0x25 && byte !== 0x3f && byte !== 0x23;
        return plain && canBePlain ? String.fromCharCode(byte) : `%${upper ? hex.toUpperCase() : hex}`;
      })
      .join(''),
  }));

describe('keyFromTarget', () => {
  it('decodes any bytes in any percent-encoding', () => {
    fc.assert(
      fc.property(spelling, ({ bytes, text }) => {
        expect(key(text)).toEqual(bytes);
        expect(key(`${text}?query=%zz`)).toEqual(bytes);
        expect(keyFromTarget(`http://host:8080${KEYS_PATH}${text}`, KEYS_PATH)).toEqual(bytes);
      }),
    );
  });

  it('agrees with a simple model for any text, valid or not', () => {
    fc.assert(percentDecoding, { numRuns: 3000 });
    fc.assert(keyInTarget, { numRuns: 3000 });
  });

  it('decodes the output of encodeURIComponent', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (text) => {
        expect(key(encodeURIComponent(text))).toEqual(Buffer.from(text));
      }),
    );
  });

  it('accepts a slash, encoded or not', () => {
    expect(key('a/b')).toEqual(Buffer.from('a/b'));
    expect(key('a%2Fb')).toEqual(Buffer.from('a/b'));
  });

  it('does not decode a plus sign to a space', () => {
    expect(key('a+b')).toEqual(Buffer.from('a+b'));
  });

  it.each(['', '?', '?a=b'])('rejects an empty key: %j', (target) => {
    expect(key(target)).toBe('empty');
  });

  it.each(['%', '%4', 'a%', 'a%4', '%zz', '%4g', '%g4', '%%41', '%+1', '% 1', '%0x'])(
    'rejects an invalid percent-encoding: %j',
    (target) => {
      expect(key(target)).toBe('bad-encoding');
    },
  );

  it('rejects keys of more than 65536 bytes, not characters', () => {
    expect(key('%41'.repeat(MAX_KEY_BYTES))).toHaveLength(MAX_KEY_BYTES);
    expect(key('A'.repeat(MAX_KEY_BYTES + 1))).toBe('too-long');
    expect(key('%41'.repeat(MAX_KEY_BYTES + 1))).toBe('too-long');
  });
});

describe('hideKey', () => {
  it('returns the same path for every key', () => {
    fc.assert(
      fc.property(spelling, ({ text }) => {
        expect(hideKey(KEYS_PATH + text)).toBe(`${KEYS_PATH}key`);
        expect(hideKey(ENTRIES_PATH + text)).toBe(`${ENTRIES_PATH}key`);
        expect(hideKey(`http://host${KEYS_PATH}${text}`)).toBe(`${KEYS_PATH}key`);
      }),
    );
  });

  it.each([
    ...['/', '/v1/cache', '/v1/cache?x', '/docs', '*', '/v1/keysx/a', 'host:443', '/x?/v1/keys/a'],
    ...['http://host?/v1/keys/a', 'http://host#/v1/cache/a', '//host/v1/keys/a'],
  ])('does not change other paths: %s', (url) => {
    expect(hideKey(url)).toBe(url);
  });
});

describe('partFromTarget', () => {
  it('returns the bytes after the first slash behind the key, and the key before it', () => {
    fc.assert(
      fc.property(spelling, spelling, ({ text: key, bytes }, { text: part, bytes: partBytes }) => {
        fc.pre(!key.includes('/'));
        const target = `${HASHES_PATH}${key}/${part}?query`;
        expect(keyFromTarget(target, HASHES_PATH)).toEqual(bytes);
        expect(partFromTarget(target, HASHES_PATH)).toEqual(partBytes);
        expect(hideKey(target)).toBe(`${HASHES_PATH}key/part`);
      }),
    );
  });

  it('is undefined without a part, and empty for an empty one', () => {
    expect(partFromTarget('/v1/hashes/key?a/b', HASHES_PATH)).toBeUndefined();
    expect(partFromTarget('/v1/hashes/key/', HASHES_PATH)).toEqual(Buffer.alloc(0));
    expect(partFromTarget('/v1/lists/a/b', LISTS_PATH)).toBeUndefined();
    expect(partFromTarget('/v1/sets/key/%zz', SETS_PATH)).toBe('bad-encoding');
    expect(keyPrefixOf('/v1/streams/key')).toBeUndefined();
  });
});
