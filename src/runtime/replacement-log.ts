import { performance } from 'node:perf_hooks';
import type { ReplacedNode } from '../redis/cluster/replaced-node.ts';

/** Milliseconds after its last report for which an address is not logged again. */
const FORGET_MS = 60_000;

/** Logs once that a node was replaced at its address, even if several threads report it repeatedly. */
export class ReplacementLog {
  readonly #log: (line: string) => void;
  readonly #now: () => number;
  readonly #reportedAt = new Map<string, number>();

  /** @param now milliseconds of a monotonic clock. */
  constructor(log: (line: string) => void, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#now = now;
  }

  report({ address }: Pick<ReplacedNode, 'address'>): void {
    const now = this.#now();
    const lastAt = this.#reportedAt.get(address) ?? -Infinity;
    this.#reportedAt.set(address, now);
    if (now - lastAt < FORGET_MS) return;
    this.#log(`the Redis node at ${address} was replaced by another one at the same address; connecting to that one`);
  }
}
