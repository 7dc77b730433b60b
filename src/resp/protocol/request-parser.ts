import { splitInline } from './inline-request.ts';

/**
 * What a client may send. A request beyond that is read to its end without being kept, so that it can be replied to with an
 * error; a client that must still authenticate is cut off instead.
 */
export interface RequestLimits {
  /** The name included. */
  readonly maxArguments: number;
  /** Bytes of one argument. */
  readonly maxBulkBytes: number;
  /** Bytes of a whole request. */
  readonly maxRequestBytes: number;
  /** What the problem is called when a client that must still authenticate goes beyond its smaller limits. */
  readonly unauthenticated: boolean;
}

/** Longest line of an inline request. */
export const MAX_INLINE_BYTES = 64 * 1024;
/** As in Redis: whoever sends more is cut off. */
const MAX_SKIPPED_ARGUMENTS = 1024 * 1024;
const MAX_SKIPPED_BULK_BYTES = 512 * 1024 * 1024;
/** Longer than the name of any command. */
const MAX_NAME_BYTES = 128;
const NO_NAME = Buffer.alloc(0);
/** No count is longer: its sign, 19 digits and the mark before it. */
const MAX_COUNT_BYTES = 32;

const ASTERISK = 0x2a;
const DOLLAR = 0x24;
const CR = 0x0d;
const LF = 0x0a;
const MINUS = 0x2d;
const ZERO = 0x30;

/** What {@link RequestParser} knows of the request that it is in. */
type State = 'start' | 'inline' | 'mark' | 'bulk';

/**
 * Takes requests of the Redis protocol apart, multibulk and inline ones, wherever the stream was split. It keeps no bytes:
 * its caller keeps those of a request that is not whole yet, and may move them.
 *
 * ```
 *   *2\r\n$3\r\nGET\r\n$3\r\nkey\r\n      GET key\r\n
 * ```
 *
 * Like Redis it does not look at the two bytes after an argument, nor at the one after the `\r` of a count.
 */
export class RequestParser {
  /** Bytes of the request that {@link next} has found. */
  length = 0;
  /** What is wrong with the stream, in Redis' words; nothing can be read from it any more. */
  problem: string | undefined;
  #state: State = 'start';
  /** How far the request has been read. */
  #at = 0;
  /** Arguments that are to come. */
  #missing = 0;
  #bulkBytes = 0;
  /** Where arguments start and end, from the start of the request. */
  #bounds: number[] = [];
  #inline: Buffer[] | undefined;
  #excess: string | undefined;
  /** The name in a request that is too large, once it has been read. */
  #name: Buffer | undefined;

  /** How the request that {@link next} has found is too large: an error. Of its arguments it has its name alone. */
  get excess(): string | undefined {
    return this.#excess;
  }

