import { Buffer } from 'node:buffer';
import type { Etag } from './etag.ts';
import { STEP_BYTES } from './large-read.ts';

/**
 * A hit, copied out of the cache. Made once and used for one read after the other: to answer from it makes no object,
 * and the value goes from here to wherever the answer is put together, at any position.
 */
export class Hit {
  /** The value: the first {@link length} bytes. */
  readonly bytes: Buffer;
  /** The same memory, in the words that values are copied in. */
  readonly longs = new BigInt64Array(STEP_BYTES / 8);
  length = 0;
  /** The words of the value's etag. */
  readonly etag: [number, number, number] = [0, 0, 0] satisfies Etag;
  /** Milliseconds since the entry was stored. */
  ageMs = 0;
  /** Milliseconds from when it was stored to when it expires. */
  lifetimeMs = 0;

  constructor() {
    this.bytes = Buffer.from(this.longs.buffer);
  }
}
