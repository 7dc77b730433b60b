import type { Buffer } from 'node:buffer';

/** A power of two. */
const ENTRIES = 256;

/**
 * Cache of `subarray` views of a reused buffer, one for each length modulo 256. Creating a view costs as much as reading a
 * request, and the lengths of requests and responses recur.
 */
export class SubarrayCache {
  readonly #bytes: Buffer;
  readonly #views: Buffer[];

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#views = Array.from({ length: ENTRIES }, () => bytes);
  }

  /** Returns a view of the first `length` bytes, which may be the same object as before. */
  of(length: number): Buffer {
    const at = length & (ENTRIES - 1);
    const view = this.#views[at];
    if (view.length === length) return view;
    return (this.#views[at] = this.#bytes.subarray(0, length));
  }
}
