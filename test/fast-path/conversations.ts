import fc from 'fast-check';
import type { Conversation, Cut } from './conversation.ts';
import { headers, hugeBlock, lineEnd, plainHeaders } from './headers.ts';
import { longTarget, target } from './targets.ts';

const often = <T>(usual: T, odd: readonly T[], weight: number): fc.Arbitrary<T> =>
  fc.oneof({ weight, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...odd) });

const method = fc.oneof(
  { weight: 16, arbitrary: fc.constant('GET') },
  { weight: 5, arbitrary: fc.constant('HEAD') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...[
        'POST',
        'PUT',
        'DELETE',
        'OPTIONS',
        'TRACE',
        'CONNECT',
        'PATCH',
        'PURGE',
        'M-SEARCH',
        'QUERY',
        'PRI',
        'SOURCE',
      ],
      ...[
        'get',
        'Get',
        'GETT',
        'GE',
        'G',
        '',
        'G\0ET',
        'GET\t',
        ' GET',
        'HEADX',
        'head',
        'ANNOUNCE',
        'G\xc9T',
        'GET,HEAD',
      ],
    ),
  },
);
const VERSIONS = [
  ...[
    'HTTP/1.0',
    'HTTP/1.0',
    'HTTP/1.0',
    'HTTP/0.9',
    'HTTP/1.2',
    'HTTP/2.0',
    'HTTP/3.0',
    'HTTP/1',
    'HTTP/1.',
    'HTTP/1.1 ',
  ],
  ...[
    'http/1.1',
    'HTTP/01.1',
    'HTTP/1.10',
    'HTTP/1.1\t',
    'HTTP/1.1\0',
    'HTTP /1.1',
    'HTTP1.1',
    'RTSP/1.0',
    'ICE/1.0',
    'HTTP/',
  ],
  ...['HTTP/1,1', 'HTTP/\xb1.1', 'HTTP/9.9', '', 'X'],
];

const requestLine = fc
  .tuple(
    method,
    often(' ', ['  ', '\t', '', ' \t', '\r\n'], 80),
    target,
    often(' ', ['  ', '\t', ''], 80),
    often('HTTP/1.1', VERSIONS, 14),
    lineEnd,
  )
  .map((parts) => parts.join(''));

const head = fc.tuple(requestLine, headers, lineEnd).map((parts) => parts.join(''));
const plainHead = fc
  .tuple(fc.constantFrom('GET', 'GET', 'HEAD'), target, plainHeaders)
  .map(([verb, path, lines]) => `${verb} ${path} HTTP/1.1\r\n${lines}\r\n`);
const hugeHead = fc
  .oneof(
    fc.tuple(longTarget, plainHeaders),
    fc.tuple(
      fc.constant('/v1/keys/hit'),
      fc.tuple(plainHeaders, hugeBlock).map((lines) => lines.join('')),
    ),
  )
  .map(([path, lines]) => `GET ${path} HTTP/1.1\r\n${lines}\r\n`);

/** Requests whose end two servers might locate differently. */
const smuggled = fc
  .tuple(
    fc.constantFrom('GET', 'HEAD', 'POST'),
    fc.constantFrom(
      ...['Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', 'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n'],
      ...[
        'Content-Length: 5\r\nContent-Length: 5\r\n',
        'Content-Length: 5\r\nContent-Length: 6\r\n',
        'Content-Length: 5\r\n',
      ],
      ...[
        'Content-Length:\r\n 5\r\n',
        'Content-Length : 5\r\n',
        'Transfer-Encoding : chunked\r\n',
        'Transfer-Encoding: chunked\r\n',
      ],
      ...[
        'Transfer-Encoding: identity\r\nContent-Length: 5\r\n',
        'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n',
      ],
      ...[
        'Transfer-Encoding:\r\n chunked\r\n',
        'content-length: 0\r\n',
        'X: y\nContent-Length: 5\r\n',
        'X: y\rContent-Length: 5\r\n',
      ],
      ...[
        'Content_Length: 5\r\n',
        'Content-Length: 5\0\r\n',
        '\0Content-Length: 5\r\n',
        'Content-Length: 0\r\nContent-Length: 5\r\n',
      ],
    ),
    fc.constantFrom(
      'hello',
      '0\r\n\r\n',
      '5\r\nhello\r\n0\r\n\r\n',
      '',
      '5;a=b\r\nhello\r\n0\r\nT: v\r\n\r\n',
      '5\nhello\n0\n\n',
      'GET /',
    ),
  )
  .map(([verb, lines, body]) => [`${verb} /v1/keys/hit HTTP/1.1\r\nHost: h\r\n${lines}\r\n`, body]);

