import type { Query } from '../../redis/query.ts';
import type { BufferFull } from '../../redis/redis-reply.ts';
import type { Forward, Lease, Lookup, Served } from '../shared-lru/cache-types.ts';
import type { SharedLru } from '../shared-lru/shared-lru.ts';
import type { ReadTracer, RequestSpan } from '../read-tracer.ts';
import type { MemoryAccount } from './buffered-bytes.ts';
import { type InFlightLoad, InFlightLoads } from './in-flight-loads.ts';
import { LoadBatch, collapsed } from './load-batch.ts';
import { Load, type LoadRequest, reportBufferFull, startSpan } from './load.ts';
import type { Loader } from './loader.ts';
import { type LoadEnd, type LoadOutcome, asCollapsed, failedLoad } from './read-outcome.ts';

/** Result of a lookup that the cache cannot serve. */
export type Uncached = Exclude<LookedUp, Served>;
type Loading = Extract<Lookup, { kind: 'loading' }>;

/** Loads that no request waits for. */
export interface WarmUpBatch {
  /** Number of queries, from the first one, that are being loaded or need not be. */
  readonly taken: number;
  /** Whether the cache has no room for the next query. */
  readonly isFull: boolean;
  /** Resolves when all loads have ended. */
  readonly ends: Promise<readonly WarmUpEnd[]>;
}

/** How a load that no request waits for ended; without its value, which may be large. */
export interface WarmUpEnd {
  readonly query: Query;
  /** `failed`: a bug. */
  readonly kind: LoadEnd['kind'] | 'failed';
  /** Length of the value in bytes; 0 if there is none. */
  readonly bytes: number;
  readonly isStored: boolean;
}

/** Result of {@link LoadCoalescer.lookUp}. */
export type LookedUp = Exclude<Lookup, { kind: 'refresh' }>;

export function isCached(found: LookedUp): found is Served {
  return found.kind === 'hit' || found.kind === 'missing' || found.kind === 'revalidating';
}

/** Lets reads of a key join the load in flight, of this thread or another, or starts one. */
export class LoadCoalescer {
  readonly #lru: SharedLru;
  readonly #loader: Loader;
  /** Account of values that another thread has loaded, which are read from the cache. */
  readonly #account: MemoryAccount;
  readonly #inFlight = new InFlightLoads();
  readonly #tracer: ReadTracer | undefined;

  constructor(lru: SharedLru, loader: Loader, account: MemoryAccount, tracer: ReadTracer | undefined) {
    this.#tracer = tracer;
    this.#lru = lru;
    this.#loader = loader;
    this.#account = account;
  }

  /**
   * Looks up the result of a query, as {@link SharedLru.lookup} does, and starts to reload it in the background if that is
   * due.
   */
  lookUp(query: Query, counted: boolean, maxAgeMs: number, admit: (memory: ArrayBufferLike) => boolean): LookedUp {
    const found = this.#lru.lookup(query, counted, maxAgeMs, admit);
    if (found.kind !== 'refresh') return found;
    this.#refresh(query, found.lease);
    return found.found;
  }

  /** Starts to load what is not cached, without a request that waits for it, unless it is being loaded. */
  refresh(query: Query): void {
    const found = this.#lru.lookup(query, true, Infinity, () => false);
    if (found.kind === 'miss' || found.kind === 'refresh') this.#refresh(query, found.lease);
  }

