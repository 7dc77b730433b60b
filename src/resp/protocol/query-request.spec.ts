import { Buffer } from 'node:buffer';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { KEY_COMMANDS } from '../../redis-commands/key-command-table.ts';
import type { QuerySyntax } from '../../redis-commands/query-encoder.ts';
import { GetRequest } from './get-request.ts';
import { QueryRequest } from './query-request.ts';
import { RequestParser } from './request-parser.ts';

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

const LIMITS = { maxArguments: 1101, maxBulkBytes: 131_072, maxRequestBytes: 262_144, unauthenticated: false };
/** Counts and lengths as few clients write them. */
const anyCount = (count: number): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 20, arbitrary: fc.constant(String(count)) },
    fc.constantFrom(`0${count}`, `+${count}`, `${count}.`, ` ${count}`, `-${count}`, '', ':', '1:', '1/', '-1', '0'),
    fc.constantFrom(String(count + 1), String(count - 1), `00000${count}`, '99999', '131073', '9'.repeat(20)),
  );
const anyLineEnd = fc.oneof(
  { weight: 30, arbitrary: fc.constant('\r\n') },
  fc.constantFrom('\n', '\r', '\r\r', '\n\r', '', 'xy', '\r\n\r\n'),
);
const anyBulk = (data: Buffer): fc.Arbitrary<Buffer> =>
  fc
    .tuple(fc.constantFrom(...'$'.repeat(30), '*', ':'), anyCount(data.length), anyLineEnd, anyLineEnd)
    .map(([type, length, end, dataEnd]) =>
      Buffer.concat([Buffer.from(`${type}${length}${end}`), data, Buffer.from(dataEnd)]),
    );
/** A request that is a query, possibly encoded in a way that is wrong or uncommon. */
const anyEncoding = fc
  .tuple(fc.oneof(anyName, fc.constant(['get', (letter: string) => letter] as const)), fc.array(argument))
  .chain(([[name, caseOf], args]) => {
    const parts = [Buffer.from([...name].map(caseOf).join('')), ...args];
    return fc
      .tuple(anyCount(parts.length), anyLineEnd, fc.tuple(...parts.map((part) => anyBulk(part))))
      .map(([count, end, bulks]) => Buffer.concat([Buffer.from(`*${count}${end}`), ...bulks]));
  });

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

  it('reads a request as the parser of all commands does, however it is encoded', () => {
    const get = new GetRequest();
    let matches = 0;
    fc.assert(
      fc.property(anyEncoding, fc.uint8Array({ maxLength: 4 }), (bytes, more) => {
        const stream = Buffer.concat([bytes, more]);
        const parser = new RequestParser();
        const isComplete = parser.next(stream, 0, stream.length, LIMITS);
        const args = isComplete ? parser.argumentsOf(stream, 0) : [];
        if (get.match(stream, 0, stream.length)) {
          expect([isComplete, parser.length, args.length]).toEqual([true, get.to + 2, 2]);
          expect(args[1]).toEqual(stream.subarray(get.from, get.to));
        }
        if (!request.match(stream, 0, stream.length)) return;
        matches++;
        expect([isComplete, parser.length]).toEqual([true, request.end]);
        const syntax = syntaxes.get(args[0].toString('latin1').toLowerCase()) as QuerySyntax;
        const { args: canonical, shape } = syntax.parse(args.slice(1));
        expect(request.id.bytes.subarray(0, request.id.length)).toEqual(syntax.query(canonical).id);
        expect(request.shape).toBe(shape);
      }),
      { numRuns: 2000 },
    );
    expect(matches).toBeGreaterThan(100);
  });

  it.each(['*02\r\n$4\r\nHLEN\r\n$3\r\nkey\r\n', '*2\r\n$04\r\nHLEN\r\n$3\r\nkey\r\n'])(
    'does not match a count that Redis rejects: %j',
    (text) => {
      const bytes = Buffer.from(text);
      expect(request.match(bytes, 0, bytes.length)).toBe(false);
    },
  );

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
