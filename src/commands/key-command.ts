import type { ExpiryOutcome } from '../cache/key-expiry.ts';
import {
  type ReplySink,
  type WriteReads,
  FAILURES,
  writeExpiry,
  writeLength,
  writeNumber,
  writeValue,
  writeValues,
} from './key-replies.ts';
import { cut, parseRange } from './range.ts';

/** A command that reads keys, whichever way it is sent. */
export type KeyCommand = KeyCommandDescription & (ValueCommand | ExpiryCommand);

/** What `COMMAND` and `COMMAND DOCS` tell of it. */
export interface KeyCommandDescription {
  /** In small letters. */
  readonly name: string;
  /** Arguments with the name, or, below 0, the least number of them. */
  readonly arity: number;
  /** First and last argument that is a key, and the step between them; negative: from the end. */
  readonly keys: readonly [first: number, last: 1 | -1, step: 1];
  readonly summary: string;
  readonly since: string;
  readonly group: 'string' | 'generic';
}

export interface ValueCommand {
  readonly asks: 'values';
  /** Whether values, or parts of them, are in the reply. */
  readonly gives: 'values' | 'number';
  /** How the reply is written, or what is wrong with the arguments: those after the name, as many as the arity says. */
  readonly reply: (args: readonly Buffer[]) => WriteReads | string;
}

export interface ExpiryCommand {
  readonly asks: 'expiry';
  readonly write: (outcome: ExpiryOutcome, out: ReplySink) => void;
}

const ONE = { arity: 2, keys: [1, 1, 1] } as const;
const MANY = { arity: -2, keys: [1, -1, 1] } as const;
const VALUES = { asks: 'values', gives: 'values', group: 'string' } as const;

export const KEY_COMMANDS: readonly KeyCommand[] = [
  { ...ONE, ...VALUES, name: 'get', summary: 'Get the value of a key', since: '1.0.0', reply: () => writeValue },
  {
    ...MANY,
    ...VALUES,
    name: 'mget',
    summary: 'Get the values of all the given keys',
    since: '1.0.0',
    reply: () => writeValues,
  },
  {
    ...ONE,
    ...VALUES,
    name: 'getrange',
    arity: 4,
    summary: 'Get a substring of the string stored at a key',
    since: '2.4.0',
    reply: ([, start, end]) => rangeOf(start, end),
  },
  {
    ...MANY,
    asks: 'values',
    gives: 'number',
    name: 'exists',
    summary: 'Determine if a key exists',
    since: '1.0.0',
    group: 'generic',
    reply: () => writeNumber,
  },
  {
    ...ONE,
    asks: 'values',
    gives: 'number',
    name: 'strlen',
    summary: 'Get the length of the value stored in a key',
    since: '2.2.0',
    group: 'string',
    reply: () => writeLength,
  },
  {
    ...ONE,
    asks: 'expiry',
    name: 'ttl',
    summary: 'Get the time to live for a key in seconds',
    since: '1.0.0',
    group: 'generic',
    write: (outcome, out) => writeExpiry(outcome, out, (ms) => Math.floor((ms + 500) / 1000)),
  },
  {
    ...ONE,
    asks: 'expiry',
    name: 'pttl',
    summary: 'Get the time to live for a key in milliseconds',
    since: '2.6.0',
    group: 'generic',
    write: (outcome, out) => writeExpiry(outcome, out, (ms) => ms),
  },
];

/** Those of the arguments after the name that are keys. */
export function keysOf({ keys: [, last] }: KeyCommand, args: readonly Buffer[]): readonly Buffer[] {
  return last === -1 ? args : args.slice(0, 1);
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