  #refresh(query: Query, lease: Lease): void {
    const account = this.#account;
    const more = { forward: 'stale', maxAgeMs: Infinity, client: undefined, account, span: undefined } as const;
    const span = this.#tracer?.startLoad(query, 'refresh', lease);
    this.#loader.refresh(new Load({ query, lease, ...more }, this.#inFlight, reportBufferFull, span));
  }

  /**
   * Starts a load of its own, which later reads of the leased key join.
   *
   * @param onBufferFull returns the outcome if the value does not fit in the request's account.
   */
  start(
    request: LoadRequest,
    onBufferFull: (request: LoadRequest, bufferFull: BufferFull) => Promise<LoadOutcome>,
  ): Promise<LoadOutcome> {
    const span = startSpan(this.#tracer, request);
    const load = new Load<LoadOutcome>(request, this.#inFlight, onBufferFull, span);
    this.#loader.startUnreserved(load);
    return load.end;
  }

  /**
   * Loads queries that no request waits for, in one batch, and stores their results as the least recently used ones, in their
   * order: the first query is the most recently used. Queries that are cached or being loaded are left out, and nothing is
   * evicted.
   *
   * @param typicalBytes expected length of a value.
   * @returns undefined, with nothing done, if loads are queued or half of the permits are in use.
   */
  warmUp(queries: readonly Query[], typicalBytes: number): WarmUpBatch | undefined {
    if (!this.#loader.tryAcquireSpare()) return undefined;
    const loads: Load[] = [];
    const leases: Lease[] = [];
    let taken = 0;
    let expectedBytes = 0;
    let isFull = false;
    for (const query of queries) {
      const lease = this.#lru.leaseUncached(query, loads.length, expectedBytes + typicalBytes);
      if (lease === 'full') isFull = true;
      if (lease === 'full' || lease === 'refused') break;
      taken++;
      if (lease === 'cached') continue;
      const request: LoadRequest = {
        query,
        lease,
        forward: 'uri-miss',
        maxAgeMs: Infinity,
        client: undefined,
        account: this.#account,
        place: 'last',
        span: undefined,
      };
      expectedBytes += query.id.length + typicalBytes;
      leases.push(lease);
      loads.push(new Load(request, this.#inFlight, reportBufferFull, undefined));
    }
    const ends = Promise.all(loads.map(({ request: { query }, end }) => warmUpEnd(query, end)));
    this.#loader.startAdmitted(loads);
    return {
      taken,
      isFull,
      ends: ends.then((all) => {
        this.#lru.reorderLast(leases);
        return all;
      }),
    };
  }

  /**
   * Creates an empty batch, whose values are charged to `account`.
   *
   * @param span of the request that reads.
   */
  batch(account: MemoryAccount, span: RequestSpan | undefined): LoadBatch {
    return new LoadBatch(this.#loader, this.#inFlight, account, { tracer: this.#tracer, span });
  }

  /** Joins the load in flight, or starts one in a batch of its own. */
  load(
    query: Query,
    found: Exclude<Uncached, BufferFull>,
    account: MemoryAccount,
    span: RequestSpan | undefined,
  ): Promise<LoadEnd> {
    const batch = this.batch(account, span);
    const end = this.loadIn(batch, query, found);
    batch.start();
    return end;
  }

  /** Joins the load in flight, or adds one to a batch, which the caller must start. */
  loadIn(batch: LoadBatch, query: Query, found: Exclude<Uncached, BufferFull>): Promise<LoadEnd> {
    switch (found.kind) {
      case 'miss':
        return batch.add(query, found.lease, found.forward);
      case 'loading':
        return this.#follow(batch, query, found);
      case 'unleased':
        return batch.add(query, undefined, found.forward);
    }
  }

  #follow(batch: LoadBatch, query: Query, { lease, own, forward }: Loading): Promise<LoadEnd> {
    const load = this.#inFlight.find(lease);
    const loadSpan = load?.span;
    if (loadSpan !== undefined) batch.span?.onJoined(loadSpan);
    else if (!own) batch.span?.onJoinedElsewhere(lease);
    if (load !== undefined) {
      load.isJoined = true;
      return collapsed(unlessBlocked(load), forward);
    }
    // A lease of this thread without a load in flight will never be filled.
    if (own) return batch.add(query, undefined, forward);
    return this.#share(query, lease, forward, batch.span);
  }

  /** Waits for another thread's load; concurrent reads of the key on this thread share the outcome. */
  #share(query: Query, lease: Lease, forward: Forward, span: RequestSpan | undefined): Promise<LoadEnd> {
    const end = this.#awaitOtherThread(query, lease, forward, span).finally(() => this.#inFlight.remove(awaited));
    const awaited: InFlightLoad = {
      lease,
      end,
      span: undefined,
      isJoined: true,
      blockedCallbacks: undefined,
      next: undefined,
    };
    this.#inFlight.add(awaited);
    return end;
  }

  async #awaitOtherThread(
    query: Query,
    lease: Lease,
    forward: Forward,
    span: RequestSpan | undefined,
  ): Promise<LoadEnd> {
    const result = await this.#lru.result(lease);
    switch (result) {
      case 'missing':
        return { kind: 'absent', freshness: { ageMs: 0, lifetimeMs: 0 }, origin: 'collapsed', forward };
      case 'wrong-type':
      case 'value-too-large':
        return { kind: result, origin: 'collapsed', forward };
      case 'timeout':
      case 'unavailable':
        return failedLoad(this.#lru, query, result, 'collapsed', forward);
      // It may have been a load in the background, which is dropped before there is no permit for a request.
      case 'overloaded':
      case 'unshared':
        return this.load(query, { kind: 'unleased', forward }, this.#account, span);
      case 'void': {
        // Reads on this thread must not wait for this one from now on, because it looks up the key again itself.
        const awaited = this.#inFlight.find(lease);
        if (awaited !== undefined) this.#inFlight.remove(awaited);
        return this.#lookUpAgain(query, forward, span);
      }
    }
  }

  /** Looks up the key after another thread's load: the entry is cached unless it was purged or evicted, or the load failed. */
  #lookUpAgain(query: Query, forward: Forward, span: RequestSpan | undefined): LoadEnd | Promise<LoadEnd> {
    const found = this.lookUp(query, true, Infinity, (memory) => this.#account.tryHoldForTick(memory));
    if (isCached(found)) return asCollapsed(found, forward);
    return found.kind === 'buffer-full' ? found : this.load(query, found, this.#account, span);
  }
}

async function warmUpEnd(query: Query, end: Promise<LoadEnd>): Promise<WarmUpEnd> {
  let ended: LoadEnd;
  try {
    ended = await end;
  } catch {
    return { query, kind: 'failed', bytes: 0, isStored: false };
  }
  const bytes = ended.kind === 'value' ? ended.value.length : ended.kind === 'buffer-full' ? ended.bytes : 0;
  return { query, kind: ended.kind, bytes, isStored: 'origin' in ended && ended.origin === 'stored' };
}

/** Returns the end of a load, or `buffer-full` once the load starts to wait for memory: the caller must not wait with it. */
function unlessBlocked(load: InFlightLoad): Promise<LoadEnd> {
  return new Promise((resolve, reject) => {
    (load.blockedCallbacks ??= []).push(resolve);
    load.end.then(resolve, reject);
  });
}
