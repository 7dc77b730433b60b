import type { NoRoom } from '../../redis/redis-reply.ts';
import type { Reader, Room } from './buffered-bytes.ts';
import type { Forward, Lease } from '../shared-lru/cache-types.ts';
import type { InFlightLoad, InFlightLoads } from './in-flight-loads.ts';
import type { LoadEnd, LoadOutcome } from './read-outcome.ts';

/** A key to load, and for which request. */
export interface LoadRequest {
  readonly key: Buffer;
  /** Undefined: nothing is stored, and the load serves a single request. */
  readonly lease: Lease | undefined;
  readonly forward: Forward;
  /** Maximum age in milliseconds that the request accepts. */
  readonly maxAgeMs: number;
  readonly reader: Reader | undefined;
  /** Memory account that the value is charged to. */
  readonly room: Room;
}

/** One load of a key by this thread. */
export class Load<End extends LoadEnd = LoadEnd> {
  readonly request: LoadRequest;
  readonly end: Promise<End>;
  readonly #whenNoRoom: (request: LoadRequest, noRoom: NoRoom) => End | Promise<End>;
  readonly #inFlight: InFlightLoads;
  /** Registers the load for concurrent reads of the leased key on this thread. */
  readonly #entry: InFlightLoad | undefined;
  #resolve!: (end: End | Promise<End>) => void;
  #reject!: (bug: unknown) => void;

  /** @param whenNoRoom returns the end of the load if its value does not fit in the buffered-bytes limit. */
  constructor(
    request: LoadRequest,
    inFlight: InFlightLoads,
    whenNoRoom: (request: LoadRequest, noRoom: NoRoom) => End | Promise<End>,
  ) {
    this.request = request;
    this.#inFlight = inFlight;
    this.#whenNoRoom = whenNoRoom;
    this.end = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const { lease } = request;
    if (lease === undefined) return;
    this.#entry = { lease, end: this.end, blocked: undefined, next: undefined };
    inFlight.add(this.#entry);
  }

  settle(outcome: LoadOutcome & End): void {
    this.#forget();
    this.#resolve(outcome);
  }

  settleWithoutRoom(noRoom: NoRoom): void {
    this.#forget();
    this.#entry?.blocked?.forEach((notify) => notify(noRoom));
    this.#resolve(this.#whenNoRoom(this.request, noRoom));
  }

  fail(bug: unknown): void {
    this.#forget();
    this.#reject(bug);
  }

  #forget(): void {
    if (this.#entry !== undefined) this.#inFlight.remove(this.#entry);
  }
}
