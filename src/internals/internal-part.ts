/** Private parts of Node.js and ioredis that the proxy can use, in the order of their bits in shared memory. */
export const INTERNAL_PARTS = ['socket-write', 'socket-read', 'redis-batches'] as const;

export type InternalPartName = (typeof INTERNAL_PARTS)[number];

/** Whether a part is in use in this thread; if not, why. */
export type InternalPartState = { readonly inUse: true } | { readonly inUse: false; readonly reason: string };

/**
 * One private part of Node.js or ioredis, as this thread uses it. It is out of use until a probe has shown that it behaves
 * as needed, and goes out of use for good when it misbehaves later. Without it the proxy does the same with public API.
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

  /** Uses the part from now on if `check` resolves; never rejects. */
  async probe(check: () => Promise<void>): Promise<void> {
    try {
      await check();
      this.#change({ inUse: true });
    } catch (error) {
      this.disable(error);
    }
  }

  /** Stops the use of the part in this thread. */
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
