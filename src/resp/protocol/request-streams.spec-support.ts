import assert from 'node:assert/strict';
import fc from 'fast-check';
import { InputBuffer } from '../../net/pipeline/input-buffer.ts';
import { modelRequests } from './request-model.spec-support.ts';
import { MAX_INLINE_BYTES, type RequestLimits, RequestParser } from './request-parser.ts';

export const LIMITS: RequestLimits = {
  maxArguments: 20,
  maxBulkBytes: 200,
  maxRequestBytes: 600,
  unauthenticated: false,
};

interface Read {
  /** Arguments of each request, one character per byte. */
  readonly requests: readonly (readonly string[])[];
  readonly problem: string | undefined;
}

/** Parses a stream that arrives in these chunks; each chunk is overwritten after it has been buffered. */
export function read(chunks: readonly Buffer[], limits = LIMITS): Read {
  const parser = new RequestParser();
  const input = new InputBuffer();
  const requests: string[][] = [];
  for (const chunk of chunks) {
    input.add(chunk, 0, chunk.length);
    chunk.fill(0xff);
    let at = 0;
    while (parser.problem === undefined && parser.next(input.bytes, at, input.length, limits)) {
      const found = parser.argumentsOf(input.bytes, at);
      const excess = parser.excess === undefined ? [] : [parser.excess];
      if (found.length > 0) requests.push([...found.map((argument) => argument.toString('latin1')), ...excess]);
      at += parser.length;
    }
    if (parser.problem !== undefined) break;
    input.drop(at + parser.release());
    // At most one incomplete request stays buffered.
    assert.ok(input.length <= Math.max(limits.maxRequestBytes + 2, MAX_INLINE_BYTES));
  }
  return { requests, problem: parser.problem };
}

export const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');

export function multibulk(request: readonly string[]): string {
  return `*${request.length}\r\n${request.map((argument) => `$${argument.length}\r\n${argument}\r\n`).join('')}`;
}

/** Splits a stream at these offsets, modulo its length. */
export function split(stream: string, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (stream.length + 1)))].sort((a, b) => a - b);
  return [...places, stream.length].map((end, i) => bytesOf(stream.slice(places[i - 1] ?? 0, end)));
}

export const binary = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString('latin1'));
export const request = fc.array(binary(40), { minLength: 1, maxLength: 8 });
export const cuts = fc.array(fc.nat(5000), { maxLength: 30 });

/** Streams of valid and nearly valid parts. */
export const oddStream = fc
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

/** Random bytes, mostly those with a meaning in the protocol. */
const anyStream = fc
  .array(fc.oneof(fc.constantFrom(...'*$\r\n0123456789-"\'\\x \t\v\0a'), binary(2)), { maxLength: 60 })
  .map((parts) => parts.join(''));
const longStream = fc.constantFrom('x', '"', "'", ' ', 'k ', '*1\r\n').map((part) => part.repeat(MAX_INLINE_BYTES));

const stream = fc.oneof(
  { weight: 500, arbitrary: oddStream },
  { weight: 500, arbitrary: anyStream },
  { weight: 1, arbitrary: longStream },
);

/** The parser and the reference implementation agree on any stream, wherever it is split. */
export const anyRequests = fc.property(stream, cuts, (text, places) => {
  assert.deepEqual(read(split(text, places)), modelRequests(text, LIMITS));
});
