import { Buffer } from 'node:buffer';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { ReplyShape } from './reply-shape.ts';
import { Resp3Conversion } from './resp3-conversion.ts';

function convert(reply: string | Buffer, shape: ReplyShape): string {
  const parts: string[] = [];
  const conversion = new Resp3Conversion({
    null: () => parts.push('_\r\n'),
    array: (length) => parts.push(`*${length}\r\n`),
    set: (length) => parts.push(`~${length}\r\n`),
    map: (pairs) => parts.push(`%${pairs}\r\n`),
    raw: (bytes, from, to) => parts.push(bytes.toString('latin1', from, to)),
  });
  const bytes = Buffer.from(reply as string);
  // Bytes of an earlier reply may follow in the same memory.
  conversion.write(Buffer.concat([bytes, Buffer.from('$-1\r\n')]), bytes.length, shape);
  return parts.join('');
}

describe('Resp3Conversion', () => {
  it.each<[ReplyShape, string, string]>([
    ['same', '$-1\r\n', '_\r\n'],
    ['same', '*-1\r\n', '_\r\n'],
    ['same', ':-1\r\n', ':-1\r\n'],
    ['same', '+none\r\n', '+none\r\n'],
    ['same', '*2\r\n$-1\r\n$4\r\n$-1\r\r\n', '*2\r\n_\r\n$4\r\n$-1\r\r\n'],
    ['same', '*1\r\n*2\r\n$3\r\n1-1\r\n*-1\r\n', '*1\r\n*2\r\n$3\r\n1-1\r\n_\r\n'],
    ['map', '*4\r\n$1\r\na\r\n$1\r\nb\r\n$0\r\n\r\n$0\r\n\r\n', '%2\r\n$1\r\na\r\n$1\r\nb\r\n$0\r\n\r\n$0\r\n\r\n'],
    ['map', '*0\r\n', '%0\r\n'],
    ['set', '*0\r\n', '~0\r\n'],
    ['set', '*1\r\n$1\r\na\r\n', '~1\r\n$1\r\na\r\n'],
    ['scored', '*0\r\n', '*0\r\n'],
    [
      'scored',
      '*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$3\r\ninf\r\n',
      '*2\r\n*2\r\n$1\r\na\r\n,1\r\n*2\r\n$1\r\nb\r\n,inf\r\n',
    ],
    ['double', '$3\r\n1.5\r\n', ',1.5\r\n'],
    ['double', '$-1\r\n', '_\r\n'],
    ['doubles', '*3\r\n$3\r\n1.5\r\n$-1\r\n:2\r\n', '*3\r\n,1.5\r\n_\r\n:2\r\n'],
    ['doubles', '*2\r\n:3\r\n$4\r\n-inf\r\n', '*2\r\n:3\r\n,-inf\r\n'],
    ['positions', '*2\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n*-1\r\n', '*2\r\n*2\r\n,1\r\n,2\r\n_\r\n'],
    [
      'located',
      '*1\r\n*3\r\n$1\r\nm\r\n$1\r\n9\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n',
      '*1\r\n*3\r\n$1\r\nm\r\n$1\r\n9\r\n*2\r\n,1\r\n,2\r\n',
    ],
    ['wrapped', '$6\r\nobject\r\n', '*1\r\n$6\r\nobject\r\n'],
    ['wrapped', '*1\r\n$6\r\nobject\r\n', '*1\r\n*1\r\n$6\r\nobject\r\n'],
    ['wrapped', '$-1\r\n', '*1\r\n_\r\n'],
  ])('converts a reply of shape %s', (shape, resp2, resp3) => {
    expect(convert(resp2, shape)).toBe(resp3);
  });

  it('leaves the data of a reply as it is', () => {
    const data = fc.uint8Array().map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.array(fc.oneof(data, fc.constant(Buffer.from('$-1\r\n')))), (members) => {
        const bulks = members.map((member) => Buffer.concat([Buffer.from(`$${member.length}\r\n`), member, CRLF]));
        const reply = Buffer.concat([Buffer.from(`*${members.length}\r\n`), ...bulks]);
        expect(convert(reply, 'same')).toBe(reply.toString('latin1'));
        expect(convert(reply, 'set')).toBe(reply.toString('latin1').replace('*', '~'));
      }),
    );
  });
});

const CRLF = Buffer.from('\r\n');
