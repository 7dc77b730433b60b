import { Buffer, isUtf8 } from 'node:buffer';

/** Bytes that are processed before yielding to the event loop. */
const STEP_BYTES = 64 * 1024;

/** The bytes of a string, and its representation in JSON: as text, decoded from UTF-8, or in base64. */
export interface EncodedBytes {
  readonly value: Buffer;
  readonly encoding: 'utf8' | 'base64';
}

/** The escape that JSON.stringify writes for each byte of UTF-8 text; undefined if it writes the byte itself. */
const ESCAPES = Array.from({ length: 256 }, (_, byte): Buffer | undefined => {
  if (byte >= 0x80) return undefined;
  const escaped = JSON.stringify(String.fromCharCode(byte)).slice(1, -1);
  return escaped.length === 1 ? undefined : Buffer.from(escaped);
});
const ESCAPED_LENGTHS = Uint8Array.from(ESCAPES, (escape) => escape?.length ?? 1);
const QUOTE = 0x22;

/** Called after each step with its length in bytes; the next step waits for the promise. */
export type AfterStep = (bytes: number) => Promise<void> | undefined;

/** A JSON string whose length is known before it is written. */
export class JsonText {
  /** Length in bytes, including the quotes. */
  readonly bytes: number;
  readonly #value: Buffer;
  readonly #isBase64: boolean;

  private constructor(value: Buffer, isBase64: boolean, bytes: number) {
    this.#value = value;
    this.#isBase64 = isBase64;
    this.bytes = bytes;
  }

  /** Measures a string; undefined if it exceeds `maxBytes`. */
  static async of(
    { value, encoding }: EncodedBytes,
    maxBytes: number,
    afterStep: AfterStep,
  ): Promise<JsonText | undefined> {
    if (value.length > maxBytes) return undefined;
    if (encoding === 'base64') {
      const bytes = 4 * Math.ceil(value.length / 3) + 2;
      return bytes > maxBytes ? undefined : new JsonText(value, true, bytes);
    }
    const text = isUtf8(value) ? value : await wellFormed(value, maxBytes, afterStep);
    if (text === undefined) return undefined;
    let bytes = 2;
    for (let from = 0; from < text.length && bytes <= maxBytes; from += STEP_BYTES) {
      const to = Math.min(text.length, from + STEP_BYTES);
      bytes += escapedLength(text, from, to);
      await afterStep(to - from);
    }
    return bytes > maxBytes ? undefined : new JsonText(text, false, bytes);
  }

  /** Writes the string to `target` at `at`. */
  async write(target: Buffer, at: number, afterStep: AfterStep): Promise<void> {
    target[at] = QUOTE;
    let end = at + 1;
    // A multiple of three bytes, which base64 encodes as four characters.
    const step = this.#isBase64 ? 3 * 16 * 1024 : STEP_BYTES;
    const isPlain = this.bytes === this.#value.length + 2;
    for (let from = 0; from < this.#value.length; from += step) {
      const to = Math.min(this.#value.length, from + step);
      if (this.#isBase64) end += target.write(this.#value.toString('base64', from, to), end, 'latin1');
      else if (isPlain) end += this.#value.copy(target, end, from, to);
      else end = writeEscaped(this.#value, from, to, target, end);
      await afterStep(to - from);
    }
    target[end] = QUOTE;
  }
}

/** Returns the length, in bytes, of UTF-8 text in a JSON string, without the quotes. */
export function escapedLength(text: Buffer, from: number, to: number): number {
  let length = 0;
  for (let at = from; at < to; at++) length += ESCAPED_LENGTHS[text[at]];
  return length;
}

/** Writes UTF-8 text as it is in a JSON string, without the quotes, and returns its end. */
export function writeEscaped(text: Buffer, from: number, to: number, target: Buffer, at: number): number {
  let end = at;
  for (let i = from; i < to; i++) {
    const byte = text[i];
    const escape = ESCAPES[byte];
    if (escape === undefined) target[end++] = byte;
    else for (const each of escape) target[end++] = each;
  }
  return end;
}

/** Replaces invalid UTF-8 by U+FFFD; undefined if the result exceeds `maxBytes`. */
async function wellFormed(value: Buffer, maxBytes: number, afterStep: AfterStep): Promise<Buffer | undefined> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const parts: Buffer[] = [];
  let bytes = 0;
  for (let from = 0; from < value.length && bytes <= maxBytes; from += STEP_BYTES) {
    const isLast = from + STEP_BYTES >= value.length;
    const part = Buffer.from(decoder.decode(value.subarray(from, from + STEP_BYTES), { stream: !isLast }));
    bytes += part.length;
    parts.push(part);
    await afterStep(part.length);
  }
  return bytes > maxBytes ? undefined : Buffer.concat(parts);
}
