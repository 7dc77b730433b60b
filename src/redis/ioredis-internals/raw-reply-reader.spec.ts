import { Buffer } from 'node:buffer';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { NO_MEMORY, UNLIMITED_MEMORY, type ValueMemory } from '../connection/value-memory.ts';
import { BufferFull, TOO_LARGE } from '../redis-reply.ts';
import { RawReplyReader } from './raw-reply-reader.ts';
import {
  type ReceivedReply,
  anyReply,
  anyShares,
  arrayOf,
  bulkOf,
  readChunks,
  replyReading,
  split,
} from './raw-reply-reader.spec-support.ts';
import { MALFORMED } from './reply-scanner.ts';

const PAGE_BYTES = 4096;
const MAX_BYTES = 2 ** 30;

const text = (of: string): Buffer => Buffer.from(of);

/** Replies of up to a megabyte. */
const long = fc
  .tuple(fc.array(fc.integer({ min: 0, max: 300_000 }), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([sizes, isArray]) => {
    const bulks = sizes.map((size, index) => bulkOf(Buffer.alloc(size, 97 + index)));
    return isArray ? arrayOf(bulks) : bulks[0];
  });

/** Charges in pages, up to a limit; its first `reserved` bytes are reserved. */
class LimitedMemory implements ValueMemory {
  readonly #left = new Map<ArrayBufferLike, number>();
  #free: number;
  #reserved: number;

  constructor(free: number, reserved = 0) {
    this.#free = free;
    this.#reserved = reserved;
  }

  get reservedBytes(): number {
    return this.#reserved;
  }

  get chargedBytes(): number {
    return [...this.#left.values()].reduce((sum, charge) => sum + charge, 0);
  }

  allocate(size: number): Buffer | undefined {
    const charge = Math.ceil(size / PAGE_BYTES) * PAGE_BYTES;
    if (charge <= this.#reserved) this.#reserved -= charge;
    else if (charge <= this.#free) this.#free -= charge;
    else return undefined;
    const memory = Buffer.allocUnsafeSlow(size);
    this.#left.set(memory.buffer, charge);
    return memory;
  }

  join(parts: readonly Buffer[], size: number): Buffer {
    const joined = Buffer.from(Buffer.concat(parts, size));
    for (const { buffer } of parts) if (!this.#left.delete(buffer)) throw new Error('a part is not charged');
    this.#left.set(joined.buffer, Math.ceil(size / PAGE_BYTES) * PAGE_BYTES);
    return joined;
  }

  releaseAfterTick(memory: ArrayBufferLike): void {
    if (!this.#left.delete(memory)) throw new Error('it is not charged');
  }
}

describe('RawReplyReader', () => {
  it('returns each reply as it is, wherever the chunks end', () => {
    const reader = new RawReplyReader(MAX_BYTES);
    fc.assert(
      fc.property(fc.array(anyReply, { minLength: 1, maxLength: 4 }), anyShares, (replies, at) => {
        let chunks = split(Buffer.concat(replies), at);
        for (const expected of replies) {
          const received = readChunks(reader, chunks) as ReceivedReply;
          expect(received.reply).toEqual(expected);
          chunks = [received.rest];
        }
        expect(chunks[0]).toHaveLength(0);
      }),
      { numRuns: 1000 },
    );
  });

  it('reads replies, some of them damaged, as a plain model does', () => {
    fc.assert(replyReading, { numRuns: 3000 });
  });

  it('returns a reply for every split into two chunks, and byte by byte', () => {
    const reader = new RawReplyReader(MAX_BYTES);
    fc.assert(
      fc.property(anyReply, (expected) => {
        for (let at = 0; at <= expected.length; at++) {
          const chunks = [expected.subarray(0, at), expected.subarray(at), text(':1\r\n')];
          const received = readChunks(reader, chunks);
          expect(received).toEqual({ reply: expected, rest: text(':1\r\n') });
        }
        expect(
          readChunks(
            reader,
            [...expected].map((byte) => Buffer.of(byte)),
          ),
        ).toMatchObject({ reply: expected });
      }),
      { numRuns: 30 },
    );
  });

  it('returns long replies while they fit, else their length; and releases all memory', () => {
    const budget = fc.integer({ min: 0, max: 4_000_000 });
    fc.assert(
      fc.property(long, anyShares, fc.integer({ min: 1, max: 1_500_000 }), budget, (expected, at, maxBytes, free) => {
        const memory = new LimitedMemory(free);
        const chunks = split(expected, at).filter(({ length }) => length > 0);
        const received = readChunks(new RawReplyReader(maxBytes), chunks, memory) as ReceivedReply;
        if (expected.length > maxBytes) expect(received.reply).toBe(TOO_LARGE);
        else if (Buffer.isBuffer(received.reply)) expect(received.reply.equals(expected)).toBe(true);
        else expect([received.reply, free < 3 * expected.length]).toEqual([new BufferFull(expected.length), true]);
        expect(memory.chargedBytes).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it('needs no more than a reservation of the length of the reply', () => {
    fc.assert(
      fc.property(long, anyShares, (expected, at) => {
        const memory = new LimitedMemory(0, Math.ceil(expected.length / PAGE_BYTES) * PAGE_BYTES);
        const received = readChunks(new RawReplyReader(MAX_BYTES), split(expected, at), memory) as ReceivedReply;
        expect(Buffer.isBuffer(received.reply) && received.reply.equals(expected)).toBe(true);
        expect(memory.chargedBytes).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it('charges nothing for a reply of up to 64 KiB', () => {
    const expected = arrayOf([bulkOf(Buffer.alloc(60_000, 'x')), text(':1\r\n')]);
    const received = readChunks(new RawReplyReader(MAX_BYTES), split(expected, [0.1, 0.9]), NO_MEMORY) as ReceivedReply;
    expect(received.reply).toEqual(expected);
  });

  it('copies a long bulk string into memory of its exact length, without a second copy', () => {
    const expected = bulkOf(Buffer.alloc(500_000, 'x'));
    let joined = 0;
    const sizes: number[] = [];
    const memory: ValueMemory = {
      ...UNLIMITED_MEMORY,
      allocate: (size) => (sizes.push(size), Buffer.alloc(size)),
      join: (parts, size) => (joined++, Buffer.concat(parts, size)),
    };
    expect(readChunks(new RawReplyReader(MAX_BYTES), split(expected, [0.1, 0.5]), memory)).toMatchObject({
      reply: expected,
    });
    expect([sizes, joined]).toEqual([[expected.length], 0]);
  });

  it('releases the memory of a reply whose connection is closed, and reads the next one', () => {
    const memory = new LimitedMemory(MAX_BYTES);
    const reader = new RawReplyReader(MAX_BYTES);
    const expected = arrayOf([bulkOf(Buffer.alloc(200_000, 'x')), bulkOf(Buffer.alloc(200_000, 'y'))]);
    expect(readChunks(reader, [expected.subarray(0, 300_000)], memory)).toBeUndefined();
    expect(memory.chargedBytes).toBeGreaterThan(300_000);
    reader.release();
    expect(memory.chargedBytes).toBe(0);
  });

  it.each([
    '?1\r\n',
    '%1\r\n$1\r\na\r\n$1\r\nb\r\n',
    '_\r\n',
    '$\r\n',
    '$-2\r\n',
    '$-\r\n',
    '$--1\r\n',
    '$1-\r\n',
    '$x\r\n',
    '*-2\r\n',
    '*1.5\r\n',
    '$1234567890123456\r\n',
    ':\r\n',
    ':12a\r\n',
    ':123456789012345678901\r\n',
    ':1\r\r',
    '$1\r\nab\r\n',
    '$1\r\na\rb',
    '+OK\rx',
    '*2\r\n:1\r\n#t\r\n',
  ])('rejects %j', (invalid) => {
    expect(readChunks(new RawReplyReader(MAX_BYTES), [text(invalid)])).toBe(MALFORMED);
    expect(
      readChunks(
        new RawReplyReader(MAX_BYTES),
        [...text(invalid)].map((byte) => Buffer.of(byte)),
      ),
    ).toBe(MALFORMED);
  });

  it('reads arrays of 32 levels and rejects deeper ones', () => {
    for (const levels of [33, 100_000]) {
      expect(readChunks(new RawReplyReader(MAX_BYTES), [text('*1\r\n'.repeat(levels))])).toBe(MALFORMED);
    }
    const deep = text(`${'*1\r\n'.repeat(32)}:1\r\n`);
    expect(readChunks(new RawReplyReader(MAX_BYTES), [deep])).toMatchObject({ reply: deep });
  });
});
