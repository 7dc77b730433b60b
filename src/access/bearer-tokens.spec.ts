import { describe, expect, it } from '@jest/globals';
import { Secret } from '../config/secret.ts';
import { BearerTokens, bearerToken } from './bearer-tokens.ts';

describe('BearerTokens', () => {
  it('accepts each of its tokens, and no part or variant of one', () => {
    const tokens = new BearerTokens(['hunter2', 'other'].map((token) => new Secret(token)));
    expect(tokens.exist).toBe(true);
    for (const given of ['hunter2', 'other']) expect([given, tokens.accept(given)]).toEqual([given, true]);
    for (const given of ['', 'hunter', 'hunter22', 'Hunter2', 'hunter2,other']) {
      expect([given, tokens.accept(given)]).toEqual([given, false]);
    }
  });

  it('accepts nothing if it is empty', () => {
    expect(new BearerTokens([]).exist).toBe(false);
    expect(new BearerTokens([]).accept('')).toBe(false);
  });
});

describe('BearerTokens: replace', () => {
  const secrets = (...tokens: string[]) => tokens.map((token) => new Secret(token));

  it('accepts the new tokens and rejects the old ones', () => {
    const tokens = new BearerTokens(secrets('old', 'both'));
    const [old, both] = ['old', 'both'].map((token) => tokens.identify(token));
    tokens.replace(secrets('both', 'new'));
    expect(['old', 'both', 'new'].map((token) => tokens.accept(token))).toEqual([false, true, true]);
    expect([old, both].map((credential) => credential && tokens.includes(credential))).toEqual([false, true]);
  });

  it('cannot switch authentication on or off', () => {
    const tokens = new BearerTokens(secrets('token'));
    expect(() => tokens.replace([])).toThrow();
    expect(tokens.accept('token')).toBe(true);
    expect(() => new BearerTokens([]).replace(secrets('token'))).toThrow();
  });
});

describe('bearerToken', () => {
  it.each(['Bearer abc', 'bearer abc', 'BEARER  abc '])('returns the token in %j', (field) => {
    expect(bearerToken(field)).toBe('abc');
  });

  it.each([undefined, '', 'abc', 'Bearer', 'Bearer ', 'Bearer a b', 'Basic abc', 'Bearerabc', ' Bearer abc'])(
    'finds no token in %j',
    (field) => {
      expect(bearerToken(field)).toBeUndefined();
    },
  );
});
