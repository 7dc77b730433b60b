import type { Query } from '../../redis/query.ts';
import { type ReadTracer, type RequestDescription, type RequestSpan, ended } from '../read-tracer.ts';
import type { BufferFull } from '../../redis/redis-reply.ts';
import type { Forward } from '../shared-lru/cache-types.ts';
import type { SharedLru } from '../shared-lru/shared-lru.ts';
import { BoundedResults, type Omitted } from './many-keys/bounded-results.ts';
import type { BufferedBytes, MemoryAccount, ReadClient, Reservation } from './buffered-bytes.ts';
import type { ReadOutcomeName } from '../../instance/read-metrics.ts';
import type { LoadRequest } from './load.ts';
import { LoadCoalescer, type Uncached, type WarmUpBatch, isCached } from './load-coalescer.ts';
import { Loader, type LoaderParts } from './loader.ts';
import { MultiKeyContext, MultiKeyPass } from './many-keys/multi-key-pass.ts';
import {
  type DirectedOutcome,
  type LoadEnd,
  type LoadOutcome,
  type ReadOutcome,
  asCollapsed,
  failedLoad,
  outcomeName,
  withoutStale,
} from './read-outcome.ts';

/** Requirements of a request on the freshness and origin of a value. */
export interface ReadDirectives {
  /** Maximum age in milliseconds; older entries are reloaded, with 0 every entry. A failed reload is never served stale. */
  readonly maxAgeMs?: number;
  /** Whether a miss must not be loaded. */
  readonly onlyIfCached?: boolean;
}

export interface ReadOptions {
  /** Whether this repeats a read that has been counted. */
  readonly alreadyCounted?: boolean;
  readonly client?: ReadClient | undefined;
  /** Memory account of a multi-key read; values that do not fit are omitted instead of waited for. */
  readonly reservation?: Reservation | undefined;
  /** Describes the request for its span; called at once, or never. By default, the client is asked. */
  readonly describeRequest?: (() => RequestDescription) | undefined;
  /** Called at once with the span of the request, if it has one. */
  readonly noteSpan?: ((span: RequestSpan) => void) | undefined;
}

/** Results of a multi-key read, in the order of its keys. */
export type ManyOutcomes = readonly (ReadOutcome | Omitted)[];

/**
 * Serves reads from the cache and loads misses. Concurrent misses for a key are coalesced into one load across all threads,
 * and every waiting request receives that load's outcome.
 *
 * A value that does not fit in the buffered-bytes limit is not rejected: the read releases its memory, waits, and is
 * repeated. Returned values are charged until the end of the tick.
 */
export class ReadThrough {
  /** Undefined unless traces are exported. */
  readonly tracer: ReadTracer | undefined;
  readonly #lru: SharedLru;
  readonly #coalescer: LoadCoalescer;
  readonly #buffered: BufferedBytes;
  readonly #multiKey: MultiKeyContext;
  readonly #tryHold: (memory: ArrayBufferLike) => boolean;
  readonly #onBufferFull = (request: LoadRequest, bufferFull: BufferFull): Promise<LoadOutcome> =>
    this.#readOnceItFits(request, bufferFull);

  constructor(parts: LoaderParts) {
    const { lru, buffered, tracer } = parts;
    this.tracer = tracer;
    this.#lru = lru;
    this.#buffered = buffered;
    this.#coalescer = new LoadCoalescer(lru, new Loader(parts), buffered, tracer);
    this.#multiKey = new MultiKeyContext(lru, this.#coalescer);
    this.#tryHold = (memory) => buffered.tryHoldForTick(memory);
  }

