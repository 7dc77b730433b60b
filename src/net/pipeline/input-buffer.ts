import { Buffer } from 'node:buffer';

const MIN_CAPACITY_BYTES = 1024;
const NO_BYTES = Buffer.alloc(0);

/** Growable buffer for received bytes that cannot be processed yet. Holds no memory while it is empty. */
export class InputBuffer {
  #memory = NO_BYTES;
  /** Start and end of the buffered bytes. */
  #from = 0;
  #to = 0;

  /** Number of buffered bytes. */
  get length(): number {
    return this.#to - this.#from;
  }

  /** A view of the buffered bytes, valid until the next {@link add}. */
  get bytes(): Buffer {
    return this.#memory.subarray(this.#from, this.#to);
  }

  /** Appends a copy of the bytes of `source` from `from` to `to`. */
  add(source: Buffer, from: number, to: number): void {
    const added = to - from;
    if (this.#to + added > this.#memory.length) this.#makeRoom(added);
    source.copy(this.#memory, this.#to, from, to);
    this.#to += added;
  }

  /** Removes the first `count` bytes. */
  drop(count: number): void {
    this.#from += count;
    if (this.#from === this.#to) this.clear();
  }

  clear(): void {
    this.#memory = NO_BYTES;
    this.#from = this.#to = 0;
  }

  /** Moves the bytes to the start of the memory if that frees half of it, otherwise to larger memory. */
  #makeRoom(added: number): void {
    const { length } = this;
    const needed = length + added;
    const fitsInHalf = needed <= this.#memory.length / 2;
    const memory = fitsInHalf
      ? this.#memory
      : Buffer.allocUnsafeSlow(Math.max(MIN_CAPACITY_BYTES, needed, 2 * this.#memory.length));
    this.#memory.copy(memory, 0, this.#from, this.#to);
    this.#memory = memory;
    this.#from = 0;
    this.#to = length;
  }
}
