import type { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import { countDigits, writeDecimal } from '../../net/decimal.ts';
import type { SocketWriter } from '../../net/socket-writer.ts';
import type { ReplyShape } from '../../replies/reply-shape.ts';
import { Resp3Conversion } from '../../replies/resp3-conversion.ts';

export type Protocol = 2 | 3;

/** Size of the buffer: at most this many bytes go into one socket write, unless a single reply is larger. */
export const WRITE_BYTES = 64 * 1024;
/** Values of at least this size are passed to the socket without being copied into the buffer. */
const LARGE_BYTES = 32 * 1024;
/** Upper bound for the header line of a bulk reply and the line end after its value. */
const FRAME_BYTES = 32;

const CR = 0x0d;
const LF = 0x0a;

const DOLLAR = 0x24;

/**
 * Encodes replies in RESP2 or RESP3 into a buffer that all connections of a thread share. A connection empties it with
 * {@link flush} or {@link take} before another one uses it.
 */
export class ReplyWriter {
  /** Protocol version of the client that the replies are for. */
  protocol: Protocol = 2;
  #bytes = Buffer.allocUnsafeSlow(WRITE_BYTES);
  #at = 0;
  /** Completed pieces, which precede the bytes in the buffer. */
  #parts: Buffer[] = [];
  #partBytes = 0;
  readonly #conversion = new Resp3Conversion(this);

  /** Bytes that have been written and not yet flushed or taken. */
  get length(): number {
    return this.#partBytes + this.#at;
  }

  /** Writes a simple string. @param text ASCII, without line ends. */
  simple(text: string): void {
    this.#line(`+${text}`);
  }

  /** Writes an error. @param text error code, a space, and the message; line ends are replaced with spaces. */
  error(text: string): void {
    this.#line(`-${text.replace(/[\r\n]/g, ' ')}`);
  }

  integer(value: number): void {
    this.#line(`:${value}`);
  }

  null(): void {
    this.#line(this.protocol === 3 ? '_' : '$-1');
  }

  /** Writes the header of an array; its elements must follow. */
  array(length: number): void {
    this.#line(`*${length}`);
  }

  /** Writes the header of a set (an array in RESP2); its elements must follow. */
  set(length: number): void {
    this.#line(`${this.protocol === 3 ? '~' : '*'}${length}`);
  }

  /** Writes the header of a map (a flat array in RESP2); keys and values must follow alternately. */
  map(pairs: number): void {
    this.#line(this.protocol === 3 ? `%${pairs}` : `*${2 * pairs}`);
  }

  /** Writes a human-readable text: a verbatim string in RESP3, a bulk string in RESP2. */
  verbatim(text: string): void {
    if (this.protocol === 2) return this.bulk(text);
    this.#line(`=${Buffer.byteLength(text) + 4}`);
    this.#append(Buffer.from(`txt:${text}\r\n`));
  }

  bulk(value: Buffer | string): void {
    if (typeof value === 'string') return this.bulk(Buffer.from(value));
    this.#line(`$${value.length}`);
    if (value.length < LARGE_BYTES) this.#append(value);
    else this.#appendLarge(value);
    this.#reserve(2);
    this.#end();
  }

  /** Writes an invalidation message, which only RESP3 has. @param keys undefined: any key may have been written. */
  invalidation(keys: readonly Buffer[] | undefined): void {
    this.#line('>2');
    this.bulk('invalidate');
    if (keys === undefined) return this.#line('_');
    this.array(keys.length);
    for (const key of keys) this.bulk(key);
  }

  /** Writes a reply of Redis, encoded in RESP2: the first `length` bytes. */
  reply(encoded: Buffer, length: number, shape: ReplyShape): void {
    if (this.protocol === 3) this.#conversion.write(encoded, length, shape);
    else this.raw(encoded, 0, length);
  }

  /** Writes bytes `from` to `to` as they are; the memory of large ones must not change until they are sent. */
  raw(bytes: Buffer, from: number, to: number): void {
    const length = to - from;
    if (length >= LARGE_BYTES) return this.#appendLarge(bytes.subarray(from, to));
    this.#reserve(length);
    bytes.copy(this.#bytes, this.#at, from, to);
    this.#at += length;
  }

  /** Whether the buffer has room for {@link hit} with a value of this size. If not, {@link flush} first. */
  hasRoom(valueBytes: number): boolean {
    return this.#at + valueBytes + FRAME_BYTES <= this.#bytes.length;
  }

  /** Writes a cached value as a bulk string; {@link hasRoom} must have been true. */
  hit(hit: HitBuffer): void {
    const { length } = hit;
    const bytes = this.#bytes;
    bytes[this.#at++] = DOLLAR;
    const digits = countDigits(length);
    writeDecimal(bytes, this.#at, digits, length);
    this.#at += digits;
    this.#end();
    hit.bytes.copy(bytes, this.#at, 0, length);
    this.#at += length;
    this.#end();
  }

  /** Discards all replies. */
  clear(): void {
    this.#at = 0;
    this.#parts = [];
    this.#partBytes = 0;
  }

  /** Sends all replies to a socket. */
  flush(writer: SocketWriter): void {
    const length = this.#at;
    if (length === 0 && this.#partBytes === 0) return;
    if (this.#partBytes > 0) return writer.writeAll(this.#flushToParts());
    this.#at = 0;
    const isReusable = writer.write(this.#bytes.subarray(0, length));
    // The socket still needs the memory, or a large reply has grown it.
    if (!isReusable || this.#bytes.length !== WRITE_BYTES) this.#bytes = Buffer.allocUnsafeSlow(WRITE_BYTES);
  }

  /**
   * Removes and returns all replies, to be written later with {@link put}. Short ones have memory of their own: each would
   * otherwise occupy this buffer, or the pool of Node.js that it is allocated from.
   */
  take(): Buffer[] {
    const parts = this.#parts.map((part) => (part.length < LARGE_BYTES ? ownCopy(part) : part));
    if (this.#at > 0) parts.push(ownCopy(this.#bytes.subarray(0, this.#at)));
    this.clear();
    return parts;
  }

  /** Writes replies that {@link take} has returned. */
  put(parts: readonly Buffer[]): void {
    for (const part of parts) this.raw(part, 0, part.length);
  }

  /** Removes and returns all pieces, the buffer itself included, without copying it. */
  #flushToParts(): Buffer[] {
    const parts = this.#parts;
    if (this.#at > 0) {
      parts.push(this.#bytes.subarray(0, this.#at));
      this.#bytes = Buffer.allocUnsafeSlow(WRITE_BYTES);
    }
    this.clear();
    return parts;
  }

  /** Appends bytes without copying them. */
  #appendLarge(value: Buffer): void {
    const bytes = this.length + value.length;
    this.#parts = this.#flushToParts();
    this.#parts.push(value);
    this.#partBytes = bytes;
  }

  #line(text: string): void {
    this.#reserve(text.length + 2);
    this.#at += this.#bytes.write(text, this.#at, 'latin1');
    this.#end();
  }

  #append(bytes: Buffer): void {
    this.#reserve(bytes.length);
    this.#at += bytes.copy(this.#bytes, this.#at);
  }

  #end(): void {
    this.#bytes[this.#at++] = CR;
    this.#bytes[this.#at++] = LF;
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}

function ownCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
