import { describe, expect, it } from '@jest/globals';
import { literalPrefixes } from './literal-prefixes.ts';

describe('literalPrefixes', () => {
  it.each([
    ['*', []],
    ['user:*', ['user:']],
    ['user:*,*', []],
    ['user:*,page:[0-9]*,exact', ['exact', 'page:', 'user:']],
    ['user:*,user:1*,us*', ['us']],
    ['a*,a*', ['a']],
    ['?a', []],
    ['\\*[*]x[ab]*', ['**x']],
    ['a\\,b*', ['a,b']],
  ])('%s', (patterns, prefixes) => {
    expect(literalPrefixes(patterns).map(String)).toEqual(prefixes);
  });
});
