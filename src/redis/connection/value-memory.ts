import type { Buffer } from 'node:buffer';

/** Where the memory comes from into which a value is read that does not arrive in one piece, and who counts it. */
export interface ValueMemory {
  /** Memory of so many bytes; undefined when there is no room for them now. */
  allocate(bytes: number): Buffer | undefined;
  /** Hands memory over, or back: whoever keeps it beyond this turn of the event loop has to count it from then on. */
  pass(memory: ArrayBufferLike): void;
}
