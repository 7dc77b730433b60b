import type { ReplyShape } from '../replies/reply-shape.ts';
import type { CommandGroup, KeyCommandDescription, ReplyCommand } from './key-command.ts';
import { type CommandOption, QuerySyntax } from './query-encoder.ts';

/** A row of the table: a command about one key, whose reply is cached as Redis sends it. */
interface Row {
  readonly name: string;
  readonly arity: number;
  /** Whether it takes the same time whatever the size of the value. */
  readonly fast?: boolean;
  /** Whether it says something about the value, such as its length, without returning parts of it. */
  readonly metadata?: boolean;
  readonly shape?: ReplyShape;
  /** Number of arguments after the key that precede the options. */
  readonly required?: number;
  readonly options?: Readonly<Record<string, CommandOption>>;
  readonly since: string;
  readonly summary: string;
}

const WORD: CommandOption = { values: 0 };
const ONE_VALUE: CommandOption = { values: 1 };
const LIMIT: CommandOption = { values: 2 };
const SCORES: CommandOption = { values: 0, shape: 'scored' };
/** Redis 7.2 and later; earlier ones reply with an error. */
const RANK_OPTIONS = { WITHSCORE: { values: 0, shape: 'doubles' } } as const;
const BY_SCORE_OPTIONS = { WITHSCORES: SCORES, LIMIT } as const;
const BIT_UNITS = { BYTE: WORD, BIT: WORD } as const;

const STRINGS: readonly Row[] = [
  {
    ...{ name: 'strlen', arity: 2, fast: true, metadata: true, since: '2.2.0' },
    summary: 'Get the length of the value stored in a key',
  },
  {
    ...{ name: 'getrange', arity: 4, since: '2.4.0' },
    summary: 'Get a substring of the string stored at a key',
  },
  {
    ...{ name: 'substr', arity: 4, since: '1.0.0' },
    summary: 'Get a substring of the string stored at a key',
  },
];

const BITMAPS: readonly Row[] = [
  {
    ...{ name: 'getbit', arity: 3, fast: true, since: '2.2.0' },
    summary: 'Returns the bit value at offset in the string value stored at key',
  },
  {
    ...{ name: 'bitcount', arity: -2, required: 2, options: BIT_UNITS, since: '2.6.0' },
    summary: 'Count set bits in a string',
  },
  {
    ...{ name: 'bitpos', arity: -3, required: 3, options: BIT_UNITS, since: '2.8.7' },
    summary: 'Find first bit set or clear in a string',
  },
];

const HASHES: readonly Row[] = [
  { ...{ name: 'hget', arity: 3, fast: true, since: '2.0.0' }, summary: 'Get the value of a hash field' },
  {
    ...{ name: 'hmget', arity: -3, fast: true, since: '2.0.0' },
    summary: 'Get the values of all the given hash fields',
  },
  {
    ...{ name: 'hgetall', arity: 2, shape: 'map', since: '2.0.0' },
    summary: 'Get all the fields and values in a hash',
  },
  { ...{ name: 'hkeys', arity: 2, since: '2.0.0' }, summary: 'Get all the fields in a hash' },
  { ...{ name: 'hvals', arity: 2, since: '2.0.0' }, summary: 'Get all the values in a hash' },
  {
    ...{ name: 'hlen', arity: 2, fast: true, metadata: true, since: '2.0.0' },
    summary: 'Get the number of fields in a hash',
  },
  {
    ...{ name: 'hexists', arity: 3, fast: true, metadata: true, since: '2.0.0' },
    summary: 'Determine if a hash field exists',
  },
  {
    ...{ name: 'hstrlen', arity: 3, fast: true, metadata: true, since: '3.2.0' },
    summary: 'Get the length of the value of a hash field',
  },
];

const LISTS: readonly Row[] = [
  { ...{ name: 'lrange', arity: 4, since: '1.0.0' }, summary: 'Get a range of elements from a list' },
  { ...{ name: 'lindex', arity: 3, since: '1.0.0' }, summary: 'Get an element from a list by its index' },
  {
    ...{ name: 'llen', arity: 2, fast: true, metadata: true, since: '1.0.0' },
    summary: 'Get the length of a list',
  },
  {
    ...{ name: 'lpos', arity: -3, since: '6.0.6' },
    ...{ required: 1, options: { RANK: ONE_VALUE, COUNT: ONE_VALUE, MAXLEN: ONE_VALUE } },
    summary: 'Return the index of matching elements on a list',
  },
];

