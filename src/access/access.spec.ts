import { describe, expect, it } from '@jest/globals';
import { Secret } from '../config/secret.ts';
import { Access } from './access.ts';

const access = (keyPatterns: string, ...tokens: string[]) =>
  new Access({ keyPatterns, tokens: tokens.map((token) => new Secret(token)) });

describe('access', () => {
  it('is open to all by default', () => {
    const open = access('*');
    expect(open.tokenRequired).toBe(false);
    expect(open.allowsKey(Buffer.alloc(0))).toBe(true);
  });

  it('needs one of the tokens where there are any', () => {
    const closed = access('*', 'a', 'b');
    expect(closed.tokenRequired).toBe(true);
    expect(['a', 'b', '', 'c'].map((token) => closed.acceptsToken(token))).toEqual([true, true, false, false]);
  });

  it('is to the keys that one of the patterns matches', () => {
    const some = access('user:*,[ab]');
    const allowed = (key: string) => some.allowsKey(Buffer.from(key));
    expect(['user:1', 'a', 'b', 'c', 'ab', 'user'].map(allowed)).toEqual([true, true, true, false, false, false]);
  });

  it('is to a part of a buffer', () => {
    expect(access('user:*').allowsKey(Buffer.from('GET user:1'), 4)).toBe(true);
    expect(access('user:?').allowsKey(Buffer.from('GET user:1 HTTP'), 4, 10)).toBe(true);
    expect(access('user:?').allowsKey(Buffer.from('GET user:1 HTTP'), 4, 11)).toBe(false);
  });

  it('is to every key when one of several patterns says so', () => {
    expect(access('user:*,**').allowsKey(Buffer.from([0, 255]))).toBe(true);
  });
});
