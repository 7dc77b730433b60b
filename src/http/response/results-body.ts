import { Buffer } from 'node:buffer';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type EncodedBytes, JsonText } from './json-text.ts';

/** Bytes that the results take in one answer, as JSON writes them. */
export const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** After so many bytes others have their turn. */
const TURN_BYTES = 256 * 1024;

/** JSON, and strings in it that are still to be written as JSON. */
export type JsonPart = string | EncodedBytes;

/** One of the results of an answer; it takes room if it is one that is left out where there is none. */
export interface Result {
  readonly parts: readonly JsonPart[];
  readonly takesRoom: boolean;
}

/** Bytes that the results may take in one answer of an instance that buffers so many bytes at most. */
export function maxAnswerBytes(maxBufferedBytes: number): number {
  // Values of nearly twice as many bytes may be held while they are rendered.
  return Math.min(MAX_ANSWER_BYTES, Math.floor(maxBufferedBytes / 4));
}

/** Memory for a body; undefined when there is no room for it now. */
export type Allocate = (bytes: number) => Buffer | undefined;

/** The body of an answer of many results, in order, of a length that is known before it is written. */
export class ResultsBody {
  readonly #pieces: (Buffer | JsonText)[] = [];
  #bytes = 0;
  #left: number;
  #turn = TURN_BYTES;
  readonly #afterStep = (bytes: number): Promise<void> | undefined => {
    this.#turn -= bytes;
    if (this.#turn > 0) return undefined;
    this.#turn = TURN_BYTES;
    return nextTurn();
  };

  /** @param maxBytes of the results that take room. */
  constructor(maxBytes: number) {
    this.#left = maxBytes;
  }

  /**
   * Measures an answer, in steps between which others have their turn.
   *
   * @param tooLarge what stands in the place of a result for which there is no room.
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

  /** Of the whole body. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Writes the body into memory of its length; undefined when there is none. */
  async write(allocate: Allocate): Promise<Buffer | undefined> {
    const target = allocate(this.#bytes);
    if (target === undefined) return undefined;
    let at = 0;
    for (const piece of this.#pieces) {
      if (piece instanceof JsonText) {
        await piece.write(target, at, this.#afterStep);
        at += piece.bytes;
      } else {
        at += piece.copy(target, at);
        const due = this.#afterStep(piece.length);
        if (due !== undefined) await due;
      }
    }
    return target;
  }

  async #add({ parts, takesRoom }: Result, tooLarge: string): Promise<void> {
    const before = this.#pieces.length;
    const bytesBefore = this.#bytes;
    const end = takesRoom ? this.#bytes + this.#left : Infinity;
    for (const part of parts) {
      if (typeof part === 'string') {
        this.#addText(part);
      } else {
        const text = await JsonText.of(part, end - this.#bytes, this.#afterStep);
        if (text === undefined) return this.#replaceFrom(before, bytesBefore, tooLarge);
        this.#addPiece(text, text.bytes);
      }
      if (this.#bytes > end) return this.#replaceFrom(before, bytesBefore, tooLarge);
    }
    if (takesRoom) this.#left -= this.#bytes - bytesBefore;
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

  #addPiece(piece: Buffer | JsonText, bytes: number): void {
    this.#pieces.push(piece);
    this.#bytes += bytes;
  }
}
