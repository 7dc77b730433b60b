import fc from 'fast-check';
import { ETAG, HOST_VALUES, KNOWN, ODD_LINES } from './header-values.ts';

const known = fc
  .constantFrom(...Object.keys(KNOWN))
  .chain((name) => fc.tuple(fc.constant(name), fc.constantFrom(...KNOWN[name])));
const frequent = fc
  .constantFrom(
    ...['If-None-Match', 'Authorization', 'Connection', 'X-Something', 'Cache-Control', 'Pragma', 'Range', 'If-Range'],
  )
  .chain((name) => fc.tuple(fc.constant(name), fc.constantFrom(...KNOWN[name])));

const nameCase = fc.oneof(
  { weight: 6, arbitrary: fc.constant((name: string) => name) },
  { weight: 3, arbitrary: fc.constant((name: string) => name.toLowerCase()) },
  { weight: 1, arbitrary: fc.constant((name: string) => name.toUpperCase()) },
);
const afterName = fc.oneof(
  { weight: 12, arbitrary: fc.constant(': ') },
  { weight: 2, arbitrary: fc.constantFrom(':', ':  ', ':\t', ': \t') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(' : ', '\t: ', '', ' ', '::', ': \0', ':\x0b', ' :', ':\r\n ', ':\r\n\t', ':\n '),
  },
);
const afterValue = fc.oneof(
  { weight: 30, arbitrary: fc.constant('') },
  { weight: 2, arbitrary: fc.constantFrom(' ', '\t', '  \t') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '\0',
      '\x01',
      '\x7f',
      '\r',
      '\n',
      '\r\n folded',
      '\r\n\tfolded',
      '\r\n ',
      '\x0b',
      '\x1f',
    ),
  },
);
export const lineEnd = fc.oneof(
  { weight: 60, arbitrary: fc.constant('\r\n') },
  { weight: 1, arbitrary: fc.constantFrom('\n', '\r', '\r\r\n', '\n\r', '', ' \r\n', '\r\n\r\n') },
);

const field = fc
  .tuple(fc.oneof(frequent, known), nameCase, afterName, afterValue, lineEnd)
  .map(([[name, value], spelled, colon, end, newline]) => `${spelled(name)}${colon}${value}${end}${newline}`);

const oddLine = fc.constantFrom(...ODD_LINES).map((line) => `${line}\r\n`);

/** A header block near a limit of some server, in lines or in bytes. */
const manyLines = fc
  .tuple(
    fc.constantFrom(10, 50, 100, 128),
    fc.constantFrom('X-N: 1\r\n', 'a:b\r\n', 'Accept: x\r\n', 'If-None-Match: "a"\r\n'),
  )
  .map(([count, line]) => line.repeat(count));
const longLine = fc
  .tuple(fc.constantFrom('X-Long', 'If-None-Match', 'L'.repeat(200)), fc.integer({ min: 1200, max: 2100 }))
  .map(([name, length]) => `${name}: ${'v'.repeat(length)}\r\n`);

/** Far beyond realistic requests, and slow. */
export const hugeBlock = fc.constantFrom(
  'X-N: 1\r\n'.repeat(1990),
  'X-N: 1\r\n'.repeat(1999) + 'If-None-Match: *\r\n',
  'X-N: 1\r\n'.repeat(2000) + 'If-None-Match: *\r\n',
  'a:\r\n'.repeat(3000),
  `X-Huge: ${'v'.repeat(100_000)}\r\n`,
  `X-Huge: ${'v'.repeat(212_992)}\r\n`,
  `${'N'.repeat(70_000)}: v\r\n`,
);

const plainHost = fc.constantFrom('Host: host\r\n', 'host: localhost:8080\r\n', 'Host: 127.0.0.1\r\n', 'HOST: h\r\n');
const host = fc.oneof(
  { weight: 30, arbitrary: plainHost },
  { weight: 2, arbitrary: fc.constantFrom(...HOST_VALUES).map((value) => `Host: ${value}\r\n`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...[
        '',
        'Host: a\r\nHost: b\r\n',
        'Host: a\r\nHost: a\r\n',
        'Host : a\r\n',
        'Host:a\r\n',
        'Host:\r\n',
        'Host\r\n',
      ],
      ...['Host: a\r\n b\r\n', ' Host: a\r\n', 'Host: a\n', 'Host:\r\n a\r\n', 'X-Host: a\r\n', 'Host: a \t\r\n'],
    ),
  },
);

/** The headers of a request, including Host, without the empty line. */
export const headers = fc
  .tuple(
    host,
    fc.oneof(
      { weight: 8, arbitrary: fc.constant<string[]>([]) },
      { weight: 20, arbitrary: fc.array(field, { maxLength: 4 }) },
      {
        weight: 4,
        arbitrary: fc.array(fc.oneof({ weight: 3, arbitrary: field }, oddLine), { minLength: 1, maxLength: 4 }),
      },
      { weight: 1, arbitrary: fc.tuple(fc.oneof(manyLines, longLine), field) },
    ),
    fc.nat({ max: 4 }),
  )
  .map(([hostLine, lines, at]) => [...lines.slice(0, at), hostLine, ...lines.slice(at)].join(''));

/** Headers that every server interprets in the same way. */
export const plainHeaders = fc
  .tuple(
    plainHost,
    fc.constantFrom(
      '',
      'User-Agent: test\r\nAccept: */*\r\n',
      `If-None-Match: ${ETAG}\r\n`,
      'Connection: keep-alive\r\n',
      'Cache-Control: no-cache\r\nPragma: no-cache\r\n',
      `Cache-Control: max-age=0\r\nIf-None-Match: ${ETAG}\r\n`,
      'Cache-Control: only-if-cached\r\n',
      'Range: bytes=1-2\r\n',
      `Range: bytes=2-\r\nIf-Range: ${ETAG}\r\n`,
    ),
    fc.constantFrom('', 'Authorization: Bearer reader\r\n'),
  )
  .map((lines) => lines.join(''));
