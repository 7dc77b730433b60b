/** Counts the memory that connections buffer until their clients have received it; memory with several holders counts once. */
export interface BufferAccounting {
  /** Whether the limit leaves room for a small response. */
  readonly hasRoom: boolean;
  /** Adds a holder of memory; returns false, without an effect, if the limit would be exceeded. */
  tryHold(memory: ArrayBufferLike): boolean;
  /** Adds a holder of memory regardless of the limit. */
  hold(memory: ArrayBufferLike): void;
  /** Removes a holder. */
  release(memory: ArrayBufferLike): void;
}
