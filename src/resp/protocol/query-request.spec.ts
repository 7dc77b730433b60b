import { Buffer } from 'node:buffer';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { KEY_COMMANDS } from '../../redis-commands/key-command-table.ts';
import type { QuerySyntax } from '../../redis-commands/query-encoder.ts';
import { QueryRequest } from './query-request.ts';

const request = new QueryRequest();
const syntaxes = new Map(
  KEY_COMMANDS.flatMap((command): [string, QuerySyntax][] =>
    command.returns === 'reply' ? [[command.name, command.syntax]] : [],
  ),
);
const argument = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc
    .constantFrom(...['withscores', 'LIMIT', 'Rev', 'BYSCORE', 'frommember', 'COUNT', 'withcoord', 'bit', 'rank', '$'])
    .map((word) => Buffer.from(word)),
);
const anyName = fc.tuple(
  fc.constantFrom(...syntaxes.keys()),
  fc.func(fc.boolean()).map((isUpper) => (letter: string, i: number) => (isUpper(i) ? letter.toUpperCase() : letter)),
);

function encode(args: readonly Buffer[]): Buffer {
  const bulks = args.map((arg) => Buffer.concat([Buffer.from(`$${arg.length}\r\n`), arg, Buffer.from('\r\n')]));
  return Buffer.concat([Buffer.from(`*${args.length}\r\n`), ...bulks]);
}

describe('QueryRequest', () => {
  it('encodes the id and finds the shape that the query has', () => {
    fc.assert(
      fc.property(
        anyName,
        fc.array(argument, { minLength: 1, maxLength: 12 }),
        fc.uint8Array(),
        ([name, caseOf], args, more) => {
          const spelled = [...name].map(caseOf).join('');
          const bytes = encode([Buffer.from(spelled), ...args]);
          const stream = Buffer.concat([Buffer.from('before'), bytes, more]);
          expect(request.match(stream, 6, stream.length)).toBe(true);
          expect(request.end).toBe(6 + bytes.length);
          expect(stream.subarray(request.keyFrom, request.keyTo)).toEqual(args[0]);
          const syntax = syntaxes.get(name) as QuerySyntax;
          const { args: canonical, shape } = syntax.parse(args);
          const { id, selectorLength } = syntax.query(canonical);
          expect([request.id.bytes.subarray(0, request.id.length), request.id.selectorLength, request.shape]).toEqual([
            id,
            selectorLength,
            shape,
          ]);
        },
      ),
    );
  });

  it('does not match a request that is incomplete', () => {
    const bytes = encode([Buffer.from('ZRANGE'), ...['key', '0', '-1', 'WITHSCORES'].map((arg) => Buffer.from(arg))]);
    for (let end = 0; end < bytes.length; end++) expect(request.match(bytes, 0, end)).toBe(false);
    expect(request.match(bytes, 0, bytes.length)).toBe(true);
  });

  it('does not match other commands, nor bytes that are not a request', () => {
    for (const name of ['GET', 'TTL', 'HSET', 'MGET', 'JSON\u000eGET', 'HGETALLX', 'x'.repeat(60)]) {
      const bytes = encode([Buffer.from(name, 'latin1'), Buffer.from('key')]);
      expect(request.match(bytes, 0, bytes.length)).toBe(false);
    }
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1 }),
        fc.constantFrom('', '*', '*2\r\n', '*2\r\n$4\r\nHLEN\r\n', '*3\r\n$4\r\nHGET\r\n$1'),
        (random, start) => {
          const bytes = Buffer.concat([Buffer.from(start), random]);
          if (request.match(bytes, 0, bytes.length)) expect(request.end).toBeLessThanOrEqual(bytes.length);
        },
      ),
    );
  });
});
