import type { TtlOutcome, TypeOutcome } from '../cache/read-through/key-queries.ts';
import {
  type LengthResult,
  type ReplySink,
  type WriteResults,
  FAILURES,
  writeCount,
  writeTtl,
  writeLength,
  writeType,
  writeValue,
  writeValues,
} from './key-replies.ts';
import { READ_ONLY } from './error-replies.ts';
import { sliceRange, parseRange } from './range.ts';

/** A command that reads keys, independent of the transport. */
export type KeyCommand = KeyCommandDescription & (ValueCommand | CountCommand | TtlCommand | TypeCommand);

/** Description of a command, as `COMMAND` and `COMMAND DOCS` report it. */
export interface KeyCommandDescription {
  /** Lower case. */
  readonly name: string;
  /** Number of arguments including the name; if negative, the minimum number. */
  readonly arity: number;
  readonly flags: readonly string[];
  /** Positions of the first and the last key argument (negative: from the end) and the step between keys. */
  readonly keys: readonly [first: number, last: 1 | -1, step: 1];
  readonly summary: string;
  readonly since: string;
  readonly group: 'string' | 'generic';
  /** Returns an error if these arguments are not supported, before any key is read. */
  readonly checkArguments?: (args: readonly Buffer[]) => string | undefined;
}

/** A command that replies with values or parts of them. */
export interface ValueCommand {
  readonly returns: 'values';
  /**
   * Returns a function that writes the reply, or an error if an argument is invalid.
   *
   * @param args arguments after the name, whose number matches the arity.
   */
  readonly reply: (args: readonly Buffer[]) => WriteResults | string;
}

/** A command that replies with a number of keys or bytes; values are read, but not returned. */
export interface CountCommand {
  readonly returns: 'count';
  readonly write: (results: readonly LengthResult[], out: ReplySink) => void;
}

/** A command about a key's time to live, which is never cached. */
export interface TtlCommand {
  readonly returns: 'ttl';
  /** @param readAt when Redis replied, in milliseconds since the Unix epoch. */
  readonly write: (outcome: TtlOutcome, out: ReplySink, readAt: number) => void;
}

/** A command about the type of a key's value, which is never cached. */
export interface TypeCommand {
  readonly returns: 'type';
  readonly write: (outcome: TypeOutcome, out: ReplySink) => void;
}

const FAST = ['readonly', 'fast'];
const ONE = { arity: 2, keys: [1, 1, 1], flags: FAST } as const;
const MANY = { arity: -2, keys: [1, -1, 1], flags: FAST } as const;
const VALUES = { returns: 'values', group: 'string' } as const;
const COUNT = { ...MANY, returns: 'count', group: 'generic', write: writeCount } as const;
const TTL = { ...ONE, returns: 'ttl', group: 'generic' } as const;
const RANGE = {
  ...ONE,
  ...VALUES,
  arity: 4,
  flags: ['readonly'],
  summary: 'Get a substring of the string stored at a key',
  reply: ([, start, end]: readonly Buffer[]) => rangeOf(start, end),
} as const;

export const KEY_COMMANDS: readonly KeyCommand[] = [
  { ...ONE, ...VALUES, name: 'get', summary: 'Get the value of a key', since: '1.0.0', reply: () => writeValue },
  {
    ...ONE,
    ...VALUES,
    name: 'getex',
    arity: -2,
    summary: 'Get the value of a key; options, which would set an expiration, are refused',
    since: '6.2.0',
    checkArguments: (args) => (args.length > 1 ? READ_ONLY : undefined),
    reply: () => writeValue,
  },
  {
    ...MANY,
    ...VALUES,
    name: 'mget',
    summary: 'Get the values of all the given keys',
    since: '1.0.0',
    reply: () => writeValues,
  },
  { ...RANGE, name: 'getrange', since: '2.4.0' },
  { ...RANGE, name: 'substr', since: '1.0.0' },
  { ...COUNT, name: 'exists', summary: 'Determine if a key exists', since: '1.0.0' },
  {
    ...COUNT,
    name: 'touch',
    summary: 'Alters the last access time of a key(s). Returns the number of existing keys specified.',
    since: '3.2.1',
  },
  {
    ...ONE,
    returns: 'count',
    name: 'strlen',
    summary: 'Get the length of the value stored in a key',
    since: '2.2.0',
    group: 'string',
    write: writeLength,
  },
  {
    ...TTL,
    name: 'ttl',
    summary: 'Get the time to live for a key in seconds',
    since: '1.0.0',
    write: ttlIn(wholeSeconds),
  },
  {
    ...TTL,
    name: 'pttl',
    summary: 'Get the time to live for a key in milliseconds',
    since: '2.6.0',
    write: ttlIn((ms) => ms),
  },
  {
    ...TTL,
    name: 'expiretime',
    summary: 'Get the expiration Unix timestamp for a key',
    since: '7.0.0',
    write: ttlIn((ms, readAt) => wholeSeconds(readAt + ms)),
  },
  {
    ...TTL,
    name: 'pexpiretime',
    summary: 'Get the expiration Unix timestamp for a key in milliseconds',
    since: '7.0.0',
    write: ttlIn((ms, readAt) => readAt + ms),
  },
  {
    ...ONE,
    returns: 'type',
    name: 'type',
    summary: 'Determine the type stored at key',
    since: '1.0.0',
    group: 'generic',
    write: writeType,
  },
];

/** Returns the keys among the arguments after the name. */
export function keysOf(keys: readonly [first: number, last: number, step: number], args: readonly Buffer[]) {
  const [first, last] = keys;
  if (first === 0) return [];
  return last === -1 ? args : args.slice(0, 1);
}

function ttlIn(unit: (ms: number, readAt: number) => number): TtlCommand['write'] {
  return (outcome, out, readAt) => writeTtl(outcome, out, (ms) => unit(ms, readAt));
}

/** Rounds milliseconds to seconds, as Redis does. */
function wholeSeconds(ms: number): number {
  return Math.floor((ms + 500) / 1000);
}

function rangeOf(start: Buffer, end: Buffer): WriteResults | string {
  const range = parseRange(start, end);
  if (range === undefined) return 'ERR value is not an integer or out of range';
  return ([result], out) => {
    if (result === undefined) out.bulk(EMPTY);
    else if ('value' in result) out.bulk(sliceRange(result.value, range));
    else out.error(FAILURES[result.failure]);
  };
}

const EMPTY = Buffer.alloc(0);
