import { parseDecimal } from '../../net/decimal.ts';
import { splitInline } from './inline-request.ts';

/**
 * Size limits of a request. A larger request is skipped to its end and replied to with an error; a client that has not
 * authenticated is disconnected instead.
 */
export interface RequestLimits {
  /** Arguments, including the command name. */
  readonly maxArguments: number;
  /** Bytes of one argument. */
  readonly maxBulkBytes: number;
  /** Bytes of a whole request. */
  readonly maxRequestBytes: number;
  /** Whether the client has not authenticated: exceeding a limit is then a protocol error that names it unauthenticated. */
  readonly unauthenticated: boolean;
}

/** Maximum length of an inline request's line. */
export const MAX_INLINE_BYTES = 64 * 1024;
/** Limits of Redis; exceeding them is a protocol error. */
const MAX_SKIPPED_ARGUMENTS = 1024 * 1024;
const MAX_SKIPPED_BULK_BYTES = 512 * 1024 * 1024;
/** Exceeds the length of every command name. */
const MAX_NAME_BYTES = 128;
const NO_NAME = Buffer.alloc(0);
/** Exceeds the length of every valid count: a type byte, a sign and 19 digits. */
const MAX_COUNT_BYTES = 32;

const ASTERISK = 0x2a;
const DOLLAR = 0x24;
const CR = 0x0d;
const LF = 0x0a;
/** First byte of a TLS handshake; no command starts with it. */
const TLS_HANDSHAKE = 0x16;

/** Parsing position: before a request, in an inline request, before an argument's length, in an argument. */
type State = 'start' | 'inline' | 'mark' | 'bulk';

/**
 * Incremental parser for requests of the Redis protocol, multibulk and inline. It stores no input: the caller buffers an
 * incomplete request, and may move its bytes between calls.
 *
 * ```
 *   *2\r\n$3\r\nGET\r\n$3\r\nkey\r\n      GET key\r\n
 * ```
 *
 * Like Redis, it does not check the two bytes after an argument, nor the byte after the `\r` of a count.
 */
export class RequestParser {
  /** Size in bytes of the request that {@link next} has parsed. */
  length = 0;
  /** The protocol error, worded as in Redis; the rest of the stream cannot be parsed. */
  problem: string | undefined;
  #state: State = 'start';
  /** Parsed bytes, from the start of the request. */
  #at = 0;
  #remainingArguments = 0;
  /** Length of the current argument. */
  #bulkBytes = 0;
  /** Start and end offset of each argument, from the start of the request. */
  #bounds: number[] = [];
  #inline: Buffer[] | undefined;
  #excess: string | undefined;
  /** The command name of a request that is too large, once it has been parsed. */
  #name: Buffer | undefined;

  /** The error if the request that {@link next} has parsed is too large; its only argument is then the command name. */
  get excess(): string | undefined {
    return this.#excess;
  }

  /**
   * Continues parsing the request that starts at `base`; `end` is the end of the received bytes.
   *
   * @returns whether the request is complete. If not, and there is no {@link problem}, call again with more bytes after
   * the same ones.
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
        if (!this.#readArgumentCount(bytes, base, end, limits)) return this.#restart();
        this.#state = 'mark';
      } else if (bytes[base] === TLS_HANDSHAKE) {
        // It may have no line end, so that the client would wait for a long time.
        return this.#fail('this port does not use TLS');
      }
    }
    if (this.#state === 'inline') return this.#readInline(bytes, base, end, limits);
    while (this.#remainingArguments > 0) if (!this.#readArgument(bytes, base, end, limits)) return false;
    return this.#complete();
  }

  /** Returns how many leading bytes of an incomplete request that is too large the caller can discard. */
  release(): number {
    if (this.#excess === undefined || this.#state === 'start') return 0;
    const released = this.#at;
    this.#at = 0;
    return released;
  }

  /** Whether a request has been parsed in part. */
  get inRequest(): boolean {
    return this.#state !== 'start';
  }

  /** Returns the arguments of the request that {@link next} has parsed at `base`, as views; empty for an empty request. */
  argumentsOf(bytes: Buffer, base: number): Buffer[] {
    if (this.#inline !== undefined) return this.#inline;
    if (this.#excess !== undefined) return [this.#name ?? NO_NAME];
    const bounds = this.#bounds;
    const found: Buffer[] = [];
    for (let i = 0; i < bounds.length; i += 2) found.push(bytes.subarray(base + bounds[i], base + bounds[i + 1]));
    return found;
  }

  #complete(): boolean {
    this.length = this.#at;
    this.#state = 'start';
    return true;
  }

  /** Parses the count of arguments again once more bytes have arrived: it is short. */
  #restart(): false {
    this.#state = 'start';
    return false;
  }

  #fail(problem: string): false {
    this.problem = `Protocol error: ${problem}`;
    return false;
  }

  #readArgumentCount(bytes: Buffer, base: number, end: number, limits: RequestLimits): boolean {
    const count = this.#readCount(bytes, base, end);
    if (count === undefined) return false;
    if (limits.unauthenticated && count > limits.maxArguments) return this.#fail('unauthenticated multibulk length');
    if (!(count <= MAX_SKIPPED_ARGUMENTS)) return this.#fail('invalid multibulk length');
    if (count > limits.maxArguments) this.#excess = tooManyArguments(limits);
    this.#remainingArguments = count;
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
      this.#detectExcess(bytes, base, limits);
    }
    if (this.#name !== undefined) return this.#skipArgument(base, end);
    const to = this.#at + this.#bulkBytes;
    if (base + to + 2 > end) return false;
    this.#bounds.push(this.#at, to);
    this.#at = to + 2;
    this.#remainingArguments--;
    this.#state = 'mark';
    if (this.#excess !== undefined) this.#keepName(bytes, base);
    return true;
  }

  /** Sets {@link excess} if the argument that follows makes the request too large. */
  #detectExcess(bytes: Buffer, base: number, limits: RequestLimits): void {
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

  /** Skips an argument and the line end after it. */
  #skipArgument(base: number, end: number): boolean {
    const left = this.#bulkBytes + 2;
    const skipped = Math.min(left, end - base - this.#at);
    this.#at += skipped;
    this.#bulkBytes -= skipped;
    if (skipped < left) return false;
    this.#remainingArguments--;
    this.#state = 'mark';
    return true;
  }

  /** Parses the count after a type byte and skips its line; NaN if it is invalid, undefined if it is incomplete. */
  #readCount(bytes: Buffer, base: number, end: number): number | undefined {
    const from = base + this.#at + 1;
    const limit = Math.min(end, from + MAX_COUNT_BYTES);
    let to = from;
    while (to < limit && bytes[to] !== CR) to++;
    if (to === limit) return limit === end ? undefined : NaN;
    if (to + 1 >= end) return undefined;
    this.#at = to + 2 - base;
    return parseDecimal(bytes, from, to);
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
    return this.#complete();
  }
}

function tooManyArguments({ maxArguments }: RequestLimits): string {
  return `ERR command exceeds ${maxArguments - 1} arguments`;
}

function argumentTooLong({ maxBulkBytes }: RequestLimits): string {
  return `ERR argument exceeds ${maxBulkBytes} bytes`;
}

function requestTooLong({ maxRequestBytes }: RequestLimits): string {
  return `ERR request exceeds ${maxRequestBytes} bytes`;
}
