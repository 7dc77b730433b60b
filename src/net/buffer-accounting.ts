/** Counts the memory that connections keep until their clients have taken it; all holders of one memory share one count. */
export interface BufferAccounting {
  /** Whether there is room for something small. */
  readonly hasRoom: boolean;
  /** Holds memory; false, with nothing held, when there is no room for it. */
  tryHold(memory: ArrayBufferLike): boolean;
  /** Holds memory that cannot be done without. */
  hold(memory: ArrayBufferLike): void;
  /** Ends one hold. */
  release(memory: ArrayBufferLike): void;
}
