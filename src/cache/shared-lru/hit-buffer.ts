import { Buffer } from 'node:buffer';
import type { Etag } from './etag.ts';
import { CHUNK_BYTES } from './reading/chunked-read.ts';

/**
 * Reusable buffer for one hit, copied out of the cache. Serving from it allocates nothing: the value is copied from here
 * into the response, at any position.
 */
export class HitBuffer {
  /** The value: the first {@link length} bytes. */
  readonly bytes: Buffer;
  /** The same memory as 64-bit words, in which values are copied. */
  readonly words64 = new BigInt64Array(CHUNK_BYTES / 8);
  length = 0;
  /** The words of the value's etag. */
  readonly etag: [number, number, number] = [0, 0, 0] satisfies Etag;
  /** Milliseconds since the entry was stored. */
  ageMs = 0;
  /** Milliseconds from storing to expiry. */
  lifetimeMs = 0;

  constructor() {
    this.bytes = Buffer.from(this.words64.buffer);
  }
}
