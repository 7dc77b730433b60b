import type { NoRoom } from '../../redis/redis-reply.ts';
import type { Reader, Room } from './buffered-bytes.ts';
import type { Forward, Lease } from '../shared-lru/cache-types.ts';
import type { InFlightLoad, InFlightLoads } from './in-flight-loads.ts';
import type { LoadEnd, LoadOutcome } from './read-outcome.ts';

/** What a load is for. */
export interface LoadRequest {
  readonly key: Buffer;
  /** Undefined: nothing is stored, and the load is for the one who asks. */
  readonly lease: Lease | undefined;
  readonly forward: Forward;
  /** Milliseconds: what was stored longer ago does not do. */
  readonly maxAgeMs: number;
  readonly reader: Reader | undefined;
  /** Where its value is counted. */
  readonly room: Room;
}

/** One load of a key by this thread. */
export class Load<End extends LoadEnd = LoadEnd> {
  readonly request: LoadRequest;
  readonly end: Promise<End>;
  readonly #whenNoRoom: (request: LoadRequest, noRoom: NoRoom) => End | Promise<End>;
  readonly #underWay: InFlightLoads;
  /** How those of this thread find it who ask for the leased key meanwhile. */
  readonly #awaited: InFlightLoad | undefined;
  #resolve!: (end: End | Promise<End>) => void;
  #reject!: (bug: unknown) => void;

  /** @param whenNoRoom what the load ends with when there is no room for its value. */
  constructor(
    request: LoadRequest,
    underWay: InFlightLoads,
    whenNoRoom: (request: LoadRequest, noRoom: NoRoom) => End | Promise<End>,
  ) {
    this.request = request;
    this.#underWay = underWay;
    this.#whenNoRoom = whenNoRoom;
    this.end = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const { lease } = request;
    if (lease === undefined) return;
    this.#awaited = { lease, end: this.end, blocked: undefined, next: undefined };
    underWay.add(this.#awaited);
  }

  settle(outcome: LoadOutcome & End): void {
    this.#forget();
    this.#resolve(outcome);
  }

  settleWithoutRoom(noRoom: NoRoom): void {
    this.#forget();
    this.#awaited?.blocked?.forEach((tell) => tell(noRoom));
    this.#resolve(this.#whenNoRoom(this.request, noRoom));
  }

  fail(bug: unknown): void {
    this.#forget();
    this.#reject(bug);
  }

  #forget(): void {
    if (this.#awaited !== undefined) this.#underWay.remove(this.#awaited);
  }
}
