import type { BufferFull } from '../../redis/redis-reply.ts';
import type { Lease } from '../shared-lru/cache-types.ts';
import type { LoadSpan } from '../read-tracer.ts';
import type { LoadEnd } from './read-outcome.ts';

/** A load for which a lease was granted, to this thread or another. */
export interface InFlightLoad {
  readonly lease: Lease;
  readonly end: Promise<LoadEnd>;
  /** Whether a further read of this thread waits for it, not only the one that started it. */
  isJoined: boolean;
  /** Undefined if it is not sampled, or the load is that of another thread. */
  readonly span: LoadSpan | undefined;
  /** Callbacks of followers that must not wait when the load itself starts to wait for memory. */
  blockedCallbacks: ((bufferFull: BufferFull) => void)[] | undefined;
  /** The next load in the same bucket. */
  next: InFlightLoad | undefined;
}

const BUCKETS = 1024;

/**
 * Loads that this thread has in flight or waits for, by lease. This is not a `Map` because a map with constant insertions and
 * deletions is rehashed often, and V8 links each old table to its successor: once an old table is in the old generation,
 * everything reachable from it survives minor collections. Those took a tenth of the time of a miss.
 */
export class InFlightLoads {
  readonly #buckets = Array.from({ length: BUCKETS }, (): InFlightLoad | undefined => undefined);

  find({ slot, version }: Lease): InFlightLoad | undefined {
    let each = this.#buckets[slot % BUCKETS];
    while (each !== undefined && (each.lease.slot !== slot || each.lease.version !== version)) each = each.next;
    return each;
  }

  add(load: InFlightLoad): void {
    const bucket = load.lease.slot % BUCKETS;
    load.next = this.#buckets[bucket];
    this.#buckets[bucket] = load;
  }

  /** Removes a load, if present. */
  remove(load: InFlightLoad): void {
    const bucket = load.lease.slot % BUCKETS;
    let before: InFlightLoad | undefined;
    let each = this.#buckets[bucket];
    while (each !== undefined && each !== load) {
      before = each;
      each = each.next;
    }
    if (each === undefined) return;
    if (before === undefined) this.#buckets[bucket] = load.next;
    else before.next = load.next;
    load.next = undefined;
  }
}
