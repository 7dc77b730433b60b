import { Buffer } from 'node:buffer';
import { Query } from '../redis/query.ts';
import { READ_ONLY, matchesArity } from './error-replies.ts';
import type { KeyCommand, KeyCommandDescription, TtlCommand, WriteFromValue } from './key-command.ts';
import { type ReplySink, writeCount, writeDocuments, writeTtl, writeValue, writeValues } from './key-replies.ts';
import { QUERY_COMMANDS } from './query-commands.ts';
import { QuerySyntax } from './query-encoder.ts';
import { parseRange, sliceRange } from './range.ts';

const FAST = ['readonly', 'fast'];
const ONE = { arity: 2, keys: [1, 1, 1], flags: FAST } as const;
const MANY = { arity: -2, keys: [1, -1, 1], flags: FAST } as const;
const EXISTS = new QuerySyntax('exists');
const VALUES = { returns: 'results', group: 'string', queries: valuesOf } as const;
const VALUE = { ...VALUES, fromValue: () => writeString, write: writeValue } as const;
const COUNT = {
  ...MANY,
  ...({ returns: 'results', group: 'generic', metadata: true } as const),
  ...{ queries: existenceOf, single: EXISTS, fromValue: ifOne(writeOne), write: writeCount },
} as const;
const TTL = { ...ONE, returns: 'ttl', group: 'generic' } as const;

const JSON_GET = new QuerySyntax('json.get');
const DOT = Buffer.from('.');
/** Paths that JSON.GET would take for options. */
const OPTIONS_OF_JSON_GET = /^(?:indent|newline|space|noescape|format)$/i;

/** How the replies of commands follow from the value of the key, if that is a string. */
const FROM_VALUE: Readonly<Record<string, KeyCommandDescription['fromValue']>> = {
  strlen: () => (value, out) => out.integer(value.length),
  getrange: partOfValue,
  substr: partOfValue,
};

/** All commands that read keys. */
export const KEY_COMMANDS: readonly KeyCommand[] = [
  {
    ...{ ...ONE, ...VALUE, name: 'get', since: '1.0.0' },
    summary: 'Get the value of a key',
  },
  {
    ...{ ...ONE, ...VALUE, name: 'getex', arity: -2, since: '6.2.0' },
    summary: 'Get the value of a key; options, which would set an expiration, are refused',
    checkArguments: (args) => (args.length > 1 ? READ_ONLY : undefined),
  },
  {
    ...{ ...MANY, ...VALUES, name: 'mget', since: '1.0.0' },
    summary: 'Get the values of all the given keys',
    fromValue: ifOne((value, out) => writeValues([{ value }], out)),
    write: writeValues,
  },
  { ...{ ...COUNT, name: 'exists', since: '1.0.0' }, summary: 'Determine if a key exists' },
  {
    ...{ ...COUNT, name: 'touch', since: '3.2.1' },
    summary: 'Alters the last access time of a key(s). Returns the number of existing keys specified.',
  },
  {
    ...{ ...TTL, name: 'ttl', since: '1.0.0' },
    summary: 'Get the time to live for a key in seconds',
    write: ttlIn(wholeSeconds),
  },
  {
    ...{ ...TTL, name: 'pttl', since: '2.6.0' },
    summary: 'Get the time to live for a key in milliseconds',
    write: ttlIn((ms) => ms),
  },
  {
    ...{ ...TTL, name: 'expiretime', since: '7.0.0' },
    summary: 'Get the expiration Unix timestamp for a key',
    write: ttlIn((ms, readAt) => wholeSeconds(readAt + ms)),
  },
  {
    ...{ ...TTL, name: 'pexpiretime', since: '7.0.0' },
    summary: 'Get the expiration Unix timestamp for a key in milliseconds',
    write: ttlIn((ms, readAt) => readAt + ms),
  },
  ...QUERY_COMMANDS.map((command) => ({ ...command, fromValue: FROM_VALUE[command.name] })),
  {
    ...{ name: 'json.mget', arity: -3, keys: [1, -2, 1], flags: ['readonly'] },
    ...{ group: 'module', since: '1.0.0', returns: 'results' },
    summary: 'Return the values at path from multiple key arguments',
    queries: documentsOf,
    write: writeDocuments,
  },
];

/** Queries whose replies are cached as Redis sends them, by the name of their command in upper case. */
const REPLY_QUERIES: ReadonlyMap<string, { readonly syntax: QuerySyntax; readonly arity: number }> = new Map(
  [...QUERY_COMMANDS, { syntax: EXISTS, arity: 2 }].map((query) => [query.syntax.name.toString('latin1'), query]),
);

/**
 * Returns the query of a command whose reply is cached as Redis sends it; undefined if it is not one.
 *
 * @param command its name, in upper case, and its arguments after the key, in canonical form.
 */
export function replyQuery(key: Buffer, [name, ...rest]: readonly Buffer[]): Query | undefined {
  const found = REPLY_QUERIES.get(name.toString('latin1'));
  const args = [key, ...rest];
  if (found === undefined || !matchesArity(found.arity, args.length + 1)) return undefined;
  const canonical = found.syntax.parse(args).args;
  return canonical.every((arg, i) => arg.equals(args[i])) ? found.syntax.query(args) : undefined;
}

/** Returns the keys among the arguments after the name. */
export function keysOf(keys: readonly [first: number, last: number, step: number], args: readonly Buffer[]) {
  const [first, last] = keys;
  if (first === 0) return [];
  return last < 0 ? args.slice(0, args.length + last + 1) : args.slice(0, 1);
}

function valuesOf(args: readonly Buffer[]): readonly Query[] {
  return args.map((key) => Query.get(Buffer.from(key)));
}

function existenceOf(args: readonly Buffer[]): readonly Query[] {
  return args.map((key) => EXISTS.query([key]));
}

/** Returns the queries of JSON.MGET: JSON.GET of each key, with the same path. */
function documentsOf(args: readonly Buffer[]): readonly Query[] {
  const path = args[args.length - 1];
  const unambiguous = OPTIONS_OF_JSON_GET.test(path.toString('latin1', 0, 10)) ? Buffer.concat([DOT, path]) : path;
  return args.slice(0, -1).map((key) => JSON_GET.query([key, unambiguous]));
}

/** Limits a function to requests with one argument. */
function ifOne(write: WriteFromValue): KeyCommand['fromValue'] {
  return (args) => (args.length === 1 ? write : undefined);
}

function writeString(value: Buffer, out: ReplySink): void {
  out.bulk(value);
}

function writeOne(_value: Buffer, out: ReplySink): void {
  out.integer(1);
}

function ttlIn(unit: (ms: number, readAt: number) => number): TtlCommand['write'] {
  return (outcome, out, readAt) => writeTtl(outcome, out, (ms) => unit(ms, readAt));
}

/** Rounds milliseconds to seconds, as Redis does. */
function wholeSeconds(ms: number): number {
  return Math.floor((ms + 500) / 1000);
}

function partOfValue([, start, end]: readonly Buffer[]): WriteFromValue | undefined {
  const range = parseRange(start, end);
  return range && ((value, out) => out.bulk(sliceRange(value, range)));
}