  /**
   * Reads on in the request that starts at `base`; `end` is where what has been received ends. True when the request is
   * whole. False when it is not, or there is a {@link problem}: then what is missing must follow what there is.
   */
  next(bytes: Buffer, base: number, end: number, limits: RequestLimits): boolean {
    if (this.#state === 'start') {
      if (base === end) return false;
      this.#at = 0;
      this.#bounds.length = 0;
      this.#inline = undefined;
      this.#excess = undefined;
      this.#name = undefined;
      this.#state = 'inline';
      if (bytes[base] === ASTERISK) {
        if (!this.#readMissing(bytes, base, end, limits)) return this.#again();
        this.#state = 'mark';
      }
    }
    if (this.#state === 'inline') return this.#readInline(bytes, base, end, limits);
    while (this.#missing > 0) if (!this.#readArgument(bytes, base, end, limits)) return false;
    return this.#whole();
  }

  /** Returns how many bytes of a request that is too large, and not whole yet, need not be kept: the first ones. */
  release(): number {
    if (this.#excess === undefined || this.#state === 'start') return 0;
    const released = this.#at;
    this.#at = 0;
    return released;
  }

  /** Whether a request has been read in part. */
  get inRequest(): boolean {
    return this.#state !== 'start';
  }

  /** The arguments of the request that {@link next} has found at `base`: views, none for a request without any. */
  argumentsOf(bytes: Buffer, base: number): Buffer[] {
    if (this.#inline !== undefined) return this.#inline;
    if (this.#excess !== undefined) return [this.#name ?? NO_NAME];
    const bounds = this.#bounds;
    const found: Buffer[] = [];
    for (let i = 0; i < bounds.length; i += 2) found.push(bytes.subarray(base + bounds[i], base + bounds[i + 1]));
    return found;
  }

  #whole(): boolean {
    this.length = this.#at;
    this.#state = 'start';
    return true;
  }

  /** The count of arguments is read anew when more has come: it is short. */
  #again(): false {
    this.#state = 'start';
    return false;
  }

  #fail(problem: string): false {
    this.problem = `Protocol error: ${problem}`;
    return false;
  }

  #readMissing(bytes: Buffer, base: number, end: number, limits: RequestLimits): boolean {
    const count = this.#readCount(bytes, base, end);
    if (count === undefined) return false;
    if (limits.unauthenticated && count > limits.maxArguments) return this.#fail('unauthenticated multibulk length');
    if (!(count <= MAX_SKIPPED_ARGUMENTS)) return this.#fail('invalid multibulk length');
    if (count > limits.maxArguments) this.#excess = tooManyArguments(limits);
    this.#missing = count;
    return true;
  }

  #readArgument(bytes: Buffer, base: number, end: number, limits: RequestLimits): boolean {
    if (this.#state === 'mark') {
      const at = base + this.#at;
      if (at >= end) return false;
      if (bytes[at] !== DOLLAR) return this.#fail(`expected '$', got '${String.fromCharCode(bytes[at])}'`);
      const length = this.#readCount(bytes, base, end);
      if (length === undefined) return false;
      if (limits.unauthenticated && length > limits.maxBulkBytes) return this.#fail('unauthenticated bulk length');
      if (!(length >= 0 && length <= MAX_SKIPPED_BULK_BYTES)) return this.#fail('invalid bulk length');
      if (limits.unauthenticated && this.#at + length > limits.maxRequestBytes) return this.#fail('too big request');
      this.#bulkBytes = length;
      this.#state = 'bulk';
      this.#noteExcess(bytes, base, limits);
    }
    if (this.#name !== undefined) return this.#skipArgument(base, end);
    const to = this.#at + this.#bulkBytes;
    if (base + to + 2 > end) return false;
    this.#bounds.push(this.#at, to);
    this.#at = to + 2;
    this.#missing--;
    this.#state = 'mark';
    if (this.#excess !== undefined) this.#keepName(bytes, base);
    return true;
  }

  /** Notes that the request is too large by the argument that comes next, if it is. */
  #noteExcess(bytes: Buffer, base: number, limits: RequestLimits): void {
    const length = this.#bulkBytes;
    if (this.#excess === undefined) {
      if (length > limits.maxBulkBytes) this.#excess = argumentTooLong(limits);
      else if (this.#at + length > limits.maxRequestBytes) this.#excess = requestTooLong(limits);
      else return;
      if (this.#bounds.length > 0) this.#keepName(bytes, base);
    }
    if (this.#bounds.length === 0 && length > MAX_NAME_BYTES) this.#name = NO_NAME;
  }

  #keepName(bytes: Buffer, base: number): void {
    const [from, to] = this.#bounds;
    this.#name = Buffer.from(bytes.subarray(base + from, base + Math.min(to, from + MAX_NAME_BYTES)));
  }

  /** Reads on behind an argument, and the line end after it, without keeping it. */
  #skipArgument(base: number, end: number): boolean {
    const left = this.#bulkBytes + 2;
    const skipped = Math.min(left, end - base - this.#at);
    this.#at += skipped;
    this.#bulkBytes -= skipped;
    if (skipped < left) return false;
    this.#missing--;
    this.#state = 'mark';
    return true;
  }

  /** The count after a mark, and steps behind its line; NaN when it is none, undefined when it is not whole. */
  #readCount(bytes: Buffer, base: number, end: number): number | undefined {
    const from = base + this.#at + 1;
    const limit = Math.min(end, from + MAX_COUNT_BYTES);
    let to = from;
    while (to < limit && bytes[to] !== CR) to++;
    if (to === limit) return limit === end ? undefined : NaN;
    if (to + 1 >= end) return undefined;
    this.#at = to + 2 - base;
    return decimal(bytes, from, to);
  }

  #readInline(bytes: Buffer, base: number, end: number, limits: RequestLimits): boolean {
    const limit = Math.min(end, base + MAX_INLINE_BYTES);
    let at = base + this.#at;
    while (at < limit && bytes[at] !== LF) at++;
    this.#at = at - base;
    if (at === limit) return this.#at < MAX_INLINE_BYTES ? false : this.#fail('too big inline request');
    const lineEnd = at > base && bytes[at - 1] === CR ? at - 1 : at;
    this.#inline = splitInline(bytes.subarray(base, lineEnd));
    if (this.#inline === undefined) return this.#fail('unbalanced quotes in request');
    if (this.#inline.length > limits.maxArguments) {
      if (limits.unauthenticated) return this.#fail('unauthenticated multibulk length');
      this.#excess = tooManyArguments(limits);
      this.#inline.length = 1;
    }
    this.#at++;
    return this.#whole();
  }
}

function tooManyArguments({ maxArguments }: RequestLimits): string {
  return `ERR too many arguments: a command may have ${maxArguments - 1}`;
}

function argumentTooLong({ maxBulkBytes }: RequestLimits): string {
  return `ERR argument too long: an argument may have ${maxBulkBytes} bytes`;
}

function requestTooLong({ maxRequestBytes }: RequestLimits): string {
  return `ERR request too long: a request may have ${maxRequestBytes} bytes`;
}

/** A whole number as Redis writes it: no sign but `-`, no leading zeros. NaN when it is something else. */
function decimal(bytes: Buffer, from: number, to: number): number {
  const first = bytes[from] === MINUS ? from + 1 : from;
  if (first === to || to - first > 15) return NaN;
  if (bytes[first] === ZERO) return to - from === 1 ? 0 : NaN;
  let value = 0;
  for (let at = first; at < to; at++) {
    const digit = bytes[at] - ZERO;
    if (digit < 0 || digit > 9) return NaN;
    value = value * 10 + digit;
  }
  return first === from ? value : -value;
}
