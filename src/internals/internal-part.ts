/** Private parts of Node.js and ioredis that the proxy can use, in the order of their bits in shared memory. */
export const INTERNAL_PARTS = ['socket-write', 'socket-read', 'redis-batches'] as const;

export type InternalPartName = (typeof INTERNAL_PARTS)[number];

/** Whether a part is in use in this thread, and the reason if it is not. */
export type InternalPartState = { readonly inUse: true } | { readonly inUse: false; readonly reason: string };

/**
 * One private part of Node.js or ioredis in this thread. It is enabled by a successful probe and disabled for good if it
 * misbehaves later. While it is disabled, the proxy uses public API with the same results.
 */
export class InternalPart {
  readonly name: InternalPartName;
  #state: InternalPartState = { inUse: false, reason: 'not probed' };
  #watch: () => void = () => undefined;

  constructor(name: InternalPartName) {
    this.name = name;
  }

  get state(): InternalPartState {
    return this.#state;
  }

  /** Enables the part if `check` resolves, and disables it otherwise; never rejects. */
  async probe(check: () => Promise<void>): Promise<void> {
    try {
      await check();
      this.#change({ inUse: true });
    } catch (error) {
      this.disable(error);
    }
  }

  /** Disables the part in this thread. */
  disable(reason: unknown): void {
    this.#change({ inUse: false, reason: reason instanceof Error ? reason.message : String(reason) });
  }

  /** Calls `watch` on each change of the state. */
  onChange(watch: () => void): void {
    this.#watch = watch;
  }

  #change(state: InternalPartState): void {
    this.#state = state;
    this.#watch();
  }
}
