import { describe, expect, it } from '@jest/globals';
import { Secret } from '../config/secret.ts';
import { Access } from './access.ts';

const access = (keyPatterns: string, ...tokens: string[]) =>
  new Access({ keyPatterns, tokens: tokens.map((token) => new Secret(token)) });

describe('Access', () => {
  it('requires no token and allows every key by default', () => {
    const unrestricted = access('*');
    expect(unrestricted.tokenRequired).toBe(false);
    expect(unrestricted.allowsKey(Buffer.alloc(0))).toBe(true);
  });

  it('accepts any of several tokens', () => {
    const protectedAccess = access('*', 'a', 'b');
    expect(protectedAccess.tokenRequired).toBe(true);
    expect(['a', 'b', '', 'c'].map((token) => protectedAccess.acceptsToken(token))).toEqual([true, true, false, false]);
  });

  it('allows the keys that one of the patterns matches', () => {
    const some = access('user:*,[ab]');
    const allowed = (key: string) => some.allowsKey(Buffer.from(key));
    expect(['user:1', 'a', 'b', 'c', 'ab', 'user'].map(allowed)).toEqual([true, true, true, false, false, false]);
  });

  it('checks a key inside a buffer', () => {
    expect(access('user:*').allowsKey(Buffer.from('GET user:1'), 4)).toBe(true);
    expect(access('user:?').allowsKey(Buffer.from('GET user:1 HTTP'), 4, 10)).toBe(true);
    expect(access('user:?').allowsKey(Buffer.from('GET user:1 HTTP'), 4, 11)).toBe(false);
  });

  it('allows every key if one of several patterns matches every key', () => {
    expect(access('user:*,**').allowsKey(Buffer.from([0, 255]))).toBe(true);
  });
});
