import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TestRedis } from '../../test/support/redis.ts';
import { parseKeyPattern, parseKeyPatterns } from '../config/key-pattern-syntax.ts';
import { KeyPattern } from './key-pattern.ts';
import { anyPatterns, key, parsed, pattern, patternMatching, patternTime } from './key-pattern.spec-support.ts';

const matches = (text: string, bytes: Buffer | string): boolean =>
  new KeyPattern(parsed(text)).matches(Buffer.from(bytes), 0, Buffer.from(bytes).length);

describe('KeyPattern', () => {
  it('agrees with a simple model, at any position in a buffer', () => {
    fc.assert(patternMatching, { numRuns: 3000 });
  });

  it.each([
    ['user:*', 'user:', true],
    ['user:*', 'user:42', true],
    ['user:*', 'users', false],
    ['*', '', true],
    ['?', '', false],
    ['a?c', 'abc', true],
    ['a?c', 'a\nc', true],
    ['[abc]', 'b', true],
    ['[^abc]', 'b', false],
    ['[^abc]', 'd', true],
    ['[a-c]', 'b', true],
    ['[c-a]', 'b', true],
    ['[a-c]', 'd', false],
    ['\\*', '*', true],
    ['\\*', 'a', false],
    ['a\\,b', 'a,b', true],
    ['[\\]]', ']', true],
    ['A', 'a', false],
    ['\\ a b\\ ', ' a b ', true],
  ])('%j matches the key %j: %s', (text, bytes, expected) => {
    expect(matches(text, bytes)).toBe(expected);
  });

  it('matches bytes, so that a non-ASCII character needs several question marks', () => {
    expect(matches('caf\u00e9', Buffer.from('caf\u00e9'))).toBe(true);
    expect(matches('caf?', Buffer.from('caf\u00e9'))).toBe(false);
    expect(matches('caf??', Buffer.from('caf\u00e9'))).toBe(true);
    expect(matches('*', Buffer.from([0, 0xff]))).toBe(true);
  });

  it('matches any key without an exception', () => {
    fc.assert(anyPatterns, { numRuns: 3000 });
  });

  it('takes little time for ambiguous patterns', () => {
    fc.assert(patternTime, { numRuns: 1000 });
  });

  it('takes at most time proportional to the product of the lengths', () => {
    const started = process.cpuUsage();
    expect(matches(`${'*a'.repeat(100)}*b`, 'a'.repeat(65_536))).toBe(false);
    expect(process.cpuUsage(started).user).toBeLessThan(5_000_000);
  });
});

describe('KEY_ALLOWLIST', () => {
  it('separates patterns at unescaped commas', () => {
    expect(parseKeyPatterns('a,b*,c\\,d')).toEqual([parsed('a'), parsed('b*'), parsed('c\\,d')]);
  });

  it.each(['', ',', 'a,', ',a', 'a,,b', '[', '[a', '[a-', '[a-]', '[]', '[^]', '[a,b]', '[a-,]', '\\', 'a\\'])(
    'rejects %j',
    (text) => {
      expect(parseKeyPatterns(text)).toBeUndefined();
    },
  );

  it.each([' a', 'a ', 'a, b', 'a ,b', ' '])('rejects spaces around a pattern: %j', (text) => {
    expect(parseKeyPatterns(text)).toBeUndefined();
  });
});

describe('A single pattern', () => {
  it.each([
    ['a,b', 'a,b', true],
    ['a,b', 'a', false],
    ['[a,b]', ',', true],
    [' a ', ' a ', true],
    ['a,', 'a,', true],
  ])('has literal commas and spaces: %j matches %j: %s', (text, key, expected) => {
    const elements = parseKeyPattern(Buffer.from(text)) ?? [];
    expect(new KeyPattern(elements).matches(Buffer.from(key), 0, key.length)).toBe(expected);
  });

  it('has any bytes', () => {
    const elements = parseKeyPattern(Buffer.from([0xff, 0x2a])) ?? [];
    expect(new KeyPattern(elements).matches(Buffer.from([0xff, 0xfe]), 0, 2)).toBe(true);
    expect(new KeyPattern(elements).matches(Buffer.from([0xfe, 0xff]), 0, 2)).toBe(false);
  });

  it('is parsed as in a list otherwise', () => {
    fc.assert(
      fc.property(pattern, (text) => {
        expect(parseKeyPattern(Buffer.from(text))).toEqual(parsed(text));
      }),
    );
  });

  it.each(['', '[', '[a', '[]', '[^]', '\\', 'a\\'])('is rejected: %j', (text) => {
    expect(parseKeyPattern(Buffer.from(text))).toBeUndefined();
  });
});

describe('KeyPattern compared with Redis', () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await TestRedis.start();
  });
  afterAll(() => redis?.stop());

  it('matches the keys that KEYS returns', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(key, { minLength: 1, maxLength: 30 }),
        fc.array(pattern, { minLength: 1, maxLength: 10 }),
        async (keys, patterns) => {
          await redis.client.flushall();
          await redis.client.mset(keys.flatMap((each) => [each, '']));
          for (const text of patterns) {
            const found = await redis.client.keys(text);
            expect([text, found.sort()]).toEqual([text, keys.filter((each) => matches(text, each)).sort()]);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
