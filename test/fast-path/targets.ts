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

/** The keys of other types in Redis, which are cached from the start, too. */
export const TYPED_KEYS = {
  hash: 'hit:hash',
  binaryHash: 'hit:binary hash',
  longHash: 'hit:long/hash',
  list: 'hit:list',
  set: 'hit:set',
  sortedSet: 'hit:sorted set',
} as const;

/** Paths that read them, each of which is a hit from the start. */
export const TYPED_PATHS: readonly string[] = [
  '/v1/hashes/hit:hash',
  '/v1/hashes/hit:hash/field',
  '/v1/hashes/hit:hash/',
  '/v1/hashes/hit:binary%20hash',
  '/v1/hashes/hit:long%2Fhash',
  '/v1/lists/hit:list',
  '/v1/lists/hit:list?start=1',
  '/v1/sets/hit:set',
  '/v1/sets/hit:set/member',
  '/v1/sorted-sets/hit:sorted%20set?withScores=true',
  '/v1/sorted-sets/hit:sorted%20set?by=score&start=(1&order=desc',
];

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

const typedKey = fc
  .tuple(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom<string>(...Object.values(TYPED_KEYS)) },
      { weight: 2, arbitrary: key },
    ),
    fc.array(fc.boolean(), { maxLength: 'gone:'.length }),
  )
  .map(([text, also]) => percentEncoded(text, also));
const PARTS = [
  ...[
    '/',
    '/field',
    '/%66ield',
    '/zipped',
    '/member',
    '/a/b',
    '/a%2Fb',
    '/%ff',
    '/\xff',
    '/%zz',
    '/%',
    '/nothing',
    '//',
    '/..',
  ],
  ...[126, 127, 128, 129, 300].map((length) => `/${'p'.repeat(length)}`),
];
const QUERIES = [
  ...[
    '?start=0',
    '?start=0&stop=-1',
    '?stop=0',
    '?stop=%2D1',
    '?s%74art=1',
    '?start=x',
    '?start=',
    '?start',
    '?start=1+1',
  ],
  ...['?start=1&start=2', '?', '??', '?&', '?start=0&', '?start=1#a', '?start=\xe9', '?start=%zz', '?start=%', '?a=b'],
  ...['?order=desc', '?order=DESC', '?by=score', '?by=score&start=(1', '?by=score&stop=+inf', '?by=score&stop=%2Binf'],
  ...['?withScores=true', '?withScores=false', '?withScores=1', '?withScores=true&order=desc&by=score&start=2&stop=1'],
  ...['?path=$', '?path=$.a', '?path=.a', `?start=${'1'.repeat(300)}`],
];
const resourceTarget = fc
  .tuple(
    fc.oneof(
      {
        weight: 30,
        arbitrary: fc.constantFrom('/v1/hashes/', '/v1/lists/', '/v1/sets/', '/v1/sorted-sets/', '/v1/json/'),
      },
      {
        weight: 1,
        arbitrary: fc.constantFrom(
          'http://host/v1/lists/',
          '/v1/hash/',
          '/v1/hashes',
          '/v1/list/',
          '/v1/Sets/',
          '/v1/',
        ),
      },
    ),
    fc.oneof({ weight: 20, arbitrary: typedKey }, { weight: 1, arbitrary: fc.constant('') }),
    fc.oneof({ weight: 2, arbitrary: fc.constant('') }, { weight: 1, arbitrary: fc.constantFrom(...PARTS) }),
    fc.oneof({ weight: 2, arbitrary: fc.constant('') }, { weight: 1, arbitrary: fc.constantFrom(...QUERIES) }),
    fc.oneof({ weight: 20, arbitrary: fc.constant('') }, { weight: 1, arbitrary: fc.constantFrom(...ODD_ENDS) }),
  )
  .map((parts) => parts.join(''));
const typedPath = fc.constantFrom(...TYPED_PATHS);

/** Every path of the resources whose result is cached, so that no conversation depends on others for that. */
export const CACHED_PATHS = [
  ...TYPED_PATHS,
  ...QUERIES.flatMap((query) => [`/v1/lists/hit:list${query}`, `/v1/sorted-sets/hit:sorted%20set${query}`]),
  ...PARTS.flatMap((part) =>
    [TYPED_KEYS.hash, TYPED_KEYS.binaryHash, TYPED_KEYS.longHash, TYPED_KEYS.set].map(
      (key, i) => `/v1/${i < 3 ? 'hashes' : 'sets'}/${encodeURIComponent(key)}${part}`,
    ),
  ),
  '/v1/lists/hit:list',
  '/v1/sorted-sets/hit:sorted%20set',
].filter((path) => /^[!-~]*$/.test(path) && !path.includes('#'));

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
  { weight: 10, arbitrary: typedPath },
  { weight: 20, arbitrary: resourceTarget },
  { weight: 4, arbitrary: otherTarget },
  {
    weight: 1,
    arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 12 }).map((text) => `/v1/keys/${NUMBER}${text}`),
  },
);

/** Too long to be used often. */
export const longTarget = fc.constantFrom(...EDGE_KEYS).map((each) => `/v1/keys/${each}`);