const SETS: readonly Row[] = [
  { ...{ name: 'smembers', arity: 2, shape: 'set', since: '1.0.0' }, summary: 'Get all the members in a set' },
  {
    ...{ name: 'sismember', arity: 3, fast: true, metadata: true, since: '1.0.0' },
    summary: 'Determine if a given value is a member of a set',
  },
  {
    ...{ name: 'smismember', arity: -3, fast: true, since: '6.2.0' },
    summary: 'Returns the membership associated with the given elements for a set',
  },
  {
    ...{ name: 'scard', arity: 2, fast: true, metadata: true, since: '1.0.0' },
    summary: 'Get the number of members in a set',
  },
];

const SORTED_SETS: readonly Row[] = [
  {
    ...{ name: 'zrange', arity: -4, since: '1.2.0' },
    ...{ required: 2, options: { BYSCORE: WORD, BYLEX: WORD, REV: WORD, LIMIT, WITHSCORES: SCORES } },
    summary: 'Return a range of members in a sorted set',
  },
  {
    ...{ name: 'zrevrange', arity: -4, since: '1.2.0' },
    ...{ required: 2, options: { WITHSCORES: SCORES } },
    summary: 'Return a range of members in a sorted set, by index, with scores ordered from high to low',
  },
  {
    ...{ name: 'zrangebyscore', arity: -4, required: 2, options: BY_SCORE_OPTIONS, since: '1.0.5' },
    summary: 'Return a range of members in a sorted set, by score',
  },
  {
    ...{ name: 'zrevrangebyscore', arity: -4, required: 2, options: BY_SCORE_OPTIONS, since: '2.2.0' },
    summary: 'Return a range of members in a sorted set, by score, with scores ordered from high to low',
  },
  {
    ...{ name: 'zrangebylex', arity: -4, required: 2, options: { LIMIT }, since: '2.8.9' },
    summary: 'Return a range of members in a sorted set, by lexicographical range',
  },
  {
    ...{ name: 'zrevrangebylex', arity: -4, required: 2, options: { LIMIT }, since: '2.8.9' },
    summary:
      'Return a range of members in a sorted set, by lexicographical range, ordered from higher to lower strings.',
  },
  {
    ...{ name: 'zscore', arity: 3, fast: true, shape: 'double', since: '1.2.0' },
    summary: 'Get the score associated with the given member in a sorted set',
  },
  {
    ...{ name: 'zmscore', arity: -3, fast: true, shape: 'doubles', since: '6.2.0' },
    summary: 'Get the score associated with the given members in a sorted set',
  },
  {
    // The arity of Redis 7.2, where WITHSCORE was added.
    ...{ name: 'zrank', arity: -3, fast: true, required: 1, options: RANK_OPTIONS, since: '2.0.0' },
    summary: 'Determine the index of a member in a sorted set',
  },
  {
    ...{ name: 'zrevrank', arity: -3, fast: true, required: 1, options: RANK_OPTIONS, since: '2.0.0' },
    summary: 'Determine the index of a member in a sorted set, with scores ordered from high to low',
  },
  {
    ...{ name: 'zcard', arity: 2, fast: true, metadata: true, since: '1.2.0' },
    summary: 'Get the number of members in a sorted set',
  },
  {
    ...{ name: 'zcount', arity: 4, fast: true, since: '2.0.0' },
    summary: 'Count the members in a sorted set with scores within the given values',
  },
  {
    ...{ name: 'zlexcount', arity: 4, fast: true, since: '2.8.9' },
    summary: 'Count the number of members in a sorted set between a given lexicographical range',
  },
];

