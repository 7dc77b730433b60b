import { type InstanceMemory, RowCount } from '../instance-memory.ts';
import { SUPERVISOR_ROW } from '../thread-context.ts';

const AT = RowCount.COHERENCE;
const [INVALIDATIONS, FLUSHES, LOSSES, LAST_LOSS] = [AT, AT + 1, AT + 2, AT + 3];
const [PURGES, IGNORED_PURGES, SUBSCRIPTION_LOSSES, SUBSCRIBED] = [AT + 4, AT + 5, AT + 6, AT + 7];

/** Counters of invalidations, and of purges over CACHE_PURGE_CHANNEL, written by the main thread and readable by every thread. */
export class CoherenceCounts {
  readonly #counts: Float64Array;

  constructor(memory: InstanceMemory) {
    this.#counts = memory.countsOf(SUPERVISOR_ROW);
  }

  countInvalidation(): void {
    this.#counts[INVALIDATIONS]++;
  }

  countFlush(): void {
    this.#counts[FLUSHES]++;
  }

  /** @param now seconds since 1970. */
  countLoss(now: number): void {
    this.#counts[LOSSES]++;
    this.#counts[LAST_LOSS] = now;
  }

  /** Invalidations received for single keys. */
  get invalidations(): number {
    return this.#counts[INVALIDATIONS];
  }

  /** FLUSHDB/FLUSHALL invalidations received. */
  get flushes(): number {
    return this.#counts[FLUSHES];
  }

  /** Times the invalidation stream was lost. */
  get losses(): number {
    return this.#counts[LOSSES];
  }

  /** Time of the last loss in seconds since 1970; 0 if there was none. */
  get lastLoss(): number {
    return this.#counts[LAST_LOSS];
  }

  countPurge(): void {
    this.#counts[PURGES]++;
  }

  countIgnoredPurge(): void {
    this.#counts[IGNORED_PURGES]++;
  }

  countSubscriptionLoss(): void {
    this.#counts[SUBSCRIPTION_LOSSES]++;
  }

  set isSubscribed(subscribed: boolean) {
    this.#counts[SUBSCRIBED] = subscribed ? 1 : 0;
  }

  /** Whether the main thread is subscribed to CACHE_PURGE_CHANNEL. */
  get isSubscribed(): boolean {
    return this.#counts[SUBSCRIBED] === 1;
  }

  /** Messages on CACHE_PURGE_CHANNEL that were applied. */
  get purges(): number {
    return this.#counts[PURGES];
  }

  /** Messages on CACHE_PURGE_CHANNEL that were not understood. */
  get ignoredPurges(): number {
    return this.#counts[IGNORED_PURGES];
  }

  /** Times the subscription to CACHE_PURGE_CHANNEL was lost. */
  get subscriptionLosses(): number {
    return this.#counts[SUBSCRIPTION_LOSSES];
  }
}
