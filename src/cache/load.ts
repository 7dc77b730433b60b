import type { Forward, Lease } from './lookup.ts';
import type { Awaited, LoadsUnderWay } from './loads-under-way.ts';
import type { LoadOutcome } from './read-outcome.ts';

/** One load of a key by this thread. */
export class Load {
  readonly key: Buffer;
  /** Undefined: nothing is stored, and the load is for the one who asks. */
  readonly lease: Lease | undefined;
  readonly forward: Forward;
  readonly outcome: Promise<LoadOutcome>;
  readonly #underWay: LoadsUnderWay;
  /** How those of this thread find it who ask for the leased key meanwhile. */
  readonly #awaited: Awaited | undefined;
  #resolve!: (outcome: LoadOutcome) => void;
  #reject!: (bug: unknown) => void;

  constructor(key: Buffer, lease: Lease | undefined, forward: Forward, underWay: LoadsUnderWay) {
    this.key = key;
    this.lease = lease;
    this.forward = forward;
    this.#underWay = underWay;
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (lease === undefined) return;
    this.#awaited = { lease, outcome: this.outcome, next: undefined };
    underWay.add(this.#awaited);
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
    if (this.#awaited !== undefined) this.#underWay.remove(this.#awaited);
  }
}
