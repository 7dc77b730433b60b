import { Buffer } from 'node:buffer';

/** Allocates and accounts for the memory of values that arrive in several parts. */
export interface ValueMemory {
  /** Bytes that are reserved for the values of this account: {@link allocate} returns them for certain. */
  readonly reservedBytes: number;
  /** Allocates memory; returns undefined if it does not fit now. */
  allocate(bytes: number): Buffer | undefined;
  /**
   * Joins allocated memory: copies the first `bytes` bytes of `parts` to one buffer, to which their charge passes as far as
   * its length requires. The parts must not be used afterwards.
   */
  join(parts: readonly Buffer[], bytes: number): Buffer;
  /** Ends the charge for memory at the end of this tick; a receiver that keeps it longer must account for it. */
  releaseAfterTick(memory: ArrayBufferLike): void;
}

/** Allocates without a limit. */
export const UNLIMITED_MEMORY: ValueMemory = {
  reservedBytes: 0,
  allocate: (bytes) => Buffer.allocUnsafeSlow(bytes),
  join: (parts, bytes) => Buffer.concat(parts, bytes),
  releaseAfterTick: () => undefined,
};

/** Never allocates: values that arrive in several parts are discarded. */
export const NO_MEMORY: ValueMemory = { ...UNLIMITED_MEMORY, allocate: () => undefined };
