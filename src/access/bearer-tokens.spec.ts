import { describe, expect, it } from '@jest/globals';
import { Secret } from '../config/secret.ts';
import { BearerTokens, bearerToken } from './bearer-tokens.ts';

describe('tokens', () => {
  it('are compared as wholes, each of them', () => {
    const tokens = new BearerTokens(['hunter2', 'other'].map((token) => new Secret(token)));
    expect(tokens.exist).toBe(true);
    for (const given of ['hunter2', 'other']) expect([given, tokens.accept(given)]).toEqual([given, true]);
    for (const given of ['', 'hunter', 'hunter22', 'Hunter2', 'hunter2,other']) {
      expect([given, tokens.accept(given)]).toEqual([given, false]);
    }
  });

  it('that are not there open nothing', () => {
    expect(new BearerTokens([]).exist).toBe(false);
    expect(new BearerTokens([]).accept('')).toBe(false);
  });
});

describe('the token of a request', () => {
  it.each(['Bearer abc', 'bearer abc', 'BEARER  abc '])('is found in %j', (field) => {
    expect(bearerToken(field)).toBe('abc');
  });

  it.each([undefined, '', 'abc', 'Bearer', 'Bearer ', 'Bearer a b', 'Basic abc', 'Bearerabc', ' Bearer abc'])(
    'is not found in %j',
    (field) => {
      expect(bearerToken(field)).toBeUndefined();
    },
  );
});
