import { Buffer } from 'node:buffer';

/** Longest text that is remembered, in bytes. */
const MAX_BYTES = 256;

/** Remembers what was made of texts that occur in many requests, without allocating when one is found again. */
export class ByteMemo<Value> {
  /** Each text is in the place that its hash gives. */
  readonly #places: ({ readonly text: Buffer; readonly value: Value } | undefined)[];

  /** @param places maximum number of texts. */
  constructor(places: number) {
    this.#places = Array.from({ length: places }, () => undefined);
  }

  /** Returns what was made of a text, bytes [from, to) of `bytes`; undefined if it is not remembered. */
  get(bytes: Uint8Array, from: number, to: number): Value | undefined {
    const found = this.#places[this.#placeOf(bytes, from, to)];
    return found !== undefined && isEqual(found.text, bytes, from, to) ? found.value : undefined;
  }

  set(bytes: Buffer, from: number, to: number, value: Value): void {
    if (to - from > MAX_BYTES) return;
    this.#places[this.#placeOf(bytes, from, to)] = { text: Buffer.from(bytes.subarray(from, to)), value };
  }

  /** FNV-1a. */
  #placeOf(bytes: Uint8Array, from: number, to: number): number {
    let hash = 0x811c9dc5;
    for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
    return (hash >>> 0) % this.#places.length;
  }
}

function isEqual(text: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (text.length !== to - from) return false;
  for (let i = 0; i < text.length; i++) if (text[i] !== bytes[from + i]) return false;
  return true;
}
