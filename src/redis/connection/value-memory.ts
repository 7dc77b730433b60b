import type { Buffer } from 'node:buffer';

/** Allocates and accounts for the memory of values that arrive in several parts. */
export interface ValueMemory {
  /** Allocates memory; returns undefined if it does not fit now. */
  allocate(bytes: number): Buffer | undefined;
  /** Ends the charge for memory at the end of this tick; a receiver that keeps it longer must account for it. */
  releaseAfterTick(memory: ArrayBufferLike): void;
}
