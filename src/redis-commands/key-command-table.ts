import type { ExpiryOutcome, TypeOutcome } from '../cache/read-through/key-queries.ts';
import {
  type Counted,
  type ReplySink,
  type WriteReads,
  FAILURES,
  writeCount,
  writeExpiry,
  writeLength,
  writeType,
  writeValue,
  writeValues,
} from './key-replies.ts';
import { READ_ONLY } from './error-replies.ts';
import { cut, parseRange } from './range.ts';

/** A command that reads keys, whichever way it is sent. */
export type KeyCommand = KeyCommandDescription & (ValueCommand | CountCommand | ExpiryCommand | TypeCommand);

/** What `COMMAND` and `COMMAND DOCS` tell of it. */
export interface KeyCommandDescription {
  /** In small letters. */
  readonly name: string;
  /** Arguments with the name, or, below 0, the least number of them. */
  readonly arity: number;
  readonly flags: readonly string[];
  /** First and last argument that is a key, and the step between them; negative: from the end. */
  readonly keys: readonly [first: number, last: 1 | -1, step: 1];
  readonly summary: string;
  readonly since: string;
  readonly group: 'string' | 'generic';
  /** Returns the error with which these arguments are refused before any key is read; undefined: they are not. */
  readonly refuse?: (args: readonly Buffer[]) => string | undefined;
}

/** A command with values, or parts of them, in its reply. */
export interface ValueCommand {
  readonly asks: 'values';
  /** How the reply is written, or what is wrong with the arguments: those after the name, as many as the arity says. */
  readonly reply: (args: readonly Buffer[]) => WriteReads | string;
}

/** A command that counts keys or bytes: values are read for it, and not in its reply. */
export interface CountCommand {
  readonly asks: 'counts';
  readonly write: (reads: readonly Counted[], out: ReplySink) => void;
}

/** A command about a key's time to live, which is asked of Redis each time. */
export interface ExpiryCommand {
  readonly asks: 'expiry';
  /** @param repliedAt when Redis replied, as `Date.now()` returns it. */
  readonly write: (outcome: ExpiryOutcome, out: ReplySink, repliedAt: number) => void;
}

/** A command about the type of a key's value, which is asked of Redis each time. */
export interface TypeCommand {
  readonly asks: 'type';
  readonly write: (outcome: TypeOutcome, out: ReplySink) => void;
}

const FAST = ['readonly', 'fast'];
const ONE = { arity: 2, keys: [1, 1, 1], flags: FAST } as const;
const MANY = { arity: -2, keys: [1, -1, 1], flags: FAST } as const;
const VALUES = { asks: 'values', group: 'string' } as const;
const COUNT = { ...MANY, asks: 'counts', group: 'generic', write: writeCount } as const;
const EXPIRY = { ...ONE, asks: 'expiry', group: 'generic' } as const;
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
    summary: 'Get the value of a key; its options, which set an expiration, are refused',
    since: '6.2.0',
    refuse: (args) => (args.length > 1 ? READ_ONLY : undefined),
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
    asks: 'counts',
    name: 'strlen',
    summary: 'Get the length of the value stored in a key',
    since: '2.2.0',
    group: 'string',
    write: writeLength,
  },
  {
    ...EXPIRY,
    name: 'ttl',
    summary: 'Get the time to live for a key in seconds',
    since: '1.0.0',
    write: expiryIn(wholeSeconds),
  },
  {
    ...EXPIRY,
    name: 'pttl',
    summary: 'Get the time to live for a key in milliseconds',
    since: '2.6.0',
    write: expiryIn((ms) => ms),
  },
  {
    ...EXPIRY,
    name: 'expiretime',
    summary: 'Get the expiration Unix timestamp for a key',
    since: '7.0.0',
    write: expiryIn((ms, repliedAt) => wholeSeconds(repliedAt + ms)),
  },
  {
    ...EXPIRY,
    name: 'pexpiretime',
    summary: 'Get the expiration Unix timestamp for a key in milliseconds',
    since: '7.0.0',
    write: expiryIn((ms, repliedAt) => repliedAt + ms),
  },
  {
    ...ONE,
    asks: 'type',
    name: 'type',
    summary: 'Determine the type stored at key',
    since: '1.0.0',
    group: 'generic',
    write: writeType,
  },
];

/** The arguments after the name that are keys. */
export function keysOf(keys: readonly [first: number, last: number, step: number], args: readonly Buffer[]) {
  const [first, last] = keys;
  if (first === 0) return [];
  return last === -1 ? args : args.slice(0, 1);
}

function expiryIn(unit: (ms: number, repliedAt: number) => number): ExpiryCommand['write'] {
  return (outcome, out, repliedAt) => writeExpiry(outcome, out, (ms) => unit(ms, repliedAt));
}

/** As Redis rounds milliseconds. */
function wholeSeconds(ms: number): number {
  return Math.floor((ms + 500) / 1000);
}

function rangeOf(start: Buffer, end: Buffer): WriteReads | string {
  const range = parseRange(start, end);
  if (range === undefined) return 'ERR value is not an integer or out of range';
  return ([read], out) => {
    if (read === undefined) out.bulk(EMPTY);
    else if ('value' in read) out.bulk(cut(read.value, range));
    else out.error(FAILURES[read.failure]);
  };
}

const EMPTY = Buffer.alloc(0);
