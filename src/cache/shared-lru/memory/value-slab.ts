import { Buffer } from 'node:buffer';
import { wordCount } from './item-bytes.ts';

const SLAB_BYTES = 64 * 1024;
/** Larger values get an allocation of their own, so that they do not keep a whole slab alive. */
const MAX_SHARED_BYTES = SLAB_BYTES / 8;

/**
 * Allocates memory for values copied out of the cache. As with `Buffer.allocUnsafe`, many small copies share one
 * allocation; unlike it, the 64-bit words of a copy are accessible without another view.
 */
export class ValueSlab {
  words64 = new BigInt64Array(0);
  at = 0;
  #slab = this.words64;
  #next = 0;

  /** Reserves room for a copy of `bytes` bytes at word {@link at} of {@link words64}. */
  reserve(bytes: number): void {
    const words = wordCount(bytes);
    if (bytes > MAX_SHARED_BYTES) {
      this.words64 = uninitialised(words);
      this.at = 0;
      return;
    }
    if (this.#next + words > this.#slab.length) {
      this.#slab = uninitialised(SLAB_BYTES / 8);
      this.#next = 0;
    }
    this.words64 = this.#slab;
    this.at = this.#next;
    this.#next += words;
  }

  /** Returns the first `bytes` bytes of the latest reservation. */
  take(bytes: number): Buffer {
    return Buffer.from(this.words64.buffer, this.at * 8, bytes);
  }
}

function uninitialised(words: number): BigInt64Array<ArrayBuffer> {
  return new BigInt64Array(Buffer.allocUnsafeSlow(words * 8).buffer);
}