  /** Returns a hit synchronously, and a promise only if the key must be loaded or the read must wait for memory. */
  read(query: Query, directives?: undefined, options?: ReadOptions): ReadOutcome | Promise<ReadOutcome>;
  read(
    query: Query,
    directives: ReadDirectives | undefined,
    options?: ReadOptions,
  ): DirectedOutcome | Promise<DirectedOutcome>;
  read(
    query: Query,
    directives?: ReadDirectives,
    options: ReadOptions = NO_OPTIONS,
  ): DirectedOutcome | Promise<DirectedOutcome> {
    if (directives !== undefined) return this.#readDirected(query, directives, options);
    const { alreadyCounted = false, client } = options;
    const found = this.#coalescer.lookUp(query, alreadyCounted, Infinity, this.#tryHold);
    if (isCached(found)) return found;
    const span = this.tracer === undefined ? undefined : this.#startSpan([query], options);
    return ended(span, this.#load(query, found, Infinity, client, span), nameOf);
  }

  /** Starts to load what is not cached, as for an entry that is due to be reloaded: no request waits for it. */
  refresh(query: Query): void {
    this.#coalescer.refresh(query);
  }

  /** Reads within memory that has been reserved, without counting it; returns the size of a value that does not fit. */
  async readWithin(
    query: Query,
    account: Reservation,
    { maxAgeMs, onlyIfCached, client }: Required<ReadDirectives> & Pick<LoadRequest, 'client'>,
  ): Promise<DirectedOutcome | BufferFull> {
    if (onlyIfCached) {
      const found = this.#lru.readServable(query, maxAgeMs, (memory) => account.tryHoldForTick(memory));
      if (found === undefined || found.kind === 'expired') return this.#lru.peek(query, maxAgeMs) ?? NOT_CACHED;
      return found.kind === 'buffer-full' ? found : { ...found.found, kind: 'hit' };
    }
    const more = { maxAgeMs, client, account, span: undefined } as const;
    const request: LoadRequest = { query, lease: undefined, forward: 'uri-miss', ...more };
    const end = await this.#readInto(account, request, maxAgeMs === Infinity);
    return end.kind === 'buffer-full' || maxAgeMs === Infinity ? end : withoutStale(end);
  }

  #readDirected(
    query: Query,
    { maxAgeMs = Infinity, onlyIfCached = false }: ReadDirectives,
    options: ReadOptions,
  ): DirectedOutcome | Promise<DirectedOutcome> {
    if (onlyIfCached) return this.#lru.peek(query, maxAgeMs) ?? NOT_CACHED;
    const { alreadyCounted = false, client } = options;
    const found = this.#coalescer.lookUp(query, alreadyCounted, maxAgeMs, this.#tryHold);
    if (isCached(found)) return found;
    const span = this.tracer === undefined ? undefined : this.#startSpan([query], options);
    return ended(
      span,
      maxAgeMs === Infinity
        ? this.#load(query, found, Infinity, client, span)
        : this.#loadWithMaxAge(query, found, maxAgeMs, client, span),
      nameOf,
    );
  }

