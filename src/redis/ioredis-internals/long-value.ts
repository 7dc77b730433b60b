import { Buffer } from 'node:buffer';

const LINE_END = Buffer.from('\r\n');

/** A value that arrives in several parts. */
export class LongValue {
  /** Buffer for the value; undefined if the value is discarded. */
  readonly memory: Buffer | undefined;
  readonly #length: number;
  #received = 0;
  #hasLineEnd = true;

  /** @param length bytes of the value, without its line end. */
  constructor(length: number, memory: Buffer | undefined) {
    this.#length = length;
    this.memory = memory;
  }

  /** Number of bytes that have not arrived yet, line end included. */
  get missing(): number {
    return this.#length + 2 - this.#received;
  }

  /** Whether the bytes after the value are a line end, as far as they have arrived. */
  get hasLineEnd(): boolean {
    return this.#hasLineEnd;
  }

  /** Consumes the part of the value that starts at `from` in a chunk; returns the position after it. */
  append(chunk: Buffer, from: number): number {
    const to = Math.min(from + this.missing, chunk.length);
    const ofValue = Math.min(to - from, Math.max(0, this.#length - this.#received));
    if (ofValue > 0) this.memory?.set(chunk.subarray(from, from + ofValue), this.#received);
    this.#received += ofValue;
    for (let at = from + ofValue; at < to; at++) {
      this.#hasLineEnd &&= chunk[at] === LINE_END[this.#received - this.#length];
      this.#received++;
    }
    return to;
  }
}