const GEOSPATIAL: readonly Row[] = [
  {
    ...{ name: 'geopos', arity: -2, shape: 'positions', since: '3.2.0' },
    summary: 'Returns longitude and latitude of members of a geospatial index',
  },
  {
    // The distance is a string in RESP3 as well.
    ...{ name: 'geodist', arity: -4, required: 2, options: { M: WORD, KM: WORD, FT: WORD, MI: WORD }, since: '3.2.0' },
    summary: 'Returns the distance between two members of a geospatial index',
  },
  {
    ...{ name: 'geohash', arity: -2, since: '3.2.0' },
    summary: 'Returns members of a geospatial index as standard geohash strings',
  },
  {
    ...{ name: 'geosearch', arity: -7, since: '6.2.0' },
    options: {
      ...{ FROMMEMBER: ONE_VALUE, FROMLONLAT: { values: 2 } },
      // The unit is left as it is: it is one of their values.
      ...{ BYRADIUS: { values: 2 }, BYBOX: { values: 3 } },
      ...{ ASC: WORD, DESC: WORD, COUNT: ONE_VALUE, ANY: WORD },
      ...{ WITHDIST: WORD, WITHHASH: WORD, WITHCOORD: { values: 0, shape: 'located' } },
    },
    summary: 'Query a sorted set representing a geospatial index to fetch members inside an area of a box or a circle.',
  },
];

const STREAMS: readonly Row[] = [
  {
    ...{ name: 'xrange', arity: -4, required: 2, options: { COUNT: ONE_VALUE }, since: '5.0.0' },
    summary: 'Return a range of elements in a stream, with IDs matching the specified IDs interval',
  },
  {
    ...{ name: 'xrevrange', arity: -4, required: 2, options: { COUNT: ONE_VALUE }, since: '5.0.0' },
    summary:
      'Return a range of elements in a stream, with IDs matching the specified IDs interval, in reverse order ' +
      '(from greater to smaller IDs) compared to XRANGE',
  },
  {
    ...{ name: 'xlen', arity: 2, fast: true, metadata: true, since: '5.0.0' },
    summary: 'Return the number of entries in a stream',
  },
];

/**
 * Commands of the JSON module. Their replies are those of RESP2: with `FORMAT EXPAND`, which needs RESP3, Redis replies with
 * an error.
 */
const JSON_DOCUMENTS: readonly Row[] = [
  {
    ...{ name: 'json.get', arity: -2, since: '1.0.0' },
    options: { INDENT: ONE_VALUE, NEWLINE: ONE_VALUE, SPACE: ONE_VALUE, NOESCAPE: WORD },
    summary: 'Get JSON value at path',
  },
  {
    ...{ name: 'json.type', arity: -2, shape: 'wrapped', since: '1.0.0' },
    summary: 'Report the type of JSON value at path',
  },
  {
    ...{ name: 'json.strlen', arity: -2, since: '1.0.0' },
    summary: 'Report the length of the JSON String at path in key',
  },
  {
    ...{ name: 'json.objkeys', arity: -2, since: '1.0.0' },
    summary: "Return the keys in the object that's referenced by path",
  },
  {
    ...{ name: 'json.objlen', arity: -2, since: '1.0.0' },
    summary: 'Report the number of keys in the JSON object at path in key',
  },
  {
    ...{ name: 'json.arrlen', arity: -2, since: '1.0.0' },
    summary: 'Report the length of the JSON array at path in key',
  },
];

const GENERIC: readonly Row[] = [
  {
    ...{ name: 'type', arity: 2, fast: true, metadata: true, since: '1.0.0' },
    summary: 'Determine the type stored at key',
  },
];

const GROUPS: readonly (readonly [CommandGroup, readonly Row[]])[] = [
  ['string', STRINGS],
  ['bitmap', BITMAPS],
  ['hash', HASHES],
  ['list', LISTS],
  ['set', SETS],
  ['sorted-set', SORTED_SETS],
  ['geo', GEOSPATIAL],
  ['stream', STREAMS],
  ['module', JSON_DOCUMENTS],
  ['generic', GENERIC],
];

/** Commands about one key whose replies are cached as Redis sends them. */
export const QUERY_COMMANDS: readonly (KeyCommandDescription & ReplyCommand)[] = GROUPS.flatMap(([group, rows]) =>
  rows.map(({ name, arity, fast = false, metadata = false, shape, required, options, since, summary }) => ({
    ...{ name, arity, metadata, since, summary, group },
    flags: fast ? ['readonly', 'fast'] : ['readonly'],
    keys: [1, 1, 1],
    returns: 'reply',
    syntax: new QuerySyntax(name, shape, required, options),
  })),
);
