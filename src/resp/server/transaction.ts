import { InputBuffer } from '../../net/pipeline/input-buffer.ts';

/** Requests that a client has queued since MULTI. Their arguments share one buffer, which saves one object per argument. */
export class Transaction {
  readonly #bytes = new InputBuffer();
  /** End offset of each argument. */
  readonly #ends: number[] = [];
  /** Number of arguments of each request. */
  readonly #counts: number[] = [];
  #aborted = false;

  /** Whether queueing a request failed, so that EXEC must discard the transaction. */
  get aborted(): boolean {
    return this.#aborted;
  }

  get length(): number {
    return this.#counts.length;
  }

  /** Total size of the arguments in bytes. */
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

  /** Yields the requests in order. Arguments are views, valid until the next {@link add}. */
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
