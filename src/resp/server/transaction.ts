import { InputBuffer } from '../protocol/input-buffer.ts';

/** Requests that a client has queued since MULTI. Their arguments are kept in one piece of memory, not as objects. */
export class Transaction {
  readonly #bytes = new InputBuffer();
  /** Where each argument ends. */
  readonly #ends: number[] = [];
  /** How many arguments each request has. */
  readonly #counts: number[] = [];
  #aborted = false;

  /** Whether a request was refused when it was to be queued, so that EXEC must not execute the others. */
  get aborted(): boolean {
    return this.#aborted;
  }

  get length(): number {
    return this.#counts.length;
  }

  /** Bytes of the arguments. */
  get bytes(): number {
    return this.#bytes.length;
  }

  abort(): void {
    this.#aborted = true;
  }

  add(request: readonly Buffer[]): void {
    for (const arg of request) {
      this.#bytes.add(arg, 0, arg.length);
      this.#ends.push(this.#bytes.length);
    }
    this.#counts.push(request.length);
  }

  /** The requests, in order: views that are valid while nothing is added. */
  *requests(): Iterable<readonly Buffer[]> {
    const { bytes } = this.#bytes;
    let at = 0;
    let from = 0;
    for (const count of this.#counts) {
      const request: Buffer[] = [];
      for (const last = at + count; at < last; at++) {
        request.push(bytes.subarray(from, this.#ends[at]));
        from = this.#ends[at];
      }
      yield request;
    }
  }
}
