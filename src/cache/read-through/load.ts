import type { Query } from '../../redis/query.ts';
import type { BufferFull } from '../../redis/redis-reply.ts';
import type { ReadClient, MemoryAccount } from './buffered-bytes.ts';
import type { Forward, Lease, Place } from '../shared-lru/cache-types.ts';
import type { InFlightLoad, InFlightLoads } from './in-flight-loads.ts';
import type { LoadSpan, ReadTracer, RequestSpan } from '../read-tracer.ts';
import type { LoadEnd, LoadOutcome } from './read-outcome.ts';

/** A query to load, and for which request. */
export interface LoadRequest {
  readonly query: Query;
  /** Undefined: nothing is stored, and the load serves a single request. */
  readonly lease: Lease | undefined;
  readonly forward: Forward;
  /** Maximum age in milliseconds that the request accepts. */
  readonly maxAgeMs: number;
  readonly client: ReadClient | undefined;
  /** Memory account that the value is charged to. */
  readonly account: MemoryAccount;
  /** Where the entry is stored in the order of use; `first` by default. */
  readonly place?: Place;
  /** The span of the request; undefined if it is not sampled. */
  readonly span: RequestSpan | undefined;
}

/** One load of a key by this thread. */
export class Load<End extends LoadEnd = LoadEnd> {
  readonly request: LoadRequest;
  readonly end: Promise<End>;
  /** Undefined if it is not sampled. */
  readonly span: LoadSpan | undefined;
  readonly #onBufferFull: (request: LoadRequest, bufferFull: BufferFull) => End | Promise<End>;
  readonly #inFlight: InFlightLoads;
  /** Registers the load for concurrent reads of the leased key on this thread. */
  readonly #entry: InFlightLoad | undefined;
  #resolve!: (end: End | Promise<End>) => void;
  #reject!: (bug: unknown) => void;

  /** @param onBufferFull returns the end of the load if its value does not fit in the buffered-bytes limit. */
  constructor(
    request: LoadRequest,
    inFlight: InFlightLoads,
    onBufferFull: (request: LoadRequest, bufferFull: BufferFull) => End | Promise<End>,
    span: LoadSpan | undefined,
  ) {
    this.request = request;
    this.span = span;
    this.#inFlight = inFlight;
    this.#onBufferFull = onBufferFull;
    this.end = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const { lease } = request;
    if (lease === undefined) return;
    this.#entry = { lease, end: this.end, span, isJoined: false, blockedCallbacks: undefined, next: undefined };
    inFlight.add(this.#entry);
  }

  /** Where the entry is stored in the order of use: what a request waits for is the most recently used. */
  get place(): Place {
    const { place = 'first' } = this.request;
    return this.#entry?.isJoined === true ? 'first' : place;
  }

  settle(outcome: LoadOutcome & End): void {
    this.#unregister();
    this.span?.end(outcome);
    this.#resolve(outcome);
  }

  settleBufferFull(bufferFull: BufferFull): void {
    this.#unregister();
    this.span?.end(bufferFull);
    this.#entry?.blockedCallbacks?.forEach((notify) => notify(bufferFull));
    this.#resolve(this.#onBufferFull(this.request, bufferFull));
  }

  fail(bug: unknown): void {
    this.#unregister();
    this.span?.fail(bug);
    this.#reject(bug);
  }

  #unregister(): void {
    if (this.#entry !== undefined) this.#inFlight.remove(this.#entry);
  }
}

/** Starts the span of a load, if its request is sampled. */
export function startSpan(tracer: ReadTracer | undefined, { query, span, lease }: LoadRequest): LoadSpan | undefined {
  return span === undefined ? undefined : tracer?.startLoad(query, span, lease);
}

/** Returns the end of a load whose value does not fit: its reads wait for memory and are repeated. */
export function reportBufferFull(_request: LoadRequest, bufferFull: BufferFull): LoadEnd {
  return bufferFull;
}
