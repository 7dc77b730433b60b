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

describe('tokens that take the place of others', () => {
  const secrets = (...tokens: string[]) => tokens.map((token) => new Secret(token));

  it('are valid from then on, and the others no more', () => {
    const tokens = new BearerTokens(secrets('old', 'both'));
    const [old, both] = ['old', 'both'].map((token) => tokens.recognise(token));
    tokens.replace(secrets('both', 'new'));
    expect(['old', 'both', 'new'].map((token) => tokens.accept(token))).toEqual([false, true, true]);
    expect([old, both].map((credential) => credential && tokens.hold(credential))).toEqual([false, true]);
  });

  it('neither open a closed door nor close an open one', () => {
    const closed = new BearerTokens(secrets('token'));
    expect(() => closed.replace([])).toThrow();
    expect(closed.accept('token')).toBe(true);
    expect(() => new BearerTokens([]).replace(secrets('token'))).toThrow();
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
