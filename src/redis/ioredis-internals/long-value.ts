import { Buffer } from 'node:buffer';

const LINE_END = Buffer.from('\r\n');

/** A value that comes in more than one part, or is dropped as it comes. */
export class LongValue {
  /** Where it is put together; undefined: it is dropped. */
  readonly memory: Buffer | undefined;
  readonly #length: number;
  #taken = 0;
  #ended = true;

  /** @param length bytes, without the line end behind them. */
  constructor(length: number, memory: Buffer | undefined) {
    this.#length = length;
    this.memory = memory;
  }

  /** Bytes that are still to come, those of the line end included. */
  get missing(): number {
    return this.#length + 2 - this.#taken;
  }

  /** Whether what followed the value was a line end, as far as it has come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Takes what a chunk has of it, from `from`; answers where that ends. */
  take(chunk: Buffer, from: number): number {
    const to = Math.min(from + this.missing, chunk.length);
    const ofValue = Math.min(to - from, Math.max(0, this.#length - this.#taken));
    if (ofValue > 0) this.memory?.set(chunk.subarray(from, from + ofValue), this.#taken);
    this.#taken += ofValue;
    for (let at = from + ofValue; at < to; at++) {
      this.#ended &&= chunk[at] === LINE_END[this.#taken - this.#length];
      this.#taken++;
    }
    return to;
  }
}