const junk = fc.oneof(
  fc.constantFrom(
    '\r\n',
    '\r\n\r\n',
    '\n',
    '\r',
    '\0',
    ' ',
    '\t',
    'x',
    'hello',
    '\r\n\r\n\r\n\r\n',
    '\x16\x03\x01\x00\xa5\x01',
    '\xff',
  ),
  fc.constantFrom(
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '*1\r\n$4\r\nPING\r\n',
    'GET',
    'GET ',
    'GET /v1/keys/hit',
    '}\r\n',
    'HTTP/1.1 200 OK\r\n\r\n',
  ),
  fc.string({ unit: 'binary-ascii', maxLength: 20 }),
);

/** A change of one byte of a request. */
const damage = fc
  .tuple(
    fc.nat(),
    fc.constantFrom('insert', 'replace', 'delete', 'double'),
    fc.constantFrom(...'\0\t\n\r :/%?#\x7f\x80\xffA0,;"'),
  )
  .map(([position, kind, byte]) => (text: string): string => {
    const at = position % (text.length + 1);
    const removed = text.slice(at, at + 1);
    const changed = { insert: byte + removed, replace: byte, delete: '', double: removed + removed }[kind] ?? removed;
    return text.slice(0, at) + changed + text.slice(at + 1);
  });

/** Bodies and bytes between requests are messages of their own, as they may arrive separately. */
const messages: fc.Arbitrary<string[]> = fc
  .array(
    fc.oneof(
      { weight: 22, arbitrary: plainHead.map((text) => [text]) },
      { weight: 22, arbitrary: head.map((text) => [text]) },
      { weight: 3, arbitrary: fc.tuple(plainHead, damage).map(([text, change]) => [change(text)]) },
      { weight: 3, arbitrary: smuggled },
      { weight: 1, arbitrary: junk.map((text) => [text]) },
    ),
    { minLength: 1, maxLength: 7 },
  )
  .map((all) => all.flat());

const pipeline = fc.array(plainHead, { minLength: 8, maxLength: 40 });

const cut: fc.Arbitrary<Cut> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Cut>({ kind: 'whole' }) },
  { weight: 4, arbitrary: fc.constant<Cut>({ kind: 'messages' }) },
  {
    weight: 4,
    arbitrary: fc
      .array(fc.nat({ max: 5000 }), { minLength: 1, maxLength: 8 })
      .map((offsets): Cut => ({ kind: 'at', offsets })),
  },
);
const fewCuts = fc.oneof(
  fc.constant<Cut>({ kind: 'whole' }),
  fc.array(fc.nat(), { minLength: 1, maxLength: 3 }).map((offsets): Cut => ({ kind: 'at', offsets })),
);
const pauseMs = fc.constantFrom(0, 0, 1, 2);

/** Conversations from usual to malformed. */
export const conversation: fc.Arbitrary<Conversation> = fc.oneof(
  { weight: 100, arbitrary: fc.record({ messages, cut, pauseMs }) },
  { weight: 5, arbitrary: fc.record({ messages: pipeline, cut, pauseMs }) },
  {
    weight: 6,
    arbitrary: fc.record({
      messages: fc.oneof(head, plainHead).map((text) => [text]),
      cut: fc.constant<Cut>({ kind: 'bytes' }),
      pauseMs: fc.constantFrom(0, 1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ messages: hugeHead.map((text) => [text]), cut: fewCuts, pauseMs }) },
);
