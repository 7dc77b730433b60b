import type { Buffer } from 'node:buffer';

/** A power of two. */
const KEPT = 256;

/**
 * Views of the first bytes of a piece of memory that is used over and over. Requests and answers are of few lengths, and
 * to make a view costs as much as to read a request: those made last are kept, one for each length modulo 256.
 */
export class SubarrayCache {
  readonly #bytes: Buffer;
  readonly #kept: Buffer[];

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#kept = Array.from({ length: KEPT }, () => bytes);
  }

  /** The first `length` bytes; the same object as before, or another one. */
  of(length: number): Buffer {
    const at = length & (KEPT - 1);
    const kept = this.#kept[at];
    if (kept.length === length) return kept;
    return (this.#kept[at] = this.#bytes.subarray(0, length));
  }
}
