import { Buffer } from 'node:buffer';
import type { Query } from '../query.ts';

/** Maximum depth of nested arrays; replies of Redis have three levels. */
const MAX_DEPTH = 32;

const CR = 0x0d;

/** Replies to queries about a key that does not exist, apart from arrays of them. */
const EMPTY_ELEMENTS = ['$-1\r\n', '$0\r\n\r\n', ':0\r\n', ':-1\r\n', '+none\r\n'].map((text) => Buffer.from(text));
const ARRAY = 0x2a;

/**
 * Whether a reply, encoded in RESP2, is one that Redis gives if the key does not exist: null, 0, -1, an empty string or array,
 * the type `none`, or an array of these.
 */
export function isEmptyReply(reply: Buffer): boolean {
  for (let at = 0; at < reply.length;) {
    if (reply[at] === ARRAY) {
      // Its elements follow.
      at = reply.indexOf(CR, at) + 2;
      continue;
    }
    const empty = EMPTY_ELEMENTS.find((text) => text.equals(reply.subarray(at, at + text.length)));
    if (empty === undefined) return false;
    at += empty.length;
  }
  return true;
}

/**
 * Encodes a reply that ioredis has decoded as Redis did, in RESP2. What ioredis does not tell apart follows from the query:
 * simple strings from bulk strings, null arrays from null bulk strings. An integer beyond 2^53 is rounded.
 *
 * @returns undefined if the reply has no encoding.
 */
export function encodeReply(reply: unknown, query: Query): Buffer | undefined {
  const parts: (Buffer | string)[] = [];
  if (!appendReply(parts, reply, formatOf(query), 0)) return undefined;
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
}

/** How the replies to a command differ from those to others. */
interface ReplyFormat {
  readonly isSimple: boolean;
  /** Whether null is a null array, in the reply itself and in its elements. */
  readonly isNullArray: boolean;
}

const COMMON: ReplyFormat = { isSimple: false, isNullArray: false };
const SIMPLE: ReplyFormat = { isSimple: true, isNullArray: false };
const NULL_ARRAY: ReplyFormat = { isSimple: false, isNullArray: true };

function formatOf({ command: [name, ...args] }: Query): ReplyFormat {
  switch (name.toString('latin1')) {
    case 'TYPE':
      return SIMPLE;
    // An array of positions, or the entries of a stream: null with a count of 0.
    case 'GEOPOS':
    case 'XRANGE':
    case 'XREVRANGE':
      return NULL_ARRAY;
    // With a score the reply is an array.
    case 'ZRANK':
    case 'ZREVRANK':
      return args.length > 1 ? NULL_ARRAY : COMMON;
    default:
      return COMMON;
  }
}

function appendReply(parts: (Buffer | string)[], reply: unknown, format: ReplyFormat, depth: number): boolean {
  if (Buffer.isBuffer(reply)) parts.push(format.isSimple ? '+' : `$${reply.length}\r\n`, reply, '\r\n');
  else if (typeof reply === 'number') parts.push(`:${reply}\r\n`);
  else if (reply === null) parts.push(format.isNullArray ? '*-1\r\n' : '$-1\r\n');
  else if (reply instanceof Error) parts.push(`-${reply.message}\r\n`);
  else if (Array.isArray(reply) && depth < MAX_DEPTH) {
    parts.push(`*${reply.length}\r\n`);
    return reply.every((element) => appendReply(parts, element, format, depth + 1));
  } else return false;
  return true;
}
