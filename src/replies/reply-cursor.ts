import { Buffer } from 'node:buffer';

const CR = 0x0d;
const MINUS = 0x2d;
const ZERO = 0x30;

/** First bytes of the elements of a reply that is encoded in RESP2. */
export const SIMPLE = 0x2b;
export const ERROR = 0x2d;
export const INTEGER = 0x3a;
export const BULK = 0x24;
export const ARRAY = 0x2a;

/**
 * Reads a complete reply of Redis, encoded in RESP2, element by element and without allocating: an array, then its elements,
 * nested ones included. The bytes have been received from Redis or the cache, so they are not validated.
 *
 * ```
 *   cursor.start(reply);
 *   cursor.next();                      // type ARRAY, length 2
 *   cursor.next(); cursor.value();      // its first element
 * ```
 */
export class ReplyCursor {
  /** Type of the current element: its first byte, such as {@link BULK}. */
  type = 0;
  /** Elements of an array, or bytes of any other element; -1 if it is null. */
  length = 0;
  /** Start and end of the text of the current element; both are the end of the header if it is an array or null. */
  from = 0;
  to = 0;
  #bytes: Buffer = NO_BYTES;
  /** Offset of the next element. */
  #at = 0;

  /** Moves before the first element of `bytes`, which start at `at`. */
  start(bytes: Buffer, at = 0): void {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** Offset of the next element. */
  get at(): number {
    return this.#at;
  }

  /** Whether the current element is a null bulk string or a null array. */
  get isNull(): boolean {
    return this.length === -1;
  }

  /** Moves to the next element, which must exist. */
  next(): void {
    const bytes = this.#bytes;
    const type = bytes[this.#at];
    this.type = type;
    const from = this.#at + 1;
    if (type !== BULK && type !== ARRAY) {
      const to = bytes.indexOf(CR, from);
      this.#set(to - from, from, to, to + 2);
      return;
    }
    if (bytes[from] === MINUS) {
      // Null: -1.
      this.#set(-1, from + 4, from + 4, from + 4);
      return;
    }
    let length = 0;
    let end = from;
    for (; bytes[end] !== CR; end++) length = length * 10 + bytes[end] - ZERO;
    const start = end + 2;
    if (type === ARRAY) this.#set(length, start, start, start);
    else this.#set(length, start, start + length, start + length + 2);
  }

  /** Moves past the elements of the current element, if it is an array, so that it becomes the last one that was read. */
  skip(): void {
    for (let left = this.type === ARRAY ? this.length : 0; left > 0; left--) {
      this.next();
      if (this.type === ARRAY && this.length > 0) left += this.length;
    }
  }

  /** Returns the text of the current element, as a view: a string, the digits of an integer, or the text of an error. */
  value(): Buffer {
    return this.#bytes.subarray(this.from, this.to);
  }

  #set(length: number, from: number, to: number, at: number): void {
    this.length = length;
    this.from = from;
    this.to = to;
    this.#at = at;
  }
}

const NO_BYTES = Buffer.alloc(0);
