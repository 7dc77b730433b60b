import { describe, expect, it } from '@jest/globals';
import { parseKeyRules } from '../config/key-pattern-syntax.ts';
import { KeyRules } from './key-rules.ts';

const parse = (text: string) => parseKeyRules(text, (value) => value !== 'refused');
const valueOf = (text: string, key: string): string | undefined => {
  const rules = new KeyRules(parse(text) ?? []);
  return rules.values[rules.find(Buffer.from(key))];
};

describe('KeyRules', () => {
  it.each([
    ['page:*=text/html,*=text/plain', 'page:1', 'text/html'],
    ['page:*=text/html,*=text/plain', 'other', 'text/plain'],
    ['page:*=text/html', 'other', undefined],
    ['*=first,page:*=second', 'page:1', 'first'],
    ['a=text/html; charset=utf-8,b=x', 'a', 'text/html; charset=utf-8'],
    ['a\\,b=x', 'a,b', 'x'],
    ['a\\=b=x', 'a=b', 'x'],
    ['[\\=\\,]=x', '=', 'x'],
    ['[\\=\\,]=x', ',', 'x'],
    ['a\\\\=x', 'a\\', 'x'],
  ])('of %s give the key %s the value %s', (text, key, value) => {
    expect(valueOf(text, key)).toBe(value);
  });

  it('match bytes inside a buffer', () => {
    const rules = new KeyRules(parse('user:?=x') ?? []);
    expect(rules.find(Buffer.from('GET user:1 HTTP'), 4, 10)).toBe(0);
    expect(rules.find(Buffer.from('GET user:1 HTTP'), 4, 11)).toBe(-1);
  });

  it.each([
    '',
    'a',
    '=x',
    'a=x,',
    ',a=x',
    'a=x,,b=y',
    'a=x, b=y',
    '[=]=x',
    '[a=x',
    'a\\=x',
    'a,b=x',
    'a=refused',
    '\\',
  ])('are not made of %j', (text) => {
    expect(parse(text)).toBeUndefined();
  });
});
