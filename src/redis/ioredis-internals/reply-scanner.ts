import type { Buffer } from 'node:buffer';

const BULK = 0x24;
const ARRAY = 0x2a;
const INTEGER = 0x3a;
const ERROR = 0x2d;
const SIMPLE = 0x2b;
const CR = 0x0d;
const LF = 0x0a;
const MINUS = 0x2d;
const ZERO = 0x30;

/** Maximum depth of nested arrays; replies of Redis have three levels. */
const MAX_DEPTH = 32;
/** Maximum digits of a length, so that it is exact as a double. */
const MAX_LENGTH_DIGITS = 15;
/** Maximum digits of an integer of 64 bits. */
const MAX_INTEGER_DIGITS = 20;

/** The rest of the reply has not arrived yet. */
export const INCOMPLETE = -1;
/** The reply violates the protocol. */
export const MALFORMED = -3;

/** What the next byte belongs to. */
const TYPE = 0;
const NUMBER = 1;
const NUMBER_LF = 2;
const TEXT = 3;
const TEXT_LF = 4;
const BODY = 5;
const BODY_CR = 6;
const BODY_LF = 7;

/**
 * Finds the end of a reply encoded in RESP2, of any type and size, which may arrive in any number of chunks. Each byte is
 * scanned once, and that of the last header in a chunk at most twice; the bytes of bulk strings are skipped. After a complete
 * reply it is ready for the next one.
 */
export class ReplyScanner {
  /** Number of elements that remain of each open array, the outermost first. */
  readonly #elementsLeft = new Float64Array(MAX_DEPTH);
  #depth = 0;
  #state = TYPE;
  /** The type of the element whose number is being read, and the number so far. */
  #type = 0;
  #number = 0;
  #digits = 0;
  #negative = false;
  /** Bytes that remain of a bulk string, without its line end. */
  #bodyLeft = 0;

  /** Minimum number of bytes that must still arrive: those of the current bulk string and its line end. */
  get minimumLeft(): number {
    if (this.#state === BODY) return this.#bodyLeft + 2;
    return this.#state === BODY_CR ? 2 : this.#state === BODY_LF ? 1 : 0;
  }

  /** Whether {@link minimumLeft} is exact, because the reply is a single bulk string. */
  get isLengthKnown(): boolean {
    return this.#depth === 0 && this.#state >= BODY;
  }

  /** Scans a chunk from `from`; returns the position after the reply, {@link INCOMPLETE} or {@link MALFORMED}. */
  scan(chunk: Buffer, from: number): number {
    const end = chunk.length;
    let state = this.#state;
    let at = from;
    while (at < end) {
      switch (state) {
        case TYPE: {
          const type = chunk[at++];
          const next = type === BULK ? afterBulk(chunk, at) : 0;
          if (next > 0) {
            at = next;
            if (this.#endElement()) return at;
          } else if (type === BULK || type === INTEGER || type === ARRAY) {
            this.#type = type;
            this.#number = this.#digits = 0;
            this.#negative = false;
            state = NUMBER;
          } else if (type === SIMPLE || type === ERROR) state = TEXT;
          else return MALFORMED;
          break;
        }
        case NUMBER: {
          let number = this.#number;
          const first = at;
          let byte = 0;
          for (; at < end; at++) {
            byte = chunk[at];
            if (byte < ZERO || byte > ZERO + 9) break;
            number = number * 10 + byte - ZERO;
          }
          this.#number = number;
          this.#digits += at - first;
          if (at === end) break;
          at++;
          if (byte === CR) state = NUMBER_LF;
          else if (byte === MINUS && this.#digits === 0 && !this.#negative) this.#negative = true;
          else return MALFORMED;
          break;
        }
        case NUMBER_LF:
          if (chunk[at++] !== LF || !this.#hasValidNumber()) return MALFORMED;
          if (this.#type === BULK && !this.#negative) {
            this.#bodyLeft = this.#number;
            state = BODY;
          } else if (this.#type === ARRAY && this.#number > 0 && !this.#negative) {
            if (this.#depth === MAX_DEPTH) return MALFORMED;
            this.#elementsLeft[this.#depth++] = this.#number;
            state = TYPE;
          } else {
            if (this.#endElement()) return at;
            state = TYPE;
          }
          break;
        case BODY: {
          const skipped = Math.min(this.#bodyLeft, end - at);
          at += skipped;
          this.#bodyLeft -= skipped;
          if (this.#bodyLeft === 0) state = BODY_CR;
          break;
        }
        case BODY_CR:
          if (chunk[at++] !== CR) return MALFORMED;
          state = BODY_LF;
          break;
        case TEXT: {
          const lineEnd = chunk.indexOf(CR, at);
          if (lineEnd >= 0) state = TEXT_LF;
          at = lineEnd < 0 ? end : lineEnd + 1;
          break;
        }
        default:
          // BODY_LF or TEXT_LF.
          if (chunk[at++] !== LF) return MALFORMED;
          if (this.#endElement()) return at;
          state = TYPE;
      }
    }
    this.#state = state;
    return INCOMPLETE;
  }

  /** Whether the number is one that its type may have: the only negative length is -1, of a null. */
  #hasValidNumber(): boolean {
    if (this.#digits === 0) return false;
    if (this.#type === INTEGER) return this.#digits <= MAX_INTEGER_DIGITS;
    return this.#negative ? this.#number === 1 && this.#digits === 1 : this.#digits <= MAX_LENGTH_DIGITS;
  }

  /** Ends an element, and each array whose last element it is; returns whether the reply is complete. */
  #endElement(): boolean {
    while (this.#depth > 0) {
      if (--this.#elementsLeft[this.#depth - 1] > 0) return false;
      this.#depth--;
    }
    this.#state = TYPE;
    return true;
  }
}

/**
 * Returns the position after a bulk string whose length is at `from`; 0 if it is not completely in the chunk, is null or is
 * invalid. Most elements are scanned in this way, without a change of state.
 */
function afterBulk(chunk: Buffer, from: number): number {
  let length = 0;
  let at = from;
  let byte = 0;
  for (; at < chunk.length; at++) {
    byte = chunk[at];
    if (byte < ZERO || byte > ZERO + 9) break;
    length = length * 10 + byte - ZERO;
  }
  const end = at + 2 + length;
  if (end + 2 > chunk.length || at === from || at - from > MAX_LENGTH_DIGITS) return 0;
  if (byte !== CR || chunk[at + 1] !== LF || chunk[end] !== CR || chunk[end + 1] !== LF) return 0;
  return end + 2;
}