  /** Loads for a request with a maximum age; if the load fails, its failure is returned instead of a stale value. */
  async #loadWithMaxAge(
    query: Query,
    found: Uncached,
    maxAgeMs: number,
    client: ReadClient | undefined,
    span: RequestSpan | undefined,
  ): Promise<LoadOutcome> {
    const outcome = withoutStale(await this.#load(query, found, maxAgeMs, client, span));
    // A load in flight may have read a value from before this request, or from before the client's own write. The next load
    // has not, whichever request starts it: so any number of concurrent requests costs one more load.
    if (maxAgeMs > 0 || found.kind !== 'loading' || !LOADED_KINDS.has(outcome.kind)) return outcome;
    const foundNow = this.#coalescer.lookUp(query, true, maxAgeMs, this.#tryHold);
    return isCached(foundNow) ? outcome : withoutStale(await this.#load(query, foundNow, maxAgeMs, client, span));
  }

  #load(
    query: Query,
    found: Uncached,
    maxAgeMs: number,
    client: ReadClient | undefined,
    span: RequestSpan | undefined,
  ): Promise<LoadOutcome> {
    const forward = forwardOf(found);
    const request = { query, lease: undefined, forward, maxAgeMs, client, account: this.#buffered, span };
    switch (found.kind) {
      case 'miss':
        return this.#coalescer.start({ ...request, lease: found.lease }, this.#onBufferFull);
      case 'unleased':
        return this.#coalescer.start(request, this.#onBufferFull);
      case 'buffer-full':
        return this.#readOnceItFits(request, found);
      case 'loading':
        return this.#coalescer
          .load(query, found, this.#buffered, span)
          .then((end) => (end.kind === 'buffer-full' ? this.#readOnceItFits(request, end) : end));
    }
  }

  /** Waits until a value that did not fit in the buffered-bytes limit does, and reads it again. */
  async #readOnceItFits(request: LoadRequest, bufferFull: BufferFull): Promise<LoadOutcome> {
    const { query, forward, client } = request;
    for (let { bytes } = bufferFull, canJoin = request.maxAgeMs === Infinity; ; canJoin = false) {
      const reservation = await this.#buffered.reserveForLoad(bytes, client);
      if (reservation === undefined) return failedLoad(this.#lru, query, 'overloaded', 'not-stored', forward);
      try {
        const end = await this.#readInto(reservation, request, canJoin);
        if (end.kind !== 'buffer-full') return end;
        bytes = end.bytes;
      } finally {
        this.#buffered.releaseUnused(reservation);
      }
    }
  }

  /** @param canJoin whether a load in flight may be joined, although its value may not fit for that load itself. */
  async #readInto(account: MemoryAccount, request: LoadRequest, canJoin: boolean): Promise<LoadEnd> {
    const { query, forward, maxAgeMs, span } = request;
    const found = this.#coalescer.lookUp(query, true, maxAgeMs, (memory) => account.tryHoldForTick(memory));
    if (isCached(found)) return asCollapsed(found, forward);
    if (found.kind === 'buffer-full') return found;
    const loadsItself = found.kind === 'loading' && !canJoin;
    return this.#coalescer.load(query, loadsItself ? { kind: 'unleased', forward } : found, account, span);
  }

  /**
   * Reads many keys and returns one outcome per key, in order; synchronously if all are hits. Misses are loaded in batches,
   * each of which is one round trip and one load permit: 4 to 16 keys at first, then as many as are expected to have 1 MiB of
   * values together, so that the values of other clients are not delayed. A key that is being loaded already, or that occurs
   * twice, waits for the load in flight. Loads are started before any is awaited, so reads that wait for each other's keys
   * cannot deadlock.
   *
   * @param maxBytes once values reach this total, those of later keys are omitted, and so is any single longer value.
   */
  readMany(
    queries: readonly Query[],
    maxBytes = Infinity,
    options: ReadOptions = NO_OPTIONS,
  ): ManyOutcomes | Promise<ManyOutcomes> {
    const { alreadyCounted = false, client, reservation } = options;
    const account = reservation ?? this.#buffered;
    const results = this.#resultsFor(queries, maxBytes, account);
    const complete = (): ManyOutcomes | Promise<ManyOutcomes> =>
      results.hasOverflow && reservation === undefined
        ? this.#readManyOnceTheyFit(queries, results, maxBytes, client, span)
        : delivered(results);
    // Before it is known whether all are cached: the loads of the first batch need it.
    const span = this.#startSpan(queries, options);
    const request = { queries, results, account, alreadyCounted, client, span };
    const pass = new MultiKeyPass(this.#multiKey, request).run();
    return pass === undefined ? complete() : ended(span, pass.then(complete), namesOf);
  }

  /** Releases all values, waits until all of them fit, and reads again. */
  async #readManyOnceTheyFit(
    queries: readonly Query[],
    before: BoundedResults,
    maxBytes: number,
    client: ReadClient | undefined,
    span: RequestSpan | undefined,
  ): Promise<ManyOutcomes> {
    for (let results = before; ;) {
      const needed = results.neededBytes;
      results.clear();
      const account = await this.#buffered.reserve(needed, client);
      if (account === undefined) return queries.map(() => OVERLOADED);
      try {
        results = this.#resultsFor(queries, maxBytes, account);
        const request = { queries, results, account, alreadyCounted: true, client, span };
        await new MultiKeyPass(this.#multiKey, request).run();
        // More than can ever fit: values that do not fit are omitted, as values beyond the response limit are.
        if (!results.hasOverflow || needed >= this.#buffered.limit) return delivered(results);
      } finally {
        this.#buffered.releaseUnused(account);
      }
    }
  }

  /** Loads queries that no request waits for, as {@link LoadCoalescer.warmUp} does. */
  warmUp(queries: readonly Query[], typicalBytes: number): WarmUpBatch | undefined {
    return this.#coalescer.warmUp(queries, typicalBytes);
  }

  /** Starts the span of a request that is not served from the cache; undefined if it is not sampled. */
  #startSpan(queries: readonly Query[], options: ReadOptions): RequestSpan | undefined {
    const { tracer } = this;
    if (tracer === undefined || options.alreadyCounted === true) return undefined;
    const request = options.describeRequest?.() ?? options.client?.describeRequest?.();
    const span = request === undefined ? undefined : tracer.startRequest(request, queries);
    if (span !== undefined) options.noteSpan?.(span);
    return span;
  }

  #resultsFor(queries: readonly Query[], maxBytes: number, account: MemoryAccount): BoundedResults {
    return new BoundedResults(queries.length, maxBytes, account, (memory) => this.#buffered.release(memory));
  }
}

const NO_OPTIONS: ReadOptions = {};

const NOT_CACHED: DirectedOutcome = { kind: 'not-cached' };

/** Outcomes of loads that learned the state of the key in Redis. */
const LOADED_KINDS: ReadonlySet<LoadOutcome['kind']> = new Set([
  'value',
  'absent',
  'wrong-type',
  'error-reply',
  'value-too-large',
]);

const OVERLOADED: LoadOutcome = { kind: 'overloaded', origin: 'not-stored', forward: 'uri-miss' };

function nameOf(outcome: LoadOutcome): ReadOutcomeName[] {
  return [outcomeName(outcome)];
}

function namesOf(outcomes: ManyOutcomes): ReadOutcomeName[] {
  return outcomes.flatMap((outcome) => (outcome.kind === 'omitted' ? [] : [outcomeName(outcome)]));
}

function forwardOf(found: Uncached): Forward {
  return found.kind === 'buffer-full' ? 'uri-miss' : found.forward;
}

/** Returns the outcomes; their values stay charged until the end of the tick. */
function delivered(results: BoundedResults): ManyOutcomes {
  results.releaseAfterTick();
  return results.outcomes;
}
