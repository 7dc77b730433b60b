import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readEnvFile } from './env-file.ts';

let directory: string;
let path: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'env-file-'));
  path = join(directory, '.env');
});
afterAll(() => rmSync(directory, { recursive: true }));

function read(content: string | Uint8Array) {
  writeFileSync(path, content);
  return readEnvFile(path);
}

function valuesOf(content: string | Uint8Array): Record<string, string> {
  const { variables, problems } = read(content);
  expect(problems).toEqual([]);
  return Object.fromEntries(variables.map(({ name, value }) => [name, value]));
}

/** Without the file's path, which they all start with. */
function problemsOf(content: string | Uint8Array): string[] {
  return read(content).problems.map(({ text }) => {
    expect(text.startsWith(path)).toBe(true);
    return text.slice(path.length);
  });
}

function utf16(text: string, littleEndian: boolean): Buffer {
  const bytes = Buffer.from(text, 'utf16le');
  return littleEndian ? bytes : bytes.swap16();
}

describe('a .env file', () => {
  it('gives its first variable when it begins with a byte-order mark', () => {
    expect(valuesOf('\uFEFFACCESS_TOKEN=reader\nA=b')).toEqual({ ACCESS_TOKEN: 'reader', A: 'b' });
  });

  it.each([
    ['A=b', 'b'],
    ['export A=b', 'b'],
    ['  export  A = b  ', 'b'],
    ['A=b # comment', 'b'],
    ['A="b#c" # comment', 'b#c'],
    ["A='b # c'", 'b # c'],
    ['A=`it\'s "b"`', 'it\'s "b"'],
    ['A="b\\nc"', 'b\nc'],
    ["A='b\nc'", 'b\nc'],
    ['A=b"c', 'b"c'],
    ['A=b=c', 'b=c'],
    ['A=$B', '$B'],
    ['A=', ''],
    ['A= # comment', ''],
    ['A=""', ''],
  ])('gives the value of %j', (statement, value) => {
    expect(valuesOf(`\n# comment\n${statement}\nLAST=1`)).toEqual({ A: value, LAST: '1' });
  });

  it.each(['\n', '\r\n', '\r'])('gives the same whether its lines end with %j', (end) => {
    const { variables } = read(['A=b', '# c', '', 'D="e"', "F='g", "h'", 'I=j', ''].join(end));
    expect(variables).toEqual([
      { name: 'A', value: 'b', line: 1 },
      { name: 'D', value: 'e', line: 4 },
      { name: 'F', value: 'g\nh', line: 5 },
      { name: 'I', value: 'j', line: 7 },
    ]);
  });

  it.each([
    ['UTF-16 with its mark', Buffer.concat([Buffer.from([0xff, 0xfe]), utf16('A=b\n', true)]), 1],
    ['UTF-16, the other byte first, with its mark', Buffer.concat([Buffer.from([0xfe, 0xff]), utf16('A=b', false)]), 1],
    ['UTF-16 without a mark', utf16('A=b', true), 1],
  ])('is refused whole in %s', (_what, bytes, line) => {
    expect(problemsOf(bytes)).toEqual([`, line ${line}: is UTF-16, or not text; expected UTF-8`]);
    expect(read(bytes).variables).toEqual([]);
  });

  it('is refused whole in another encoding, with the line where that shows', () => {
    expect(problemsOf(Buffer.from('A=b\n\nPASSWORD=caf\xe9\nC=d\n', 'latin1'))).toEqual([
      ', line 3: is not UTF-8; expected UTF-8',
    ]);
  });

  const STATEMENTS = 'expected NAME=value, a comment that starts with #, or an empty line';
  const COMMENT =
    'the value contains #, which starts a comment; expected quotes around the value, or a space before the comment';
  it.each([
    ['A: hunter2', `A is not followed by "="; ${STATEMENTS}`],
    ['A hunter2', `A is not followed by "="; ${STATEMENTS}`],
    ['export A', `A is not followed by "="; ${STATEMENTS}`],
    ['"A"="hunter2"', `the line is not followed by "="; ${STATEMENTS}`],
    ['- A=hunter2', `the line is not followed by "="; ${STATEMENTS}`],
    ['A="hunter2', 'A: the value begins with " and does not end with it; expected a closing quote'],
    [
      "A='hunter'2'",
      "A: text follows the closing '; expected the end of the line or a comment (use another kind of quotes outside)",
    ],
    [
      'A="hunter\\"2"',
      'A: text follows the closing "; expected the end of the line or a comment (use another kind of quotes outside)',
    ],
    ['A=hunter#2', `A: ${COMMENT}`],
    ['A=#hunter2', `A: ${COMMENT}`],
  ])('has a problem with %j, and tells line and name, not the value', (statement, problem) => {
    expect(problemsOf(`FIRST=1\n${statement}\nLAST=1`)).toEqual([`, line 2: ${problem}`]);
    expect(read(`FIRST=1\n${statement}\nLAST=1`).variables.map(({ name }) => name)).toEqual(['FIRST', 'LAST']);
  });

  it('yields no variables if it does not exist, and a problem if it cannot be read', () => {
    expect(readEnvFile(join(directory, 'none'))).toEqual({ variables: [], problems: [] });
    expect(readEnvFile(directory).problems.map(({ text }) => text)).toEqual([`${directory}: cannot be read (EISDIR)`]);
  });

  it('gives every variable, in its order and on its line, however it is written', () => {
    const value = fc.string({ unit: fc.constantFrom(...'ab=:\\$é- '.split('')), maxLength: 8 });
    const quoted = fc.string({ unit: fc.constantFrom(...'ab=#\n é'.split('')), maxLength: 8 });
    const written = fc.oneof(
      value.map((text) => ({ text, value: text.trim() })),
      fc.tuple(quoted, fc.constantFrom("'", '"', '`')).map(([text, quote]) => ({
        text: `${quote}${text}${quote}`,
        value: text,
      })),
    );
    const statement = fc.record({
      name: fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,5}$/),
      before: fc.constantFrom('', '\n', '# A=b\n', '  ', 'export ', '\t'),
      equals: fc.constantFrom('=', ' = ', '= ', ' ='),
      written,
      after: fc.constantFrom('', ' ', ' # comment = "', '\t#'),
    });
    fc.assert(
      fc.property(fc.array(statement, { maxLength: 6 }), fc.constantFrom('\n', '\r\n'), (statements, end) => {
        const expected: { name: string; value: string; line: number }[] = [];
        let text = '';
        for (const { name, before, equals, written: content, after } of statements) {
          text += before;
          expected.push({ name, value: content.value, line: text.split('\n').length });
          text += `${name}${equals}${content.text}${after}\n`;
        }
        expect(read(text.replaceAll('\n', end))).toEqual({ variables: expected, problems: [] });
      }),
      { numRuns: 1000 },
    );
  });
});
