import { Buffer } from 'node:buffer';
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { type EncodedReply, JsonReply } from './json-reply.ts';
import { type EncodedBytes, JsonText } from './json-text.ts';

/** Upper bound for the results in one response, in bytes of JSON. */
export const MAX_RESULTS_BYTES = 16 * 1024 * 1024;
/** Bytes after which rendering yields to the event loop. */
const YIELD_BYTES = 256 * 1024;

/** A piece of JSON text, bytes to be encoded as a JSON string, or a reply of Redis to be encoded as JSON. */
export type JsonPart = string | EncodedBytes | EncodedReply;

/** One result of a response; `counted` if it counts towards the size limit and is replaced once that is reached. */
export interface Result {
  readonly parts: readonly JsonPart[];
  readonly counted: boolean;
}

/** Returns the limit for the results in one response of an instance with this limit of buffered bytes. */
export function maxResultsBytes(maxBufferedBytes: number): number {
  // The values in memory while they are rendered can be nearly twice as long as the limit.
  return Math.min(MAX_RESULTS_BYTES, Math.floor(maxBufferedBytes / 4));
}

/** Allocates memory for a body; undefined if none is available now. */
export type Allocate = (bytes: number) => Buffer | undefined;

/** The JSON body of a response with several results, in order; its length is known before it is written. */
export class ResultsBody {
  readonly #pieces: (Buffer | JsonText | JsonReply)[] = [];
  #bytes = 0;
  #left: number;
  #untilYield = YIELD_BYTES;
  readonly #afterStep = (bytes: number): Promise<void> | undefined => {
    this.#untilYield -= bytes;
    if (this.#untilYield > 0) return undefined;
    this.#untilYield = YIELD_BYTES;
    return yieldToEventLoop();
  };

  /** @param maxBytes limit for the results that are counted. */
  constructor(maxBytes: number) {
    this.#left = maxBytes;
  }

  /**
   * Measures a body, and yields to the event loop regularly.
   *
   * @param tooLarge JSON that replaces a result beyond the limit.
   */
  static async of(
    [opening, closing]: readonly [string, string],
    results: readonly Result[],
    tooLarge: string,
    maxBytes: number,
  ): Promise<ResultsBody> {
    const body = new ResultsBody(maxBytes);
    body.#addText(opening);
    for (const [index, result] of results.entries()) {
      if (index > 0) body.#addText(',');
      await body.#add(result, tooLarge);
    }
    body.#addText(closing);
    return body;
  }

  /** Length of the whole body. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Writes the body into newly allocated memory; undefined if none is available. */
  async write(allocate: Allocate): Promise<Buffer | undefined> {
    const target = allocate(this.#bytes);
    if (target === undefined) return undefined;
    let at = 0;
    for (const piece of this.#pieces) {
      if (Buffer.isBuffer(piece)) {
        at += piece.copy(target, at);
        const due = this.#afterStep(piece.length);
        if (due !== undefined) await due;
      } else {
        await piece.write(target, at, this.#afterStep);
        at += piece.bytes;
      }
    }
    return target;
  }

  async #add({ parts, counted }: Result, tooLarge: string): Promise<void> {
    const before = this.#pieces.length;
    const bytesBefore = this.#bytes;
    const end = counted ? this.#bytes + this.#left : Infinity;
    for (const part of parts) {
      if (typeof part === 'string') {
        this.#addText(part);
      } else {
        const maxBytes = end - this.#bytes;
        const text = await ('reply' in part
          ? JsonReply.of(part, maxBytes, this.#afterStep)
          : JsonText.of(part, maxBytes, this.#afterStep));
        if (text === undefined) return this.#replaceFrom(before, bytesBefore, tooLarge);
        this.#addPiece(text, text.bytes);
      }
      if (this.#bytes > end) return this.#replaceFrom(before, bytesBefore, tooLarge);
    }
    if (counted) this.#left -= this.#bytes - bytesBefore;
  }

  #replaceFrom(piece: number, bytes: number, text: string): void {
    this.#pieces.length = piece;
    this.#bytes = bytes;
    this.#addText(text);
  }

  #addText(text: string): void {
    const piece = Buffer.from(text);
    this.#addPiece(piece, piece.length);
  }

  #addPiece(piece: Buffer | JsonText | JsonReply, bytes: number): void {
    this.#pieces.push(piece);
    this.#bytes += bytes;
  }
}
