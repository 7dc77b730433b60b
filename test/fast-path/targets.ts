import fc from 'fast-check';
import { NUMBER } from './conversation.ts';

/** The key of the final request of a conversation, which is used nowhere else. */
export const LAST_KEY = 'hit:last';
export const LAST_VALUE = 'the last value';

/** The keys in Redis; those that start with `hit` are cached from the start. */
export const VALUES: ReadonlyMap<string, Buffer> = new Map([
  ['hit', Buffer.from('a value')],
  [LAST_KEY, Buffer.from(LAST_VALUE)],
  ['hit/a b', Buffer.from('a value with a slash and a space in its key')],
  ['hit:caf\u00c3\u00a9', Buffer.from('a value with UTF-8 in its key')],
  ['hit:\u00ff\u0000\u0080', Buffer.from([0, 1, 2, 0xff, 0x0d, 0x0a, 0x0d, 0x0a])],
  ['hit:empty', Buffer.alloc(0)],
  ['hit:10K', Buffer.alloc(10_240, 'x')],
  ['hit:16K', Buffer.alloc(16_384, 'y')],
  ['hit:16K+1', Buffer.alloc(16_385, 'z')],
  ['hit:100K', Buffer.alloc(102_400, 'w')],
  [`hit:${'l'.repeat(1000)}`, Buffer.from('a value with a long key')],
]);

/** The longest key, and one that is too long. */
const EDGE_KEYS = [65_536, 65_537].map((length) => 'k'.repeat(length));

const existingKey = fc.constantFrom(...[...VALUES.keys()].filter((key) => key !== LAST_KEY));
const key = fc.oneof(
  { weight: 10, arbitrary: fc.constant('hit') },
  { weight: 14, arbitrary: existingKey },
  { weight: 6, arbitrary: fc.constantFrom('cold:', 'gone:', 'list:', 'other:').map((kind) => kind + NUMBER) },
);

const encode = (byte: string, upper: boolean): string => {
  const hex = byte.charCodeAt(0).toString(16).padStart(2, '0');
  return `%${upper ? hex.toUpperCase() : hex}`;
};
const mustBeEncoded = (byte: string): boolean => !/[!-~]/.test(byte) || '%?#'.includes(byte);

/** Percent-encodes a key for a path: the bytes that require it, and those in `also`. */
export function percentEncoded(text: string, also: readonly boolean[] = [], upper = false): string {
  const bytes = [...text];
  return bytes.map((byte, i) => (mustBeEncoded(byte) || also[i] ? encode(byte, upper) : byte)).join('');
}

const encodedKey = fc
  // Not the placeholder of a number, which is replaced later.
  .tuple(key, fc.array(fc.boolean(), { maxLength: 'gone:'.length }), fc.boolean())
  .map(([text, also, upper]) => percentEncoded(text, also, upper));

const ODD_ENDS = [
  ...['?', '?query', '?a=b&c=%zz', '??', '#', '#fragment', '#?', '?#', '%', '%4', '%zz', '%00', '%0d%0a', '%2F', '%25'],
  ...['/', '//', '/..', '/../hit', ' ', ' x', '\t', '\0', '\x01', '\x7f', '\x80', '\xff', '\u00c3\u00a9', '\r', '\n'],
  ...['"', '<>', '\\', '^', '`', '{|}', ';a=b', '+', '&', '*', '@', ':', '[]', '\x0b', '\x0c', '\x1f'],
];

const keyTarget = fc
  .tuple(
    fc.oneof(
      { weight: 30, arbitrary: fc.constant('/v1/keys/') },
      { weight: 1, arbitrary: fc.constantFrom('http://host/v1/keys/', 'http://host:80/v1/keys/', '//host/v1/keys/') },
    ),
    encodedKey,
    fc.oneof({ weight: 8, arbitrary: fc.constant('') }, { weight: 1, arbitrary: fc.constantFrom(...ODD_ENDS) }),
  )
  .map((parts) => parts.join(''));

const otherTarget = fc.constantFrom(
  ...['/', '*', '', '/v1', '/v1/', '/v1/keys', '/v1/keys/', '/v1/keys/?', '/v1/keys/%', '/v1/keys//', '/v1/keys?a'],
  ...['/v1//keys/hit', '//v1/keys/hit', '/./v1/keys/hit', '/v1/x/../keys/hit', '/v1/Keys/hit', '/V1/keys/hit'],
  ...['/v1/keyshit', 'v1/keys/hit', 'hit', '/v1/keys%2Fhit', '/%761/keys/hit', '/v1/keys\\hit', '/v1/keys/hit/'],
  ...['http://host', 'http://', 'http:///v1/keys/hit', 'http:/v1/keys/hit', 'https://host/v1/keys/hit'],
  ...['HTTP://host/v1/keys/hit', 'ftp://host/v1/keys/hit', 'http://u:p@host/v1/keys/hit', 'http://[::1]/v1/keys/hit'],
  ...[
    'host:443',
    'host',
    '?',
    '#',
    '/v1/cache',
    '/v1/cache/hit',
    '/health/live',
    '/health/live?x',
    '/nowhere',
    '/docs/',
  ],
);

export const target = fc.oneof(
  { weight: 40, arbitrary: keyTarget },
  { weight: 4, arbitrary: otherTarget },
  {
    weight: 1,
    arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 12 }).map((text) => `/v1/keys/${NUMBER}${text}`),
  },
);

/** Too long to be used often. */
export const longTarget = fc.constantFrom(...EDGE_KEYS).map((each) => `/v1/keys/${each}`);
