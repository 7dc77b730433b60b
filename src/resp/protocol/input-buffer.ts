const LEAST_BYTES = 1024;

/** Bytes that were received and are not used up yet. Takes no memory while there are none. */
export class InputBuffer {
  #bytes: Buffer | undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Them; only the first {@link length} count. */
  get bytes(): Buffer {
    this.#bytes ??= Buffer.allocUnsafeSlow(LEAST_BYTES);
    return this.#bytes;
  }

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

  /** Forgets the first of them. */
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
