import { Buffer } from 'node:buffer';
import type { ValueMemory } from '../connection/value-memory.ts';
import { BufferFull, TOO_LARGE, type TooLarge } from '../redis-reply.ts';
import { INCOMPLETE, ReplyScanner } from './reply-scanner.ts';

/** Replies that arrive in several parts and are longer than this are charged to the memory of their read. */
const UNCHARGED_BYTES = 2 ** 16;
/** Sizes of the parts of a reply whose length is not known. */
const MIN_PART_BYTES = 2 ** 17;
const MAX_PART_BYTES = 2 ** 20;
/** Memory is reserved in pages of this size. */
const PAGE_BYTES = 4096;

/**
 * Reads replies to queries as they are, encoded in RESP2, from chunks that may end anywhere. A reply within one chunk is a view
 * of it. Other replies are collected: up to UNCHARGED_BYTES in memory of this reader, from which they are copied; longer ones
 * in parts, which are joined, because the length of an array is not known in advance. A reply that exceeds the size limit or
 * does not fit in the buffered-bytes limit is discarded while it arrives.
 */
export class RawReplyReader {
  /** The last complete reply, until it is released. */
  reply: Buffer | TooLarge | BufferFull = TOO_LARGE;
  readonly #scanner = new ReplyScanner();
  readonly #maxBytes: number;
  /** The start of a reply that arrives in several chunks; allocated with the first one. */
  #start: Buffer | undefined;
  #memory: ValueMemory | undefined;
  /** Charged memory, the last part partly filled, and its free bytes. */
  #parts: Buffer[] = [];
  #free = 0;
  /** Bytes of the reply that have arrived. */
  #received = 0;
  #discarded = false;
  #pending = false;
  #charged: Buffer | undefined;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether the rest of a reply has not arrived yet. */
  get pending(): boolean {
    return this.#pending;
  }

  /** Reads a reply that starts at `from`; returns the position after it, INCOMPLETE or MALFORMED. */
  begin(chunk: Buffer, from: number, memory: ValueMemory | undefined): number {
    const end = this.#scanner.scan(chunk, from);
    if (end > 0) {
      this.reply = end - from > this.#maxBytes ? TOO_LARGE : chunk.subarray(from, end);
    } else if (end === INCOMPLETE) {
      this.#memory = memory;
      this.#received = 0;
      this.#discarded = false;
      this.#pending = true;
      this.#append(chunk, from, chunk.length);
    }
    return end;
  }

  /** Reads the rest of a pending reply. */
  continue(chunk: Buffer): number {
    const end = this.#scanner.scan(chunk, 0);
    if (end < INCOMPLETE) return end;
    this.#append(chunk, 0, end < 0 ? chunk.length : end);
    if (end > 0) this.#complete();
    return end;
  }

  /** Releases the memory of the last reply, which was delivered, or of a pending one, because the connection was closed. */
  release(): void {
    if (this.#charged !== undefined) this.#memory?.releaseAfterTick(this.#charged.buffer);
    this.#charged = undefined;
    this.#releaseParts();
    this.#pending = false;
    this.#memory = undefined;
    this.reply = TOO_LARGE;
  }

  #append(chunk: Buffer, from: number, to: number): void {
    const before = this.#received;
    this.#received += to - from;
    const left = this.#scanner.minimumLeft;
    if (this.#discarded) return;
    if (this.#received + left > this.#maxBytes) return this.#discard();
    if (this.#parts.length === 0) {
      if (this.#received + left <= UNCHARGED_BYTES) {
        this.#start ??= Buffer.allocUnsafeSlow(UNCHARGED_BYTES);
        this.#start.set(chunk.subarray(from, to), before);
        return;
      }
      if (!this.#store(this.#start ?? chunk, 0, before, this.#received - before + left)) return;
    }
    this.#store(chunk, from, to, left);
  }

  /**
   * Copies bytes to charged memory; discards the reply and returns false if they do not fit.
   *
   * @param left minimum number of bytes that follow.
   */
  #store(bytes: Buffer, from: number, to: number, left: number): boolean {
    for (let at = from; at < to;) {
      if (this.#free === 0 && !this.#allocate(to - at + left)) {
        this.#discard();
        return false;
      }
      const part = this.#parts[this.#parts.length - 1];
      const copied = Math.min(to - at, this.#free);
      part.set(bytes.subarray(at, at + copied), part.length - this.#free);
      this.#free -= copied;
      at += copied;
    }
    return true;
  }

  /** Allocates the next part, for at least `bytes` bytes if possible. */
  #allocate(bytes: number): boolean {
    const memory = this.#memory;
    if (memory === undefined) return false;
    const { reservedBytes } = memory;
    const isLast = this.#scanner.isLengthKnown;
    let size = bytes;
    if (reservedBytes > 0) {
      // A reservation is as long as the reply was before: no page of it is wasted.
      if (!isLast || reservedBytes < bytes) size = Math.min(reservedBytes, Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES);
    } else if (!isLast) {
      size = Math.max(bytes, Math.min(MAX_PART_BYTES, Math.max(MIN_PART_BYTES, this.#received)));
    }
    const part = memory.allocate(size);
    if (part === undefined) return false;
    this.#parts.push(part);
    this.#free = size;
    return true;
  }

  #complete(): void {
    this.#pending = false;
    if (this.#discarded) {
      this.reply = this.#received > this.#maxBytes ? TOO_LARGE : new BufferFull(this.#received);
    } else if (this.#parts.length === 0) {
      const copy = Buffer.allocUnsafeSlow(this.#received);
      if (this.#start !== undefined) copy.set(this.#start.subarray(0, this.#received));
      this.reply = copy;
    } else {
      const [first] = this.#parts;
      const isExact = this.#parts.length === 1 && this.#free === 0;
      this.#charged = isExact ? first : this.#memory?.join(this.#parts, this.#received);
      this.#parts = [];
      this.#free = 0;
      this.reply = this.#charged ?? new BufferFull(this.#received);
    }
  }

  #discard(): void {
    this.#discarded = true;
    this.#releaseParts();
  }

  #releaseParts(): void {
    for (const { buffer } of this.#parts) this.#memory?.releaseAfterTick(buffer);
    this.#parts = [];
    this.#free = 0;
  }
}
