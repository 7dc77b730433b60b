import fc from 'fast-check';
import { etagOf, formatEtag } from '../../src/cache/etag.ts';
import { VALUES } from './targets.ts';

const ETAGS = ['hit', 'hit:empty', 'hit:10K'].map((key) => formatEtag(etagOf(VALUES.get(key) ?? Buffer.alloc(0))));
const [ETAG] = ETAGS;

/** Values that mean something to one server or another, by the header's name. */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  Connection: [
    ...['close', 'keep-alive', 'Keep-Alive', 'Close', 'CLOSE', 'close, keep-alive', 'keep-alive, close', 'close,'],
    ...['keep-alive,foo', 'foo', '', ' close ', 'closed', 'x-close', 'upgrade', 'Upgrade, close', 'te', '"close"'],
    ...[
      'close;q=1',
      'keep-alive; timeout=1',
      'host',
      'authorization',
      'if-none-match',
      'keep-alive\tclose',
      ',',
      ',close',
    ],
  ],
  'Proxy-Connection': ['close', 'keep-alive'],
  'Keep-Alive': ['timeout=1', 'max=1'],
  'Content-Length': [
    ...[
      '0',
      '5',
      '05',
      '00',
      '+5',
      '-1',
      '5, 5',
      '5,5',
      '0x5',
      '5 ',
      ' 5',
      '',
      '5a',
      '1e1',
      '18446744073709551616',
      '4\t',
    ],
    ...['99999999999999999999999', '1000', '_5'],
  ],
  'Transfer-Encoding': [
    ...['chunked', 'Chunked', 'identity', 'gzip', 'gzip, chunked', 'chunked, gzip', 'chunked, chunked', 'xchunked'],
    ...['', ' chunked', 'chunked\x0b', 'chunked;a=b', 'chunked,', '\tchunked', '"chunked"'],
  ],
  Expect: ['100-continue', '100-Continue', '200-ok', '', 'x', '100-continue, x', ' 100-continue'],
  Upgrade: ['h2c', 'websocket', '', 'HTTP/2.0', 'TLS/1.0'],
  'If-None-Match': [
    ...['*', ' * ', '* ', '"*"', '', '""', '"none"', 'none', ETAG, ...ETAGS, `W/${ETAG}`, `w/${ETAG}`, `"a", ${ETAG}`],
    ...[`${ETAG}, "a"`, `"a",${ETAG}`, `"a"${ETAG}`, `${ETAG}x`, ETAG.slice(1), ETAG.slice(0, -1), ETAG.toUpperCase()],
    ...[
      `, ${ETAG}`,
      `${ETAG} ,`,
      `\t${ETAG}\t`,
      `"a, ${ETAG}`,
      `"\xff", ${ETAG}`,
      `"a" b ${ETAG}`,
      `*, ${ETAG}`,
      '*, *',
    ],
    ...[`W/ ${ETAG}`, `"${'a'.repeat(400)}", ${ETAG}`, `${'"a", '.repeat(40)}${ETAG}`, `"\\${ETAG}`],
  ],
  'If-Match': ['*', ETAG, '"none"'],
  'If-Modified-Since': ['Thu, 01 Jan 1970 00:00:00 GMT', 'Fri, 31 Dec 9999 23:59:59 GMT', 'never'],
  'If-Unmodified-Since': ['Thu, 01 Jan 1970 00:00:00 GMT'],
  'If-Range': [ETAG],
  Range: ['bytes=0-1', 'bytes=-1', 'bytes=5-', 'lines=1-2', 'bytes=9-1'],
  Authorization: [
    ...['Bearer reader', 'bearer reader', 'BEARER  reader', 'Bearer reader ', 'Bearer other', 'Bearer wrong', 'Bearer'],
    ...[
      'Bearer ',
      'Bearer reader x',
      'Basic cmVhZGVyOg==',
      'reader',
      '',
      'Bearer\treader',
      'Bearer reader\t',
      'Bearer r\xe9',
    ],
  ],
  Accept: ['*/*', 'application/json', 'text/html;q=0', ''],
  'Accept-Encoding': ['gzip', 'identity;q=0', 'br, gzip, deflate'],
  'Cache-Control': ['no-cache', 'no-store', 'max-age=0', 'only-if-cached'],
  Pragma: ['no-cache'],
  TE: ['trailers', 'chunked'],
  Trailer: ['X-Trailer'],
  'User-Agent': ['curl/8', ''],
  Cookie: ['a=b', 'a=b; c=d'],
  'X-Forwarded-For': ['10.0.0.1'],
  'X-HTTP-Method-Override': ['DELETE'],
  'HTTP2-Settings': ['AAMAAABkAAQAoAAAAAIAAAAA'],
  'X-Something': ['', 'a', 'a b', 'a\tb', '\xe9', '"', 'a: b', ':', 'a,b', '\x80\xff', 'v'.repeat(300)],
};

