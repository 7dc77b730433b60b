import { Buffer } from 'node:buffer';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { NO_MEMORY, UNLIMITED_MEMORY, type ValueMemory } from '../connection/value-memory.ts';
import { BufferFull, TOO_LARGE, type TooLarge } from '../redis-reply.ts';
import { RawReplyReader } from './raw-reply-reader.ts';
import { INCOMPLETE, MALFORMED } from './reply-scanner.ts';

const PAGE_BYTES = 4096;
const MAX_BYTES = 2 ** 30;

const line = fc.string({ maxLength: 12 }).map((text) => text.replace(/[\r\n]/g, '.'));
const bytes = fc.uint8Array({ maxLength: 30 }).map((array) => Buffer.from(array));
const bulkOf = (value: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`$${value.length}\r\n`), value, Buffer.from('\r\n')]);
const arrayOf = (elements: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.from(`*${elements.length}\r\n`), ...elements]);
const text = (of: string): Buffer => Buffer.from(of);

/** Replies of all types of RESP2. */
const { reply } = fc.letrec<{ reply: Buffer; array: Buffer; element: Buffer }>((tie) => ({
  reply: fc.oneof({ maxDepth: 6, depthSize: 'medium' }, tie('element'), tie('array')),
  array: fc.array(tie('reply'), { maxLength: 5 }).map(arrayOf),
  element: fc.oneof(
    bytes.map(bulkOf),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((integer) => text(`:${integer}\r\n`)),
    line.map((of) => text(`+${of}\r\n`)),
    line.map((of) => text(`-${of}\r\n`)),
    fc.constantFrom('$-1\r\n', '*-1\r\n', '*0\r\n', '$0\r\n\r\n').map(text),
  ),
}));

/** Replies of up to a megabyte. */
const long = fc
  .tuple(fc.array(fc.integer({ min: 0, max: 300_000 }), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([sizes, isArray]) => {
    const bulks = sizes.map((size, index) => bulkOf(Buffer.alloc(size, 97 + index)));
    return isArray ? arrayOf(bulks) : bulks[0];
  });

/** Splits bytes at positions that are given as shares of their length. */
function split(all: Buffer, shares: readonly number[]): Buffer[] {
  const offsets = shares.map((share) => Math.floor(share * all.length)).sort((a, b) => a - b);
  const bounds = [0, ...offsets, all.length];
  return bounds.slice(1).map((to, index) => all.subarray(bounds[index], to));
}
const shares = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 10 });

interface Received {
  readonly reply: Buffer | TooLarge | BufferFull;
  /** Bytes after the reply. */
  readonly rest: Buffer;
}

/** Reads one reply from chunks; returns undefined if it is incomplete, and MALFORMED if it is invalid. */
function read(
  reader: RawReplyReader,
  chunks: readonly Buffer[],
  memory: ValueMemory = UNLIMITED_MEMORY,
): Received | typeof MALFORMED | undefined {
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
      fc.property(fc.array(reply, { minLength: 1, maxLength: 4 }), shares, (replies, at) => {
        let chunks = split(Buffer.concat(replies), at);
        for (const expected of replies) {
          const received = read(reader, chunks) as Received;
          expect(received.reply).toEqual(expected);
          chunks = [received.rest];
        }
        expect(chunks[0]).toHaveLength(0);
      }),
      { numRuns: 1000 },
    );
  });

  it('returns a reply for every split into two chunks, and byte by byte', () => {
    const reader = new RawReplyReader(MAX_BYTES);
    fc.assert(
      fc.property(reply, (expected) => {
        for (let at = 0; at <= expected.length; at++) {
          const chunks = [expected.subarray(0, at), expected.subarray(at), text(':1\r\n')];
          const received = read(reader, chunks);
          expect(received).toEqual({ reply: expected, rest: text(':1\r\n') });
        }
        expect(
          read(
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
      fc.property(long, shares, fc.integer({ min: 1, max: 1_500_000 }), budget, (expected, at, maxBytes, free) => {
        const memory = new LimitedMemory(free);
        const chunks = split(expected, at).filter(({ length }) => length > 0);
        const received = read(new RawReplyReader(maxBytes), chunks, memory) as Received;
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
      fc.property(long, shares, (expected, at) => {
        const memory = new LimitedMemory(0, Math.ceil(expected.length / PAGE_BYTES) * PAGE_BYTES);
        const received = read(new RawReplyReader(MAX_BYTES), split(expected, at), memory) as Received;
        expect(Buffer.isBuffer(received.reply) && received.reply.equals(expected)).toBe(true);
        expect(memory.chargedBytes).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it('charges nothing for a reply of up to 64 KiB', () => {
    const expected = arrayOf([bulkOf(Buffer.alloc(60_000, 'x')), text(':1\r\n')]);
    const received = read(new RawReplyReader(MAX_BYTES), split(expected, [0.1, 0.9]), NO_MEMORY) as Received;
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
    expect(read(new RawReplyReader(MAX_BYTES), split(expected, [0.1, 0.5]), memory)).toMatchObject({ reply: expected });
    expect([sizes, joined]).toEqual([[expected.length], 0]);
  });

  it('releases the memory of a reply whose connection is closed, and reads the next one', () => {
    const memory = new LimitedMemory(MAX_BYTES);
    const reader = new RawReplyReader(MAX_BYTES);
    const expected = arrayOf([bulkOf(Buffer.alloc(200_000, 'x')), bulkOf(Buffer.alloc(200_000, 'y'))]);
    expect(read(reader, [expected.subarray(0, 300_000)], memory)).toBeUndefined();
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
    expect(read(new RawReplyReader(MAX_BYTES), [text(invalid)])).toBe(MALFORMED);
    expect(
      read(
        new RawReplyReader(MAX_BYTES),
        [...text(invalid)].map((byte) => Buffer.of(byte)),
      ),
    ).toBe(MALFORMED);
  });

  it('reads arrays of 32 levels and rejects deeper ones', () => {
    for (const levels of [33, 100_000]) {
      expect(read(new RawReplyReader(MAX_BYTES), [text('*1\r\n'.repeat(levels))])).toBe(MALFORMED);
    }
    const deep = text(`${'*1\r\n'.repeat(32)}:1\r\n`);
    expect(read(new RawReplyReader(MAX_BYTES), [deep])).toMatchObject({ reply: deep });
  });
});
