import type { Query } from '../../redis/query.ts';
import type { Forward, Lease } from '../shared-lru/cache-types.ts';
import type { ReadTracer, RequestSpan } from '../read-tracer.ts';
import type { MemoryAccount } from './buffered-bytes.ts';
import type { InFlightLoads } from './in-flight-loads.ts';
import { Load, reportBufferFull, startSpan } from './load.ts';
import type { Loader } from './loader.ts';
import type { Failure, LoadEnd } from './read-outcome.ts';

/** Loads that are started together: one permit and one round trip. A value that does not fit is reported to the caller. */
export class LoadBatch {
  readonly #loader: Loader;
  readonly #inFlight: InFlightLoads;
  readonly #account: MemoryAccount;
  readonly #tracer: ReadTracer | undefined;
  /** The span of the request that reads; undefined if it is not sampled. */
  readonly span: RequestSpan | undefined;
  #loads: Load[] = [];
  /** Loads without a lease by query, to coalesce repeated queries of this batch. */
  #unleased: Map<string, Load> | undefined;

  constructor(
    loader: Loader,
    inFlight: InFlightLoads,
    account: MemoryAccount,
    { tracer, span }: { readonly tracer: ReadTracer | undefined; readonly span: RequestSpan | undefined },
  ) {
    this.#loader = loader;
    this.#inFlight = inFlight;
    this.#account = account;
    this.#tracer = tracer;
    this.span = span;
  }

  /**
   * Adds a load.
   *
   * @param lease undefined: nothing is stored.
   */
  add(query: Query, lease: Lease | undefined, forward: Forward): Promise<LoadEnd> {
    return lease === undefined ? this.#addUnleased(query, forward) : this.#add(query, lease, forward).end;
  }

  /** Number of loads. */
  get size(): number {
    return this.#loads.length;
  }

  /** Starts the loads and drops the references to them, so that awaiting the last one does not retain the other values. */
  start(): void {
    const loads = this.#clear();
    if (loads.length > 0) this.#loader.start(loads);
  }

  /** Ends the loads with a failure, without sending them. */
  reject(failure: Failure): void {
    this.#loader.reject(this.#clear(), failure);
  }

  #clear(): readonly Load[] {
    const loads = this.#loads;
    this.#loads = [];
    this.#unleased = undefined;
    return loads;
  }

  #addUnleased(query: Query, forward: Forward): Promise<LoadEnd> {
    const name = query.name;
    const unleased = (this.#unleased ??= new Map<string, Load>());
    const same = unleased.get(name);
    if (same !== undefined) return collapsed(same.end, forward);
    const load = this.#add(query, undefined, forward);
    unleased.set(name, load);
    return load.end;
  }

  #add(query: Query, lease: Lease | undefined, forward: Forward): Load {
    const { span } = this;
    const request = { query, lease, forward, maxAgeMs: Infinity, client: undefined, account: this.#account, span };
    const load = new Load(request, this.#inFlight, reportBufferFull, startSpan(this.#tracer, request));
    this.#loads.push(load);
    return load;
  }
}

/** Returns the end of a load that another request has started. */
export async function collapsed(end: Promise<LoadEnd>, forward: Forward): Promise<LoadEnd> {
  const ended = await end;
  return ended.kind === 'buffer-full' ? ended : { ...ended, origin: 'collapsed', forward };
}
