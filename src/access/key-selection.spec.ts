import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MAX_KEY_BYTES } from './access.ts';
import { KeyPattern } from './key-pattern.ts';
import { key, parsed, pattern } from './key-pattern.spec-support.ts';
import { MAX_PATTERN_BYTES, keysMatching, keysWithPrefix } from './key-selection.ts';

function select(selection: ReturnType<typeof keysMatching>, text: Buffer | string): boolean {
  if (typeof selection === 'string') throw new Error(selection);
  const bytes = Buffer.from(text);
  return selection.matches(Buffer.concat([Buffer.from('x'), bytes, Buffer.from('y')]), 1, 1 + bytes.length);
}

describe('keysWithPrefix', () => {
  it('selects the keys that begin with the bytes of the prefix', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 2, max: 3 }),
        fc.uint8Array({ maxLength: 3, max: 3 }),
        (a, b) => {
          const [prefix, bytes] = [Buffer.from(a), Buffer.from(b)];
          expect(select(keysWithPrefix(prefix), bytes)).toBe(bytes.subarray(0, prefix.length).equals(prefix));
        },
      ),
    );
  });

  it('takes a prefix literally', () => {
    expect(select(keysWithPrefix(Buffer.from('a*')), 'ab')).toBe(false);
    expect(select(keysWithPrefix(Buffer.from('a*')), 'a*b')).toBe(true);
  });

  it('rejects a prefix that is empty, or longer than a key', () => {
    expect(keysWithPrefix(Buffer.alloc(0))).toBe('empty');
    expect(keysWithPrefix(Buffer.alloc(MAX_KEY_BYTES + 1))).toBe('too-long');
    expect(select(keysWithPrefix(Buffer.alloc(MAX_KEY_BYTES)), Buffer.alloc(MAX_KEY_BYTES))).toBe(true);
  });
});

describe('keysMatching', () => {
  it('selects the keys that match the pattern', () => {
    fc.assert(
      fc.property(pattern, key, (text, bytes) => {
        const expected = new KeyPattern(parsed(text)).matches(Buffer.from(bytes), 0, bytes.length);
        expect(select(keysMatching(Buffer.from(text)), bytes)).toBe(expected);
      }),
    );
  });

  it('rejects a pattern that is empty, too long or probably a mistake', () => {
    expect(keysMatching(Buffer.alloc(0))).toBe('empty');
    expect(keysMatching(Buffer.alloc(MAX_PATTERN_BYTES + 1, 'a'))).toBe('too-long');
    for (const text of ['[a', '[]', 'a\\']) expect(keysMatching(Buffer.from(text))).toBe('invalid');
  });

  it('matches fewer bytes of keys at a time, the longer the pattern is', () => {
    const bytesPerStep = (length: number): unknown => {
      const selection = keysMatching(Buffer.alloc(length, 'a'));
      return typeof selection === 'string' ? selection : selection.keyBytesPerStep;
    };
    expect([1, 32, 64, 1024].map(bytesPerStep)).toEqual([16_384, 16_384, 8192, 512]);
  });
});
