import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { GetRequest } from './get-request.ts';
import { MAX_INLINE_BYTES, RequestParser } from './request-parser.ts';
import {
  LIMITS,
  anyRequests,
  binary,
  bytesOf,
  cuts,
  multibulk,
  oddStream,
  read,
  request,
  split,
} from './request-streams.spec-support.ts';

describe('RequestParser', () => {
  it('parses requests of any bytes, wherever the stream is split', () => {
    fc.assert(
      fc.property(fc.array(request, { maxLength: 10 }), cuts, (requests, places) => {
        const stream = requests.map(multibulk).join('');
        expect(read(split(stream, places))).toEqual({ requests, problem: undefined });
      }),
      { numRuns: 500 },
    );
  });

  it('parses any stream, valid or not, like the reference implementation', () => {
    fc.assert(anyRequests, { numRuns: 5000 });
  });

  it('parses a stream that arrives byte by byte like one that arrives at once', () => {
    fc.assert(
      fc.property(oddStream, (stream) => {
        expect(read([...stream].map(bytesOf))).toEqual(read([bytesOf(stream)]));
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['*x\r\n', 'Protocol error: invalid multibulk length'],
    ['*1048577\r\n', 'Protocol error: invalid multibulk length'],
    ['*1\r\nx', "Protocol error: expected '$', got 'x'"],
    ['*1\r\n$x\r\n', 'Protocol error: invalid bulk length'],
    ['*1\r\n$-1\r\n', 'Protocol error: invalid bulk length'],
    ['*1\r\n$536870913\r\n', 'Protocol error: invalid bulk length'],
    ['get "x\r\n', 'Protocol error: unbalanced quotes in request'],
    ['x'.repeat(MAX_INLINE_BYTES), 'Protocol error: too big inline request'],
    ['\x16', 'Protocol error: this port does not use TLS'],
  ])('reports a protocol error for %j', (stream, problem) => {
    expect(read([bytesOf(stream)])).toEqual({ requests: [], problem });
  });

  it.each([
    ['ERR command exceeds 19 arguments', multibulk(['mget', ...'abcdefghijklmnopqrst'])],
    ['ERR argument exceeds 200 bytes', multibulk(['mget', 'a', 'x'.repeat(10_000), 'b'])],
    ['ERR request exceeds 600 bytes', multibulk(['mget', ...['a', 'b', 'c', 'd'].map((each) => each.repeat(200))])],
    ['ERR command exceeds 19 arguments', `mget ${'a '.repeat(30)}\n`],
  ])('skips a request that is too large and parses the next one: %s', (excess, stream) => {
    fc.assert(
      fc.property(cuts, (places) => {
        const chunks = split(`${stream}PING\r\n${stream}PING\r\n`, places);
        expect(read(chunks)).toEqual({
          requests: [['mget', excess], ['PING'], ['mget', excess], ['PING']],
          problem: undefined,
        });
      }),
      { numRuns: 200 },
    );
  });

  it('reports a protocol error when an unauthenticated client exceeds its limits', () => {
    const limits = { ...LIMITS, maxArguments: 10, maxBulkBytes: 100, unauthenticated: true };
    expect(read([bytesOf('*11\r\n')], limits).problem).toBe('Protocol error: unauthenticated multibulk length');
    expect(read([bytesOf('*1\r\n$101\r\n')], limits).problem).toBe('Protocol error: unauthenticated bulk length');
  });
});

describe('GetRequest', () => {
  const likely = fc.oneof(
    fc
      .record({ name: fc.constantFrom('GET', 'get', 'gEt', 'SET', 'GETX'), key: binary(30) })
      .map(({ name, key }) => multibulk([name, key])),
    oddStream,
  );

  it('matches only what the parser parses as GET, with the same key', () => {
    const get = new GetRequest();
    let matches = 0;
    fc.assert(
      fc.property(likely, fc.nat(10), fc.nat(3), (stream, before, missing) => {
        const bytes = bytesOf(`${'.'.repeat(before)}${stream}${'\r\n'.repeat(8)}`);
        const end = before + stream.length - Math.min(missing, stream.length);
        if (!get.match(bytes, before, end)) return;
        matches++;
        const parser = new RequestParser();
        expect(parser.next(bytes, before, end, LIMITS)).toBe(true);
        const [name, key] = parser.argumentsOf(bytes, before);
        expect(name.toString('latin1').toLowerCase()).toBe('get');
        expect(key).toEqual(bytes.subarray(get.from, get.to));
        expect(before + parser.length).toBe(get.to + 2);
      }),
      { numRuns: 2000 },
    );
    expect(matches).toBeGreaterThan(100);
  });

  it('matches keys of up to 99,999 bytes', () => {
    const get = new GetRequest();
    for (const length of [1, 9, 10, 99, 100, 65_536, 99_999]) {
      const bytes = bytesOf(multibulk(['GET', 'k'.repeat(length)]));
      expect([get.match(bytes, 0, bytes.length), get.to - get.from]).toEqual([true, length]);
      expect(get.match(bytes, 0, bytes.length - 1)).toBe(false);
    }
  });
});
