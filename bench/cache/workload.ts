/** Keys, values and reads, which are the same for both caches. Keys are numbered from 0. */

import { mulberry32 } from '../../test/support/random.ts';

/** Dimensions of a cache to compare. */
export interface Shape {
  readonly entries: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
}

/** A sequence of keys as bytes, as they are found in a receive buffer. */
export interface Requests {
  /** The number of each key. */
  readonly numbers: Uint32Array;
  /** The names of the keys, `keyBytes` each. */
  readonly bytes: Buffer;
}

const KEY_PREFIX = 'session:';
const KEY_DIGITS = 12;
export const MIN_KEY_BYTES = KEY_PREFIX.length + KEY_DIGITS;
/** First number of the keys that are read only once. */
const NEW_KEYS = 1e9;
const NOISE_BYTES = 1 << 20;

export class Workload {
  readonly shape: Shape;
  readonly #noise: Buffer;
  readonly #random = mulberry32(1);

  constructor(shape: Shape) {
    this.shape = shape;
    this.#noise = Buffer.allocUnsafeSlow(NOISE_BYTES + shape.valueBytes);
    for (let i = 0; i < this.#noise.length; i++) this.#noise[i] = this.#random() * 256;
  }

  /** Returns the value of a key: a view of a larger buffer, like a value in a reply of Redis. */
  value(number: number): Buffer {
    const from = (number * 8) % NOISE_BYTES;
    return this.#noise.subarray(from, from + this.shape.valueBytes);
  }

  /** Returns `count` keys from `first` on, each once. */
  inOrder(first: number, count: number): Requests {
    return this.#requests(Uint32Array.from({ length: count }, (_, i) => first + i));
  }

  /** Returns `count` Zipf-distributed reads of cached keys. */
  reads(count: number): Requests {
    const popular = this.#popular(this.shape.entries);
    return this.#requests(Uint32Array.from({ length: count }, popular));
  }

  /** Returns `count` reads of twice as many keys as there are entries; every other read is for a new key. */
  churn(count: number): Requests {
    const keys = 2 * this.shape.entries;
    const popular = this.#popular(keys);
    return this.#requests(Uint32Array.from({ length: count }, (_, i) => (i % 2 === 0 ? popular() : NEW_KEYS + i)));
  }

  /** Returns a function that draws one of `keys` keys, Zipf-distributed with exponent 1, in shuffled order of popularity. */
  #popular(keys: number): () => number {
    const ofRank = this.#shuffled(keys);
    // The k-th most popular key has the probability ln((k + 1) / k) / ln(keys + 1), which is close to 1 / k.
    return () => ofRank[Math.min(keys, Math.floor(Math.exp(this.#random() * Math.log(keys + 1)))) - 1];
  }

  #requests(numbers: Uint32Array): Requests {
    const { keyBytes } = this.shape;
    const bytes = Buffer.allocUnsafeSlow(numbers.length * keyBytes);
    bytes.fill(KEY_PREFIX.padEnd(keyBytes, '0'));
    numbers.forEach((number, i) => {
      for (let at = (i + 1) * keyBytes - 1; number > 0; at--) {
        bytes[at] = 0x30 + (number % 10);
        number = Math.floor(number / 10);
      }
    });
    return { numbers, bytes };
  }

  #shuffled(count: number): Uint32Array {
    const numbers = Uint32Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const other = Math.floor(this.#random() * (i + 1));
      [numbers[i], numbers[other]] = [numbers[other], numbers[i]];
    }
    return numbers;
  }
}
