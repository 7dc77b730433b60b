import type { Buffer } from 'node:buffer';
import type { Transform } from 'node:stream';
import zlib from 'node:zlib';
import type { ContentCoding } from '../../config/settings.ts';
import { pagesFor } from '../../instance/buffer-budget.ts';
import type { ValueMemory } from '../../redis/connection/value-memory.ts';
import { BufferFull, TOO_LARGE, type TooLarge } from '../../redis/redis-reply.ts';

/** Values that one thread compresses or decompresses at a time: the thread pool of Node.js has four threads for the process. */
const MAX_ACTIVE = 2;
/** Values that wait to be compressed; further ones are served as they are. */
const MAX_WAITING = 32;
/** Decompressed content of up to this many bytes is kept while it is measured; longer content is decompressed a second time. */
const MAX_KEPT_BYTES = 256 * 1024;
const MAX_CHUNK_BYTES = 64 * 1024;
const MIN_CHUNK_BYTES = 1024;
/** Bytes that one task of the thread pool compresses at most, so that other tasks, such as reading a file, need not wait long. */
const MAX_TASK_BYTES = 128 * 1024;
/** Most frames of zstd in a value. Each costs as much time as 100 KiB of content, even an empty one of 9 bytes. */
const MAX_FRAMES = 10_000;
/** Largest window of the coding zstd, 8 MiB (RFC 9659). */
const ZSTD_WINDOW_LOG = 23;

const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT, ZSTD_c_compressionLevel, ZSTD_d_windowLogMax } = zlib.constants;

/** Compressors of values of `bytes` bytes. A value is compressed once while it is cached, so that a medium effort pays. */
const COMPRESSORS: Readonly<Record<ContentCoding, (bytes: number, chunkSize: number) => Transform>> = {
  gzip: (_, chunkSize) => zlib.createGzip({ level: 6, chunkSize }),
  br: (bytes, chunkSize) =>
    zlib.createBrotliCompress({ chunkSize, params: { [BROTLI_PARAM_QUALITY]: 5, [BROTLI_PARAM_SIZE_HINT]: bytes } }),
  zstd: (bytes, chunkSize) =>
    zlib.createZstdCompress({ chunkSize, pledgedSrcSize: bytes, params: { [ZSTD_c_compressionLevel]: 5 } }),
};
const DECOMPRESSORS: Readonly<Record<ContentCoding, () => Transform & { readonly bytesWritten: number }>> = {
  gzip: () => zlib.createGunzip({ chunkSize: MAX_CHUNK_BYTES }),
  br: () => zlib.createBrotliDecompress({ chunkSize: MAX_CHUNK_BYTES }),
  zstd: () =>
    zlib.createZstdDecompress({ chunkSize: MAX_CHUNK_BYTES, params: { [ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } }),
};

/** Receives the next part of the output; returns false to stop. */
type OnChunk = (chunk: Buffer) => boolean;
type End = 'complete' | 'stopped' | 'invalid';

/**
 * Compresses and decompresses values in the thread pool of Node.js, a few at a time, so that the thread serves requests in between.
 * The output is charged to the memory of the caller, who must release it.
 */
export class ContentCoder {
  #active = 0;
  readonly #waiting: (() => void)[] = [];

  /**
   * Compresses a value.
   *
   * @returns `no-gain`: it does not get smaller. `busy`: too many values wait, or the memory for it does not fit.
   */
  async compress(
    coding: ContentCoding,
    value: Buffer,
    memory: Pick<ValueMemory, 'allocate' | 'releaseAfterTick'>,
  ): Promise<Buffer | 'no-gain' | 'busy'> {
    if (this.#waiting.length >= MAX_WAITING) return 'busy';
    return this.#whenFree(async () => {
      const target = memory.allocate(value.length);
      if (target === undefined) return 'busy';
      let end = 0;
      const stream = COMPRESSORS[coding](value.length, chunkBytes(value.length));
      let at = 0;
      for (; value.length - at > MAX_TASK_BYTES; at += MAX_TASK_BYTES) {
        stream.write(value.subarray(at, at + MAX_TASK_BYTES));
      }
      const ended = await run(stream, value.subarray(at), (chunk) => {
        if (end + chunk.length >= value.length) return false;
        end += chunk.copy(target, end);
        return true;
      }).catch((error: unknown) => {
        memory.releaseAfterTick(target.buffer);
        throw error;
      });
      if (ended === 'complete') return target.subarray(0, end);
      memory.releaseAfterTick(target.buffer);
      return 'no-gain';
    });
  }

  /**
   * Decompresses a value. Its output is measured first, without keeping more than 256 KiB of it.
   *
   * @param maxBytes longest output.
   * @param maxBufferedBytes limit of value and output together.
   * @returns `invalid`: the value is not in this coding, or in more than 10 000 frames of zstd.
   */
  async decompress(
    coding: ContentCoding,
    value: Buffer,
    limits: { readonly maxBytes: number; readonly maxBufferedBytes: number },
    memory: Pick<ValueMemory, 'allocate' | 'releaseAfterTick'>,
  ): Promise<Buffer | 'invalid' | TooLarge | BufferFull> {
    return this.#whenFree(async () => {
      const kept: Buffer[] = [];
      let bytes = 0;
      const measured = await decompressAll(coding, value, (chunk) => {
        bytes += chunk.length;
        if (bytes <= MAX_KEPT_BYTES) kept.push(chunk);
        else kept.length = 0;
        return bytes <= limits.maxBytes;
      });
      if (measured === 'invalid') return measured;
      if (measured === 'stopped') return TOO_LARGE;
      const pages = pagesFor(value.length) + pagesFor(bytes);
      if (pages > pagesFor(limits.maxBufferedBytes)) return TOO_LARGE;
      const target = memory.allocate(bytes);
      if (target === undefined) return new BufferFull(bytes);
      let end = 0;
      if (bytes <= MAX_KEPT_BYTES) {
        for (const chunk of kept) end += chunk.copy(target, end);
        return target;
      }
      try {
        await decompressAll(coding, value, (chunk) => {
          end += chunk.copy(target, end);
          return true;
        });
      } catch (error) {
        memory.releaseAfterTick(target.buffer);
        throw error;
      }
      return target;
    });
  }

  async #whenFree<Result>(task: () => Promise<Result>): Promise<Result> {
    if (this.#active >= MAX_ACTIVE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#active++;
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#active--;
      else next();
    }
  }
}

