import { randomBytes } from 'node:crypto';
import type { Transform } from 'node:stream';
import zlib from 'node:zlib';
import { describe, expect, it, jest } from '@jest/globals';
import { CONTENT_CODINGS, type ContentCoding } from '../../config/settings.ts';
import { BufferFull, TOO_LARGE } from '../../redis/redis-reply.ts';
import { ContentCoder } from './content-coder.ts';

const MiB = 2 ** 20;
const LIMITS = { maxBytes: 4 * MiB, maxBufferedBytes: 16 * MiB };

const encode: Readonly<Record<ContentCoding, (content: Buffer) => Buffer>> = {
  gzip: (content) => zlib.gzipSync(content),
  br: (content) => zlib.brotliCompressSync(content),
  zstd: (content) => zlib.zstdCompressSync(content),
};
const decode: Readonly<Record<ContentCoding, (content: Buffer) => Buffer>> = {
  gzip: (content) => zlib.gunzipSync(content),
  br: (content) => zlib.brotliDecompressSync(content),
  zstd: (content) => zlib.zstdDecompressSync(content),
};

/** Counts what is allocated and not released. */
class Memory {
  held = 0;
  most = 0;
  readonly #sizes = new Map<ArrayBufferLike, number>();
  readonly #limit: number;

  constructor(limit = Infinity) {
    this.#limit = limit;
  }

  allocate(bytes: number): Buffer | undefined {
    if (this.held + bytes > this.#limit) return undefined;
    const buffer = Buffer.allocUnsafeSlow(bytes);
    this.#sizes.set(buffer.buffer, bytes);
    this.held += bytes;
    this.most = Math.max(this.most, this.held);
    return buffer;
  }

  releaseAfterTick(memory: ArrayBufferLike): void {
    this.held -= this.#sizes.get(memory) ?? NaN;
  }
}

describe.each(CONTENT_CODINGS)('ContentCoder with %s', (coding) => {
  const coder = new ContentCoder();
  const text = (bytes: number) => Buffer.alloc(bytes, 'a text that repeats ');
  const decompress = (value: Buffer, memory = new Memory()) => coder.decompress(coding, value, LIMITS, memory);

  it.each([1024, 100_000, 3 * MiB])('compresses %d bytes', async (bytes) => {
    const compressed = await coder.compress(coding, text(bytes), new Memory());
    if (!Buffer.isBuffer(compressed)) throw new Error(String(compressed));
    expect(compressed.length).toBeLessThan(bytes / 5);
    expect(decode[coding](compressed).equals(text(bytes))).toBe(true);
  });

  it.each([1, 5000, MiB])('returns no %d bytes that do not get smaller, and keeps no memory', async (bytes) => {
    const memory = new Memory();
    expect(await coder.compress(coding, randomBytes(bytes), memory)).toBe('no-gain');
    expect(memory.held).toBe(0);
  });

  it('does not compress if memory does not fit', async () => {
    expect(await coder.compress(coding, text(5000), new Memory(4999))).toBe('busy');
  });

  it.each([0, 1, 1000, 300_000, 3 * MiB, 4 * MiB])('decompresses %d bytes', async (bytes) => {
    const content = Buffer.concat([randomBytes(Math.min(bytes, 1000)), text(Math.max(0, bytes - 1000))]);
    const memory = new Memory();
    const decompressed = await decompress(encode[coding](content), memory);
    expect(Buffer.isBuffer(decompressed) && decompressed.equals(content)).toBe(true);
    expect(memory.held).toBe(content.length);
  });

  it('returns nothing longer than the limit, and allocates no memory for it', async () => {
    const memory = new Memory();
    expect(await decompress(encode[coding](text(4 * MiB + 1)), memory)).toBe(TOO_LARGE);
    expect(memory.most).toBe(0);
  });

  it('returns the size of what does not fit in memory', async () => {
    expect(await decompress(encode[coding](text(5000)), new Memory(4999))).toEqual(new BufferFull(5000));
    const limits = { maxBytes: MiB, maxBufferedBytes: 8191 };
    expect(await coder.decompress(coding, encode[coding](text(5000)), limits, new Memory())).toBe(TOO_LARGE);
  });

  it('rejects what is not in the coding', async () => {
    const value = encode[coding](text(5000));
    const invalid = [Buffer.from('text'), Buffer.alloc(0), value.subarray(0, -1), value.subarray(0, 9)];
    for (const each of [...invalid, Buffer.concat([value, Buffer.from('more text')])]) {
      expect(await decompress(each)).toBe('invalid');
    }
  });

  it('serves many at once', async () => {
    const sizes = Array.from({ length: 30 }, (_, i) => 1000 * i);
    const results = await Promise.all(sizes.map((bytes) => decompress(encode[coding](text(bytes)))));
    expect(results.map((result) => (Buffer.isBuffer(result) ? result.length : result))).toEqual(sizes);
    const more = Array.from({ length: 50 }, () => coder.compress(coding, text(5000), new Memory()));
    const ends = await Promise.all(more);
    expect(ends).toContain('busy');
    expect(ends.filter((each) => Buffer.isBuffer(each)).length).toBeGreaterThanOrEqual(32);
    expect(Buffer.isBuffer(await coder.compress(coding, text(5000), new Memory()))).toBe(true);
  });
});

it.each(['gzip', 'zstd'] as const)('ContentCoder decompresses concatenated streams of %s', async (coding) => {
  const parts = ['first', 'second', 'third'].map((part) => encode[coding](Buffer.from(part)));
  const whole = await new ContentCoder().decompress(coding, Buffer.concat(parts), LIMITS, new Memory());
  expect(whole).toEqual(Buffer.from('firstsecondthird'));
});

it('ContentCoder rejects a value of very many frames of zstd, which would take long', async () => {
  const frame = encode.zstd(Buffer.alloc(0));
  const frames = (count: number) => Buffer.alloc(count * frame.length, frame);
  const coder = new ContentCoder();
  expect(await coder.decompress('zstd', frames(500), LIMITS, new Memory())).toEqual(Buffer.alloc(0));
  expect(await coder.decompress('zstd', frames(10_001), LIMITS, new Memory())).toBe('invalid');
});

it('ContentCoder compresses a long value in parts, so that no task of the thread pool takes long', async () => {
  // Of all streams of node:zlib: each part is one task, or several if its output is long.
  const prototype = Object.getPrototypeOf(zlib.Gzip.prototype) as Transform;
  const transform = jest.spyOn(Object.getPrototypeOf(prototype) as Transform, '_transform');
  await new ContentCoder().compress('gzip', Buffer.alloc(3 * MiB + 1, 'text '), new Memory());
  const parts = transform.mock.calls.map(([part]) => (part as Buffer).length);
  transform.mockRestore();
  expect(parts.reduce((sum, bytes) => sum + bytes)).toBe(3 * MiB + 1);
  expect(Math.max(...parts)).toBeLessThanOrEqual(128 * 1024);
});
