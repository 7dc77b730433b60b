import type { Lease } from './lookup.ts';
import type { LoadOutcome } from './read-outcome.ts';

/** The loads that this thread has under way or waits for, by the slot of their lease. */
export type LoadsUnderWay = Map<number, { readonly lease: Lease | undefined; readonly outcome: Promise<LoadOutcome> }>;

/** One load of a key by this thread. Those of it who ask for the leased key meanwhile find it among those under way. */
export class Load {
  readonly key: Buffer;
  /** Undefined: nothing is stored, and the load is for the one who asks. */
  readonly lease: Lease | undefined;
  readonly outcome: Promise<LoadOutcome>;
  readonly #underWay: LoadsUnderWay;
  #resolve!: (outcome: LoadOutcome) => void;
  #reject!: (bug: unknown) => void;

  constructor(key: Buffer, lease: Lease | undefined, underWay: LoadsUnderWay) {
    this.key = key;
    this.lease = lease;
    this.#underWay = underWay;
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (lease !== undefined) underWay.set(lease.slot, this);
  }

  end(outcome: LoadOutcome): void {
    this.#forget();
    this.#resolve(outcome);
  }

  fail(bug: unknown): void {
    this.#forget();
    this.#reject(bug);
  }

  #forget(): void {
    if (this.lease === undefined) return;
    const { slot } = this.lease;
    if (this.#underWay.get(slot) === this) this.#underWay.delete(slot);
  }
}
