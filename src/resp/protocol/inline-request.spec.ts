import { describe, expect, it } from '@jest/globals';
import { splitInline } from './inline-request.ts';

const split = (line: string): string[] | undefined =>
  splitInline(Buffer.from(line, 'latin1'))?.map((argument) => argument.toString('latin1'));

describe('an inline request', () => {
  it.each<[string, string[] | undefined]>([
    ['', []],
    ['  \t ', []],
    ['get key', ['get', 'key']],
    ['  get   key  ', ['get', 'key']],
    ['get "a b"', ['get', 'a b']],
    ['get "\\x00\\xfF\\n\\r\\t\\b\\a\\"\\\\\\q"', ['get', '\0\xff\n\r\t\b\x07"\\q']],
    ["get 'a\\'b\\n'", ['get', "a'b\\n"]],
    ['get ""', ['get', '']],
    ['get pre"fix"', ['get', 'prefix']],
    ['get "\\xZZ"', ['get', 'xZZ']],
    ['get "a', undefined],
    ["get 'a", undefined],
    ['get "a"b', undefined],
    ["get 'a'b", undefined],
  ])('%j is split like in Redis', (line, expected) => {
    expect(split(line)).toEqual(expected);
  });
});
