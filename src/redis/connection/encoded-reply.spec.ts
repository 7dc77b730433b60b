import { Buffer } from 'node:buffer';
import { describe, expect, it } from '@jest/globals';
import { Query } from '../query.ts';
import { encodeReply, isEmptyReply } from './encoded-reply.ts';

const text = (of: string): Buffer => Buffer.from(of);

describe('encodeReply', () => {
  const encode = (command: string, reply: unknown): string | undefined =>
    encodeReply(reply, Query.of(text('key'), command.split(' ').map(text)))?.toString('latin1');

  it.each([
    ['HGET f', text('\r\n\xff'), '$4\r\n\r\n\u00c3\u00bf\r\n'],
    ['HGET f', null, '$-1\r\n'],
    ['HLEN', 5, ':5\r\n'],
    ['BITPOS 1', -1, ':-1\r\n'],
    ['TYPE', text('none'), '+none\r\n'],
    ['HGETALL', [], '*0\r\n'],
    ['HMGET a b', [text(''), null], '*2\r\n$0\r\n\r\n$-1\r\n'],
    ['XRANGE - +', [[text('1-1'), [text('a')]]], '*1\r\n*2\r\n$3\r\n1-1\r\n*1\r\n$1\r\na\r\n'],
    ['XRANGE - +', [new Error('ERR a'), 1], '*2\r\n-ERR a\r\n:1\r\n'],
    ['GEOPOS a b', [[text('1'), text('2')], null], '*2\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n*-1\r\n'],
    ['ZRANK a', null, '$-1\r\n'],
    ['ZRANK a WITHSCORE', null, '*-1\r\n'],
    ['ZREVRANK a WITHSCORE', [1, text('2')], '*2\r\n:1\r\n$1\r\n2\r\n'],
  ])('encodes the reply to %s as Redis does', (command, reply, expected) => {
    expect(encode(command, reply)).toBe(expected);
  });

  it('returns undefined for replies that RESP2 does not have, and for arrays of more than 32 levels', () => {
    expect([encode('HGETALL', { a: 1 }), encode('HGETALL', [true]), encode('HGETALL', undefined)]).toEqual(
      Array(3).fill(undefined),
    );
    const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
    expect([encode('HGETALL', nested(32)), encode('HGETALL', nested(33))]).toEqual([
      `${'*1\r\n'.repeat(32)}:1\r\n`,
      undefined,
    ]);
  });
});

describe('isEmptyReply', () => {
  it.each([
    '$-1\r\n',
    '*-1\r\n',
    ':0\r\n',
    ':-1\r\n',
    '$0\r\n\r\n',
    '*0\r\n',
    '+none\r\n',
    '*3\r\n$-1\r\n:0\r\n*-1\r\n',
    '*1\r\n*2\r\n*0\r\n$0\r\n\r\n',
  ])('is true for %j', (reply) => expect(isEmptyReply(text(reply))).toBe(true));

  it.each(['$1\r\na\r\n', ':1\r\n', ':-10\r\n', '+string\r\n', '*2\r\n$-1\r\n:1\r\n', '$4\r\n:0\r\n\r\n'])(
    'is false for %j',
    (reply) => expect(isEmptyReply(text(reply))).toBe(false),
  );
});