const known = fc
  .constantFrom(...Object.keys(KNOWN))
  .chain((name) => fc.tuple(fc.constant(name), fc.constantFrom(...KNOWN[name])));
const frequent = fc
  .constantFrom('If-None-Match', 'Authorization', 'Connection', 'X-Something')
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

const ODD_LINES = [
  ...[
    ' Leading: space',
    '\tLeading: tab',
    ': no name',
    ':',
    'no colon',
    'Na me: x',
    'Na\tme: x',
    'Name\0: x',
    'Name(: x',
  ],
  ...[
    'N\xe4me: x',
    'Name\x7f: x',
    'Name,: x',
    'Name;: x',
    '"Name": x',
    'Name/: x',
    'Name[]: x',
    '@: x',
    '!#$%&: x',
    '\0',
    ' ',
  ],
  ...[
    "'*+-.^_`|~09azAZ: x",
    'a\rb: x',
    'a: x\ry',
    'a: x\ny',
    'a: x\n y: z',
    '\u00ef\u00bb\u00bfHost: x',
    'GET / HTTP/1.1',
  ],
  ...['__proto__: x', 'constructor: x', 'toString: x', 'hasOwnProperty: x', 'If-None-Match ', 'Content-Length', 'x'],
];
const oddLine = fc.constantFrom(...ODD_LINES).map((line) => `${line}\r\n`);

/** A header block near the limits of some server: in lines, or in bytes. */
const manyLines = fc
  .tuple(
    fc.constantFrom(10, 50, 100, 128),
    fc.constantFrom('X-N: 1\r\n', 'a:b\r\n', 'Accept: x\r\n', 'If-None-Match: "a"\r\n'),
  )
  .map(([count, line]) => line.repeat(count));
const longLine = fc
  .tuple(fc.constantFrom('X-Long', 'If-None-Match', 'L'.repeat(200)), fc.integer({ min: 1200, max: 2100 }))
  .map(([name, length]) => `${name}: ${'v'.repeat(length)}\r\n`);

/** Far beyond what is sent in earnest, and slow. */
export const hugeBlock = fc.constantFrom(
  'X-N: 1\r\n'.repeat(1990),
  'X-N: 1\r\n'.repeat(1999) + 'If-None-Match: *\r\n',
  'X-N: 1\r\n'.repeat(2000) + 'If-None-Match: *\r\n',
  'a:\r\n'.repeat(3000),
  `X-Huge: ${'v'.repeat(100_000)}\r\n`,
  `X-Huge: ${'v'.repeat(212_992)}\r\n`,
  `${'N'.repeat(70_000)}: v\r\n`,
);

const HOST_VALUES = [
  ...[
    '',
    'host:8080',
    '[::1]',
    '[::1]:8080',
    'a b',
    'a,b',
    'host:',
    ':80',
    'host:port',
    'http://host',
    'h\xf6st',
    '\0',
    '/',
  ],
  ...[
    'host/path',
    'user@host',
    'a'.repeat(300),
    '127.0.0.1',
    '*',
    '-',
    '_',
    '%41',
    'host?',
    'host#',
    '[',
    '[::1',
    'a\tb',
    '"',
  ],
];
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

/** The headers of a request, Host among them, up to and without the empty line. */
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

/** Headers that every server takes for what they are. */
export const plainHeaders = fc
  .tuple(
    plainHost,
    fc.constantFrom(
      '',
      'User-Agent: test\r\nAccept: */*\r\n',
      `If-None-Match: ${ETAG}\r\n`,
      'Connection: keep-alive\r\n',
    ),
    fc.constantFrom('', 'Authorization: Bearer reader\r\n'),
  )
  .map((lines) => lines.join(''));
