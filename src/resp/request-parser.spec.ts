import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { GetRequest } from './get-request.ts';
import { KeptBytes } from './kept-bytes.ts';
import { modelRequests } from './request-model.spec-support.ts';
import { MAX_INLINE_BYTES, type RequestLimits, RequestParser } from './request-parser.ts';

const LIMITS: RequestLimits = {
  maxArguments: 20,
  maxBulkBytes: 200,
  maxRequestBytes: 600,
  unauthenticated: false,
};

interface Read {
  /** Each argument as characters, one for each byte. */
  readonly requests: readonly (readonly string[])[];
  readonly problem: string | undefined;
}

/** Reads a stream that arrives in these chunks, each of which is overwritten once it was handed over. */
function read(chunks: readonly Buffer[], limits = LIMITS): Read {
  const parser = new RequestParser();
  const kept = new KeptBytes();
  const requests: string[][] = [];
  for (const chunk of chunks) {
    kept.add(chunk, 0, chunk.length);
    chunk.fill(0xff);
    let at = 0;
    while (parser.problem === undefined && parser.next(kept.bytes, at, kept.length, limits)) {
      const found = parser.argumentsOf(kept.bytes, at);
      if (found.length > 0) requests.push(found.map((argument) => argument.toString('latin1')));
      at += parser.length;
    }
    if (parser.problem !== undefined) break;
    kept.drop(at);
  }
  return { requests, problem: parser.problem };
}

const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');

function multibulk(request: readonly string[]): string {
  return `*${request.length}\r\n${request.map((argument) => `$${argument.length}\r\n${argument}\r\n`).join('')}`;
}

/** Cuts a stream at these places. */
function split(stream: string, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (stream.length + 1)))].sort((a, b) => a - b);
  return [...places, stream.length].map((end, i) => bytesOf(stream.slice(places[i - 1] ?? 0, end)));
}

const binary = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const request = fc.array(binary(40), { minLength: 1, maxLength: 8 });
const cuts = fc.array(fc.nat(5000), { maxLength: 30 });

/** Streams that are nearly right, and often wrong. */
const oddStream = fc
  .array(
    fc.oneof(
      request.map(multibulk),
      fc.constantFrom(
        '*',
        '$',
        '\r\n',
        '\n',
        '\r',
        '3',
        '-1',
        '01',
        '0',
        '*0\r\n',
        '*-1\r\n',
        '*1\r\n',
        '$3\r\nGET\r\n',
      ),
      fc.constantFrom('get key\r\n', 'get "a\\x41\\n"\n', "get 'it\\'s'\r\n", '"', "'", ' ', '*21\r\n', '$201\r\n'),
      fc.constantFrom('$200\r\n', '*99999999999999999999\r\n', '*1x\r\n', '$-1\r\n', 'x'.repeat(300), '7'.repeat(40)),
      binary(5),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));

describe('requests', () => {
  it('are the same wherever the stream was split, whatever bytes are in them', () => {
    fc.assert(
      fc.property(fc.array(request, { maxLength: 10 }), cuts, (requests, places) => {
        const stream = requests.map(multibulk).join('');
        expect(read(split(stream, places))).toEqual({ requests, problem: undefined });
      }),
      { numRuns: 500 },
    );
  });

  it('in any stream, odd or broken, are those of a plain model, and so is the problem that ends them', () => {
    fc.assert(
      fc.property(oddStream, cuts, (stream, places) => {
        expect(read(split(stream, places))).toEqual(modelRequests(stream, LIMITS));
      }),
      { numRuns: 3000 },
    );
  });

  it('are the same when each byte comes alone', () => {
    fc.assert(
      fc.property(oddStream, (stream) => {
        expect(read([...stream].map(bytesOf))).toEqual(read([bytesOf(stream)]));
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['*x\r\n', 'Protocol error: invalid multibulk length'],
    ['*21\r\n', 'Protocol error: invalid multibulk length'],
    ['*1\r\nx', "Protocol error: expected '$', got 'x'"],
    ['*1\r\n$x\r\n', 'Protocol error: invalid bulk length'],
    ['*1\r\n$-1\r\n', 'Protocol error: invalid bulk length'],
    ['*1\r\n$201\r\n', 'Protocol error: invalid bulk length'],
    [`*4\r\n${`$200\r\n${'x'.repeat(200)}\r\n`.repeat(3)}`, 'Protocol error: too big request'],
    ['get "x\r\n', 'Protocol error: unbalanced quotes in request'],
    ['x'.repeat(MAX_INLINE_BYTES), 'Protocol error: too big inline request'],
  ])('%j are refused', (stream, problem) => {
    const limits = { ...LIMITS, maxRequestBytes: 600 };
    expect(read([bytesOf(`${stream}${problem.includes('too big request') ? '$200\r\n' : ''}`)], limits)).toEqual({
      requests: [],
      problem,
    });
  });

  it('of those who must still authenticate are called so when they are too big', () => {
    const limits = { ...LIMITS, maxArguments: 10, maxBulkBytes: 100, unauthenticated: true };
    expect(read([bytesOf('*11\r\n')], limits).problem).toBe('Protocol error: unauthenticated multibulk length');
    expect(read([bytesOf('*1\r\n$101\r\n')], limits).problem).toBe('Protocol error: unauthenticated bulk length');
  });
});

describe('GET, where it is recognised at a glance', () => {
  const likely = fc.oneof(
    fc
      .record({ name: fc.constantFrom('GET', 'get', 'gEt', 'SET', 'GETX'), key: binary(30) })
      .map(({ name, key }) => multibulk([name, key])),
    oddStream,
  );

  it('is what the parser finds there', () => {
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

  it('has keys of up to 99,999 bytes', () => {
    const get = new GetRequest();
    for (const length of [1, 9, 10, 99, 100, 65_536, 99_999]) {
      const bytes = bytesOf(multibulk(['GET', 'k'.repeat(length)]));
      expect([get.match(bytes, 0, bytes.length), get.to - get.from]).toEqual([true, length]);
      expect(get.match(bytes, 0, bytes.length - 1)).toBe(false);
    }
  });
});