/**
 * Decompresses a value, which may be several streams of its coding, one after the other; bytes after them, or too many frames of
 * zstd, make it invalid.
 */
async function decompressAll(coding: ContentCoding, value: Buffer, onChunk: OnChunk): Promise<End> {
  let rest = value;
  for (let frames = 0; frames < MAX_FRAMES; frames++) {
    const stream = DECOMPRESSORS[coding]();
    const end = await run(stream, rest, onChunk);
    const { bytesWritten } = stream;
    if (end !== 'complete' || bytesWritten >= rest.length) return end;
    // Node.js 24 ends after the first frame of zstd.
    if (coding !== 'zstd' || bytesWritten === 0) return 'invalid';
    rest = rest.subarray(bytesWritten);
  }
  return 'invalid';
}

/**
 * Writes `input` to a stream of node:zlib and passes its output on.
 *
 * @throws Error if memory cannot be allocated.
 */
function run(stream: Transform, input: Buffer, onChunk: OnChunk): Promise<End> {
  return new Promise((resolve, reject) => {
    stream.on('data', (chunk: Buffer) => {
      if (onChunk(chunk)) return;
      stream.destroy();
      resolve('stopped');
    });
    stream.once('end', () => resolve('complete'));
    stream.once('error', (error: NodeJS.ErrnoException) => {
      if (/mem/i.test(error.code ?? '')) reject(error);
      else resolve('invalid');
    });
    stream.end(input);
  });
}

function chunkBytes(valueBytes: number): number {
  return Math.min(MAX_CHUNK_BYTES, Math.max(MIN_CHUNK_BYTES, valueBytes));
}
