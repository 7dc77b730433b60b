import { performance } from 'node:perf_hooks';

const FIRST_BACK_OFF_MS = 250;
const MAX_BACK_OFF_MS = 5000;
/** Milliseconds without an attempt after which the next one counts as the first. */
const FORGET_MS = 60_000;

interface Attempts {
  readonly count: number;
  readonly lastAt: number;
}

/**
 * Limits how often connections to an address are replaced because a node redirects to itself: immediately the first time, then
 * after 250 ms, doubled with each attempt up to 5 s. A node that keeps redirecting to itself must not cause a loop.
 */
export class ReplacementLimiter {
  readonly #now: () => number;
  readonly #attempts = new Map<string, Attempts>();

  /** @param now returns monotonic milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Returns 0, and counts an attempt, if a connection to this address may be replaced now; else the milliseconds to wait. */
  tryReplace(address: string): number {
    const now = this.#now();
    for (const [each, { lastAt }] of this.#attempts) if (now - lastAt >= FORGET_MS) this.#attempts.delete(each);
    const { count, lastAt } = this.#attempts.get(address) ?? { count: 0, lastAt: -Infinity };
    const backOffMs = Math.min(FIRST_BACK_OFF_MS * 2 ** (count - 1), MAX_BACK_OFF_MS);
    const waitMs = count === 0 ? 0 : Math.max(0, lastAt + backOffMs - now);
    if (waitMs === 0) this.#attempts.set(address, { count: count + 1, lastAt: now });
    return waitMs;
  }
}
