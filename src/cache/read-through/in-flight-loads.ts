import type { NoRoom } from '../../redis/redis-reply.ts';
import type { Lease } from '../shared-lru/cache-types.ts';
import type { LoadEnd } from './read-outcome.ts';

/** What came, or is to come, of the load that a lease is for. */
export interface InFlightLoad {
  readonly lease: Lease;
  readonly end: Promise<LoadEnd>;
  /** Who must know when the load goes on to wait for room, and must not wait with it. */
  blocked: ((noRoom: NoRoom) => void)[] | undefined;
  /** The next one of the same bucket. */
  next: InFlightLoad | undefined;
}

const BUCKETS = 1024;

/**
 * The loads that this thread has under way or waits for, by their lease. A table of its own: a Map that is filled and
 * emptied all the time moves on to new tables, to which V8 links the old ones; once an old one has grown old, whatever
 * hangs on the chain survives each minor collection: these took a tenth of the time of a miss.
 */
export class InFlightLoads {
  readonly #buckets = Array.from({ length: BUCKETS }, (): InFlightLoad | undefined => undefined);

  find({ slot, version }: Lease): InFlightLoad | undefined {
    let each = this.#buckets[slot % BUCKETS];
    while (each !== undefined && (each.lease.slot !== slot || each.lease.version !== version)) each = each.next;
    return each;
  }

  add(awaited: InFlightLoad): void {
    const bucket = awaited.lease.slot % BUCKETS;
    awaited.next = this.#buckets[bucket];
    this.#buckets[bucket] = awaited;
  }

  /** Does nothing when it is gone already. */
  remove(awaited: InFlightLoad): void {
    const bucket = awaited.lease.slot % BUCKETS;
    let before: InFlightLoad | undefined;
    let each = this.#buckets[bucket];
    while (each !== undefined && each !== awaited) {
      before = each;
      each = each.next;
    }
    if (each === undefined) return;
    if (before === undefined) this.#buckets[bucket] = awaited.next;
    else before.next = awaited.next;
    awaited.next = undefined;
  }
}
