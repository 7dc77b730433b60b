import type { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import type { SocketWriter } from '../../net/socket-writer.ts';

export type Protocol = 2 | 3;

/** What is sent to a client at once. */
export const WRITE_BYTES = 64 * 1024;
/** A value from here on goes to the socket as it is, not through the buffer. */
const LARGE_BYTES = 32 * 1024;
/** More than any head of a reply, with the line end behind the value. */
const FRAME_BYTES = 32;

const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;
const DOLLAR = 0x24;

/**
 * Writes replies of the Redis protocol, RESP2 or RESP3, one behind the other into one buffer, which all connections of a
 * thread use in turn: between two turns it is empty.
 */
export class ReplyWriter {
  /** Of the client whose turn it is. */
  protocol: Protocol = 2;
  #bytes = Buffer.allocUnsafeSlow(WRITE_BYTES);
  #at = 0;
  /** What is complete already and stands before what is in the buffer. */
  #parts: Buffer[] = [];
  #partBytes = 0;

  /** Bytes that wait to be sent. */
  get length(): number {
    return this.#partBytes + this.#at;
  }

  /** A text of ASCII characters without a line end. */
  simple(text: string): void {
    this.#line(`+${text}`);
  }

  /** @param text the error's code word, a space, and what is wrong; line ends in it become spaces. */
  error(text: string): void {
    this.#line(`-${text.replace(/[\r\n]/g, ' ')}`);
  }

  integer(value: number): void {
    this.#line(`:${value}`);
  }

  null(): void {
    this.#line(this.protocol === 3 ? '_' : '$-1');
  }

  /** The head of an array: its elements are to follow. */
  array(length: number): void {
    this.#line(`*${length}`);
  }

  /** The head of a set, which is an array in RESP2. */
  set(length: number): void {
    this.#line(`${this.protocol === 3 ? '~' : '*'}${length}`);
  }

  /** The head of a map: keys and values are to follow in turn. In RESP2 it is an array of both. */
  map(pairs: number): void {
    this.#line(this.protocol === 3 ? `%${pairs}` : `*${2 * pairs}`);
  }

  /** A text for people: RESP3 says so. */
  verbatim(text: string): void {
    if (this.protocol === 2) return this.bulk(text);
    this.#line(`=${Buffer.byteLength(text) + 4}`);
    this.#raw(Buffer.from(`txt:${text}\r\n`));
  }

  bulk(value: Buffer | string): void {
    if (typeof value === 'string') return this.bulk(Buffer.from(value));
    this.#line(`$${value.length}`);
    if (value.length < LARGE_BYTES) this.#raw(value);
    else this.#part(value);
    this.#reserve(2);
    this.#end();
  }

  /** Whether there is room for {@link hit} of a value. If not, what there is has to be sent before. */
  hasRoom(valueBytes: number): boolean {
    return this.#at + valueBytes + FRAME_BYTES <= this.#bytes.length;
  }

  /** A value that was hit; there must be room for it. */
  hit(hit: HitBuffer): void {
    const { length } = hit;
    const bytes = this.#bytes;
    bytes[this.#at++] = DOLLAR;
    this.#digits(length);
    this.#end();
    hit.bytes.copy(bytes, this.#at, 0, length);
    this.#at += length;
    this.#end();
  }

  /** Forgets all that was written. */
  clear(): void {
    this.#at = 0;
    this.#parts = [];
    this.#partBytes = 0;
  }

  /** Sends all that was written. */
  flush(outlet: SocketWriter): void {
    const length = this.#at;
    if (length === 0 && this.#partBytes === 0) return;
    if (this.#partBytes > 0) return outlet.writeAll(this.#takeParts());
    this.#at = 0;
    const taken = outlet.write(this.#bytes.subarray(0, length));
    // The socket still needs the bytes, or they are more than is usual.
    if (!taken || this.#bytes.length !== WRITE_BYTES) this.#bytes = Buffer.allocUnsafeSlow(WRITE_BYTES);
  }

  /** Takes all that was written, to be sent later. */
  take(): Buffer[] {
    const parts = this.#parts;
    if (this.#at > 0) parts.push(Buffer.from(this.#bytes.subarray(0, this.#at)));
    this.#at = 0;
    this.#parts = [];
    this.#partBytes = 0;
    return parts;
  }

  /** Writes what was {@link take}n. */
  put(parts: readonly Buffer[]): void {
    for (const part of parts) {
      if (part.length < LARGE_BYTES) this.#raw(part);
      else this.#part(part);
    }
  }

  #takeParts(): Buffer[] {
    const parts = this.#parts;
    if (this.#at > 0) {
      parts.push(this.#bytes.subarray(0, this.#at));
      this.#bytes = Buffer.allocUnsafeSlow(WRITE_BYTES);
    }
    this.#at = 0;
    this.#parts = [];
    this.#partBytes = 0;
    return parts;
  }

  /** Puts bytes behind what there is, without copying them. */
  #part(value: Buffer): void {
    const bytes = this.length + value.length;
    this.#parts = this.#takeParts();
    this.#parts.push(value);
    this.#partBytes = bytes;
  }

  #line(text: string): void {
    this.#reserve(text.length + 2);
    this.#at += this.#bytes.write(text, this.#at, 'latin1');
    this.#end();
  }

  #raw(bytes: Buffer): void {
    this.#reserve(bytes.length);
    this.#at += bytes.copy(this.#bytes, this.#at);
  }

  #end(): void {
    this.#bytes[this.#at++] = CR;
    this.#bytes[this.#at++] = LF;
  }

  #digits(value: number): void {
    let places = 1;
    for (let limit = 10; value >= limit; limit *= 10) places++;
    let rest = value;
    for (let at = this.#at + places - 1; at >= this.#at; at--) {
      const tens = (rest / 10) | 0;
      this.#bytes[at] = ZERO + rest - tens * 10;
      rest = tens;
    }
    this.#at += places;
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}
