import { Buffer } from 'node:buffer';
import { constants } from 'node:fs';
import { type FileHandle, access, open, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { MAX_ID_BYTES, MAX_SELECTOR_BYTES } from '../cache/shared-lru/memory/layout.ts';
import { writeArgumentLength } from '../redis/query.ts';

/**
 * The file that keeps the keys of a cache over a restart:
 *
 * ```
 *   line     redis-http-cache-proxy warm-up 1\n      the last word is the version of the format
 *   entries  length of the key │ length of the selector │ key │ selector, most recently used first; lengths in base 128
 *   end      number of entries │ CRC-32 of all bytes before it, as 32-bit numbers, least significant byte first
 * ```
 */
const TITLE = 'redis-http-cache-proxy warm-up ';
const VERSION = '1';
const HEADER = Buffer.from(`${TITLE}${VERSION}\n`);
const END_BYTES = 8;
/** The two lengths have one to three bytes each. */
const MIN_ENTRY_BYTES = 2;
const MAX_ENTRY_BYTES = 6 + MAX_ID_BYTES;
const BUFFER_BYTES = 256 * 1024;

/** Maximum bytes of the file. */
const MAX_FILE_BYTES = 256 * 1024 * 1024;
/** Only the account of the proxy may read it: keys may be confidential. */
const MODE = 0o600;

/** The file cannot be used; the message says why. */
export class WarmupFileError extends Error {
  override readonly name = 'WarmupFileError';
}

/** What identifies an entry of the cache. */
export interface WarmupEntry {
  readonly key: Buffer;
  readonly selector: Buffer;
}

/** Returns why a file cannot be written, or must not be replaced; undefined if it can. */
export async function unwritableReason(path: string): Promise<string | undefined> {
  try {
    await access(dirname(path), constants.W_OK | constants.X_OK);
    if (!(await stat(path)).isFile()) return 'not a file';
    return (await isForeign(path)) ? 'it was not written by this proxy' : undefined;
  } catch (error) {
    const { code = 'unknown error', path: where } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' && where === path ? undefined : code;
  }
}

/** Whether a file has the content of another program, to which the setting points by mistake. */
async function isForeign(path: string): Promise<boolean> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    // The file of an account that the proxy had before, which it can replace.
    return false;
  }
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(TITLE.length), 0, TITLE.length, 0);
    return !TITLE.startsWith(buffer.toString('latin1', 0, bytesRead));
  } finally {
    await file.close();
  }
}

/**
 * Writes the file under a temporary name in the same directory; {@link commit} puts it in its place at once. Either
 * {@link commit} or {@link abandon} must be called.
 */
export class WarmupFileWriter {
  /** Number of entries added. */
  entries = 0;
  readonly #path: string;
  readonly #temporary: string;
  readonly #file: FileHandle;
  #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #used = 0;
  /** Full buffers that have not been written yet, and the bytes before {@link #buffer}, theirs included. */
  #waiting: Buffer[] = [];
  #before = 0;
  #crc = 0;

  private constructor(path: string, temporary: string, file: FileHandle) {
    this.#path = path;
    this.#temporary = temporary;
    this.#file = file;
    this.#used = HEADER.copy(this.#buffer);
  }

  /** @throws NodeJS.ErrnoException if the file cannot be created. @throws WarmupFileError if it must not be replaced. */
  static async create(path: string): Promise<WarmupFileWriter> {
    const reason = await unwritableReason(path);
    if (reason !== undefined) throw new WarmupFileError(reason);
    // The same name at each attempt of a container, so that incomplete files do not add up, and another one for another instance.
    const temporary = join(dirname(path), `.${basename(path)}.${hostname()}-${process.pid}.tmp`);
    await rm(temporary, { force: true });
    return new WarmupFileWriter(path, temporary, await open(temporary, 'wx', MODE));
  }

  /** Bytes of the file so far. */
  get bytes(): number {
    return this.#before + this.#used;
  }

  /** Whether no entry may be added, because the file is limited in size. */
  get isFull(): boolean {
    return this.bytes + MAX_ENTRY_BYTES + END_BYTES > MAX_FILE_BYTES;
  }

