import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseCommand, parsePipeline } from './rest-request.ts';

/** Any JSON number (RFC 8259, section 6). */
const written = fc
  .tuple(
    fc.constantFrom('', '-'),
    fc.oneof(
      fc.constant('0'),
      fc.bigInt({ min: 1n, max: 10n ** 40n }).map(String),
      fc.bigInt({ min: 2n ** 53n - 3n, max: 2n ** 53n + 3n }).map(String),
    ),
    fc.oneof(fc.constant(''), fc.stringMatching(/^\.\d{1,20}$/), fc.constantFrom('.0', '.10', '.5')),
    fc.oneof(fc.constant(''), fc.stringMatching(/^[eE][+-]?\d{1,3}$/)),
  )
  .map((parts) => parts.join(''));

function textsOf(command: ReturnType<typeof parseCommand>): unknown {
  return Array.isArray(command) ? command.map(String) : command;
}

describe('numbers in commands', () => {
  it.each([
    '9007199254740993',
    '-9007199254740993',
    '1e21',
    '1E5',
    '1.0',
    '0.10',
    '-0',
    '0',
    '1e400',
    '12345678901234567890',
  ])('%s keeps its source text', (number) => {
    expect(textsOf(parseCommand(Buffer.from(`["GET", ${number}]`)))).toEqual(['GET', number]);
  });

  it('keep their source text, alone and in a pipeline, next to strings and booleans', () => {
    fc.assert(
      fc.property(written, fc.string({ unit: 'grapheme' }), fc.boolean(), (number, text, flag) => {
        const json = ` [ "GET" , ${number},${JSON.stringify(text)},${flag}]`;
        const expected = ['GET', number, text, String(flag)];
        expect(textsOf(parseCommand(Buffer.from(json)))).toEqual(expected);
        const pipeline = parsePipeline(Buffer.from(`[["PING"],${json}]`)) as Buffer[][];
        expect(pipeline.map((command) => command.map(String))).toEqual([['PING'], expected]);
      }),
    );
  });

  it.each(['NaN', 'Infinity', '01', '1.', '.5', '+1', '0x10', '1_000'])('%s is invalid in JSON', (text) => {
    expect(parseCommand(Buffer.from(`["GET",${text}]`))).toMatchObject({ tooMuch: false });
  });
});
