import { Buffer } from 'node:buffer';
import { ARRAY, BULK, ReplyCursor } from './reply-cursor.ts';
import type { ReplyShape } from './reply-shape.ts';

const COMMA = Buffer.from(',');
const PAIR = Buffer.from('*2\r\n');
/** The end of both nulls of RESP2. */
const NULL_END = Buffer.from('-1\r\n');

/** Depth of the strings that are doubles: the number of arrays that they are in. */
const DOUBLE_DEPTHS = { double: 0, doubles: 1, positions: 2, located: 3 } as const;

/** Where a reply in RESP3 is written. */
export interface Resp3Target {
  null(): void;
  /** Writes the header of an array, a set or a map. */
  array(length: number): void;
  set(length: number): void;
  map(pairs: number): void;
  /** Writes bytes `from` to `to` as they are. */
  raw(bytes: Buffer, from: number, to: number): void;
}

/** Converts replies from RESP2 to RESP3. What is the same in both is copied in as few pieces as possible. */
export class Resp3Conversion {
  readonly #target: Resp3Target;
  readonly #cursor = new ReplyCursor();
  #reply: Buffer = COMMA;
  /** Offset of the first byte that has not been copied. */
  #copied = 0;

  constructor(target: Resp3Target) {
    this.#target = target;
  }

  /** Converts a complete reply: the first `length` bytes of `reply`. */
  write(reply: Buffer, length: number, shape: ReplyShape): void {
    const cursor = this.#cursor;
    this.#reply = reply;
    this.#copied = 0;
    cursor.start(reply);
    switch (shape) {
      case 'map':
      case 'set':
        this.#writeHeader(shape);
        break;
      case 'scored':
        this.#writePairs();
        break;
      case 'wrapped':
        this.#target.array(1);
        this.#writeElement(0, -1);
        break;
      case 'same':
        if (mayHaveNull(reply, length)) this.#writeElement(0, -1);
        break;
      case 'double':
      case 'doubles':
      case 'positions':
      case 'located':
        this.#writeElement(0, DOUBLE_DEPTHS[shape]);
    }
    this.#copyUntil(length);
    // The reply may be large: it must not stay referenced.
    this.#reply = COMMA;
    cursor.start(COMMA);
  }

  #writeHeader(shape: 'map' | 'set'): void {
    const cursor = this.#cursor;
    cursor.next();
    if (cursor.isNull) this.#target.null();
    else if (cursor.type !== ARRAY) return;
    else if (shape === 'map') this.#target.map(cursor.length / 2);
    else this.#target.set(cursor.length);
    this.#copied = cursor.at;
  }

  #writePairs(): void {
    const cursor = this.#cursor;
    cursor.next();
    if (cursor.isNull) this.#target.null();
    else if (cursor.type !== ARRAY) return;
    else this.#target.array(cursor.length / 2);
    this.#copied = cursor.at;
    for (let left = cursor.length; left > 0; left -= 2) {
      this.#copyUntil(cursor.at);
      this.#target.raw(PAIR, 0, PAIR.length);
      cursor.next();
      this.#writeElement(0, 0);
    }
  }

  /** @param doubleDepth depth of the strings that are doubles; -1: there are none. */
  #writeElement(depth: number, doubleDepth: number): void {
    const cursor = this.#cursor;
    const from = cursor.at;
    cursor.next();
    if (cursor.isNull) {
      this.#copyUntil(from);
      this.#target.null();
      this.#copied = cursor.at;
    } else if (cursor.type === ARRAY) {
      for (let left = cursor.length; left > 0; left--) this.#writeElement(depth + 1, doubleDepth);
    } else if (cursor.type === BULK && depth === doubleDepth) {
      this.#copyUntil(from);
      // The text and its line end follow.
      this.#target.raw(COMMA, 0, 1);
      this.#copied = cursor.from;
    }
  }

  #copyUntil(end: number): void {
    if (end > this.#copied) this.#target.raw(this.#reply, this.#copied, end);
    this.#copied = end;
  }
}

/** Whether a reply may be or contain a null; some data looks like one. */
function mayHaveNull(reply: Buffer, length: number): boolean {
  return reply.subarray(0, length).includes(NULL_END);
}
