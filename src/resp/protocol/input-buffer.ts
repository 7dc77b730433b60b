const MIN_CAPACITY_BYTES = 1024;

/** Growable buffer for a partially received request. Holds no memory while it is empty. */
export class InputBuffer {
  #bytes: Buffer | undefined;
  #length = 0;

  /** Number of buffered bytes. */
  get length(): number {
    return this.#length;
  }

  /** The memory; only its first {@link length} bytes are in use. */
  get bytes(): Buffer {
    this.#bytes ??= Buffer.allocUnsafeSlow(MIN_CAPACITY_BYTES);
    return this.#bytes;
  }

  /** Appends a copy of the bytes of `source` from `from` to `to`. */
  add(source: Buffer, from: number, to: number): void {
    const length = this.#length + to - from;
    let { bytes } = this;
    if (length > bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * bytes.length));
      bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = bytes = larger;
    }
    source.copy(bytes, this.#length, from, to);
    this.#length = length;
  }

  /** Removes the first `count` bytes. */
  drop(count: number): void {
    if (count === this.#length) {
      this.#bytes = undefined;
      this.#length = 0;
    } else if (count > 0) {
      this.#bytes?.copyWithin(0, count, this.#length);
      this.#length -= count;
    }
  }
}
