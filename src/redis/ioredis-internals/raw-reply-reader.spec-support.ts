import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { UNLIMITED_MEMORY, type ValueMemory } from '../connection/value-memory.ts';
import type { BufferFull, TooLarge } from '../redis-reply.ts';
import { RawReplyReader } from './raw-reply-reader.ts';
import { INCOMPLETE, MALFORMED } from './reply-scanner.ts';

const MAX_DEPTH = 32;

/** Encodes a bulk string. */
export const bulkOf = (value: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`$${value.length}\r\n`), value, Buffer.from('\r\n')]);
/** Encodes an array. */
export const arrayOf = (elements: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.from(`*${elements.length}\r\n`), ...elements]);

const line = fc.string({ maxLength: 12 }).map((text) => text.replace(/[\r\n]/g, '.'));

/** Replies of all types of RESP2. */
export const { reply: anyReply } = fc.letrec<{ reply: Buffer; array: Buffer; element: Buffer }>((tie) => ({
  reply: fc.oneof({ maxDepth: 6, depthSize: 'medium' }, tie('element'), tie('array')),
  array: fc.array(tie('reply'), { maxLength: 5 }).map(arrayOf),
  element: fc.oneof(
    fc.uint8Array({ maxLength: 30 }).map((bytes) => bulkOf(Buffer.from(bytes))),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((integer) => Buffer.from(`:${integer}\r\n`)),
    line.map((text) => Buffer.from(`+${text}\r\n`)),
    line.map((text) => Buffer.from(`-${text}\r\n`)),
    fc.constantFrom('$-1\r\n', '*-1\r\n', '*0\r\n', '$0\r\n\r\n').map((text) => Buffer.from(text)),
  ),
}));

/** Positions at which bytes are split, as shares of their length. */
export const anyShares = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 10 });

/** Splits bytes at positions that are given as shares of their length. */
export function split(all: Buffer, shares: readonly number[]): Buffer[] {
  const offsets = shares.map((share) => Math.floor(share * all.length)).sort((a, b) => a - b);
  const bounds = [0, ...offsets, all.length];
  return bounds.slice(1).map((to, index) => all.subarray(bounds[index], to));
}

export interface ReceivedReply {
  readonly reply: Buffer | TooLarge | BufferFull;
  /** Bytes after the reply. */
  readonly rest: Buffer;
}

/** Reads one reply from chunks; returns undefined if it is incomplete, and MALFORMED if it is invalid. */
export function readChunks(
  reader: RawReplyReader,
  chunks: readonly Buffer[],
  memory: ValueMemory = UNLIMITED_MEMORY,
): ReceivedReply | typeof MALFORMED | undefined {
  for (const [index, chunk] of chunks.entries()) {
    if (chunk.length === 0) continue;
    const end = reader.pending ? reader.continue(chunk) : reader.begin(chunk, 0, memory);
    if (end === MALFORMED) return MALFORMED;
    if (end === INCOMPLETE) continue;
    const { reply } = reader;
    const copy = Buffer.isBuffer(reply) ? Buffer.from(reply) : reply;
    reader.release();
    return { reply: copy, rest: Buffer.concat([chunk.subarray(end), ...chunks.slice(index + 1)]) };
  }
  return undefined;
}

const noise = fc.tuple(
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.nat(2),
  fc.array(fc.constantFrom(...'$*:+-_0123456789\r\na'), { maxLength: 3 }).map((characters) => characters.join('')),
);

/** Replies, some of them damaged, are read as a plain model does, wherever the chunks end. */
export const replyReading = fc.property(anyReply, fc.array(noise, { maxLength: 3 }), anyShares, (reply, damage, at) => {
  let text = reply.toString('latin1');
  for (const [share, removed, inserted] of damage) {
    const from = Math.floor(share * text.length);
    text = text.slice(0, from) + inserted + text.slice(from + removed);
  }
  const bytes = Buffer.from(text, 'latin1');
  const end = modelEnd(text, 0, 0);
  const expected = end === undefined ? undefined : bytes.subarray(0, end);
  return [[bytes], split(bytes, at), Array.from(bytes, (byte) => Buffer.of(byte))].every((chunks) => {
    const received = readChunks(new RawReplyReader(2 ** 30), chunks);
    if (received === undefined || received === MALFORMED) return expected === undefined;
    return expected !== undefined && Buffer.isBuffer(received.reply) && received.reply.equals(expected);
  });
});

/** Returns the position after the reply at `at`; undefined if there is no complete and valid one. */
function modelEnd(text: string, at: number, depth: number): number | undefined {
  const header = /^(?:[+-][^\r]*|:-?\d{1,20}|[$*](?:-1|\d{1,15}))\r\n/.exec(text.slice(at))?.[0];
  if (header === undefined) return undefined;
  let end = at + header.length;
  const length = Number(header.slice(1));
  if (header.startsWith('$') && length >= 0) {
    end += length + 2;
    return text.slice(end - 2, end) === '\r\n' ? end : undefined;
  }
  if (!header.startsWith('*') || length <= 0) return end;
  if (depth === MAX_DEPTH) return undefined;
  for (let left = length; left > 0; left--) {
    const next = modelEnd(text, end, depth + 1);
    if (next === undefined) return undefined;
    end = next;
  }
  return end;
}