  /** Adds the entry whose id is bytes `from` to `to`, in memory until {@link flush}. */
  add(bytes: Uint8Array, from: number, to: number, selectorLength: number): void {
    if (this.#used + MAX_ENTRY_BYTES > BUFFER_BYTES) this.#startBuffer();
    let at = writeArgumentLength(to - from - selectorLength, this.#buffer, this.#used);
    at = writeArgumentLength(selectorLength, this.#buffer, at);
    this.#buffer.set(bytes.subarray(from, to), at);
    this.#used = at + to - from;
    this.entries++;
  }

  /** Writes the entries that fill a buffer; the last ones stay in memory. */
  async flush(): Promise<void> {
    for (const bytes of this.#waiting.splice(0)) {
      this.#crc = crc32(bytes, this.#crc);
      await writeAll(this.#file, bytes);
    }
  }

  async commit(): Promise<void> {
    this.#startBuffer();
    await this.flush();
    const end = Buffer.alloc(END_BYTES);
    end.writeUInt32LE(this.entries, 0);
    end.writeUInt32LE(crc32(end.subarray(0, 4), this.#crc), 4);
    await writeAll(this.#file, end);
    this.#before += END_BYTES;
    await this.#file.sync();
    await this.#file.close();
    await rename(this.#temporary, this.#path);
  }

  async abandon(): Promise<void> {
    await this.#file.close();
    await rm(this.#temporary, { force: true });
  }

  #startBuffer(): void {
    this.#waiting.push(this.#buffer.subarray(0, this.#used));
    this.#before += this.#used;
    this.#buffer = Buffer.allocUnsafe(BUFFER_BYTES);
    this.#used = 0;
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at)).bytesWritten;
}

/** A file that is complete and intact; it must be closed. */
export class WarmupFile {
  /** Number of entries in the file. */
  readonly entries: number;
  /** Unix time of its last modification, in milliseconds. */
  readonly writtenAt: number;
  readonly #file: FileHandle;
  /** Position of the end of the entries. */
  readonly #end: number;
  #position = HEADER.length;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  private constructor(file: FileHandle, entries: number, end: number, writtenAt: number) {
    this.#file = file;
    this.entries = entries;
    this.#end = end;
    this.writtenAt = writtenAt;
  }

  /**
   * Opens a file and checks all of it, in steps that do not block the thread.
   *
   * @returns undefined if there is no file.
   * @throws WarmupFileError
   */
  static async open(path: string): Promise<WarmupFile | undefined> {
    let file: FileHandle;
    try {
      // Without waiting for the writer of a named pipe.
      file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw unreadable(error);
    }
    try {
      return await WarmupFile.#check(file);
    } catch (error) {
      await file.close();
      throw unreadable(error);
    }
  }

  static async #check(file: FileHandle): Promise<WarmupFile> {
    const stats = await file.stat();
    if (!stats.isFile()) throw new WarmupFileError('is not a file');
    const { size, mtimeMs } = stats;
    const header = await readAt(file, 0, Math.min(size, HEADER.length));
    if (!header.equals(HEADER)) {
      const isOther = header.toString('latin1').startsWith(TITLE);
      throw new WarmupFileError(isOther ? 'has an unknown version' : 'was not written by this proxy');
    }
    if (size < HEADER.length + END_BYTES) throw new WarmupFileError('is incomplete');
    if (size > MAX_FILE_BYTES) throw new WarmupFileError('is too large');
    let crc = crc32(header);
    for (let at = HEADER.length; at < size - 4;) {
      const bytes = await readAt(file, at, Math.min(BUFFER_BYTES, size - 4 - at));
      crc = crc32(bytes, crc);
      at += bytes.length;
    }
    const end = await readAt(file, size - END_BYTES, END_BYTES);
    const entries = end.readUInt32LE(0);
    const mayContain = entries <= (size - HEADER.length - END_BYTES) / MIN_ENTRY_BYTES;
    if (end.readUInt32LE(4) !== crc || !mayContain) throw new WarmupFileError('is incomplete or damaged');
    return new WarmupFile(file, entries, size - END_BYTES, mtimeMs);
  }

  /**
   * Returns the next entries, at most `count`; none at the end. They are copies.
   *
   * @throws WarmupFileError
   */
  async read(count: number): Promise<WarmupEntry[]> {
    const entries: WarmupEntry[] = [];
    while (entries.length < count) {
      const left = this.#bytes.length - this.#at;
      if (left < MAX_ENTRY_BYTES && this.#position < this.#end) await this.#fill(left);
      if (this.#at === this.#bytes.length) break;
      entries.push(this.#next());
    }
    return entries;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #fill(left: number): Promise<void> {
    const wanted = Math.min(BUFFER_BYTES, this.#end - this.#position);
    let bytes: Buffer;
    try {
      bytes = await readAt(this.#file, this.#position, wanted);
    } catch (error) {
      throw unreadable(error);
    }
    this.#position += bytes.length;
    this.#bytes = left === 0 ? bytes : Buffer.concat([this.#bytes.subarray(this.#at), bytes]);
    this.#at = 0;
  }

  #next(): WarmupEntry {
    const keyLength = this.#length();
    const selectorLength = this.#length();
    const keyEnd = this.#at + keyLength;
    const end = keyEnd + selectorLength;
    if (keyLength + selectorLength > MAX_ID_BYTES || selectorLength > MAX_SELECTOR_BYTES || end > this.#bytes.length) {
      throw new WarmupFileError('is damaged');
    }
    const key = Buffer.from(this.#bytes.subarray(this.#at, keyEnd));
    const selector = Buffer.from(this.#bytes.subarray(keyEnd, end));
    this.#at = end;
    return { key, selector };
  }

  /** Reads a length in base 128; bytes that are missing count as 0. */
  #length(): number {
    let length = 0;
    for (let shift = 0; shift <= 14; shift += 7) {
      const digit = this.#bytes[this.#at++] ?? 0;
      length += (digit & 127) << shift;
      if (digit < 128) return length;
    }
    return Infinity;
  }
}

function unreadable(error: unknown): WarmupFileError {
  if (error instanceof WarmupFileError) return error;
  const { code = 'unknown error' } = error as NodeJS.ErrnoException;
  return new WarmupFileError(`cannot be read (${code})`, { cause: error });
}

/** Reads exactly `length` bytes. @throws WarmupFileError if the file ends before. */
async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length;) {
    const { bytesRead } = await file.read(bytes, at, length - at, position + at);
    if (bytesRead === 0) throw new WarmupFileError('is incomplete');
    at += bytesRead;
  }
  return bytes;
}
