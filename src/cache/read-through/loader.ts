import { Buffer } from 'node:buffer';
import type { Query, Rendered, StoredForm } from '../../redis/query.ts';
import { BufferFull, type RedisReply, TOO_LARGE } from '../../redis/redis-reply.ts';
import { PAGE_BYTES, pagesFor } from '../../instance/buffer-budget.ts';
import type { ValueMemory } from '../../redis/connection/value-memory.ts';
import type { BufferedBytes, Reservation } from './buffered-bytes.ts';
import { LargeValues } from './large-values.ts';
import type { ReadTracer } from '../read-tracer.ts';
import type { Clock } from '../shared-lru/clock.ts';
import { NO_ETAG, etagOf } from '../shared-lru/etag.ts';
import type { Load, LoadRequest } from './load.ts';
import type { Admission, LoadLimiter } from './load-limiter.ts';
import type { EntryId, FillResult, Lease, LoadResult } from '../shared-lru/cache-types.ts';
import { type VariantNumber, hasVariants, variantIdOf } from '../variants/variant-id.ts';
import { type Failure, type LoadEnd, type LoadOutcome, type Loaded, failedLoad } from './read-outcome.ts';
import type { ReadMetrics } from '../../instance/read-metrics.ts';
import { NO_VARIANTS } from '../shared-lru/fills.ts';
import type { SharedLru } from '../shared-lru/shared-lru.ts';

/** The backing store (origin) that misses are loaded from. */
export interface BackingStore {
  /**
   * Reads the result of a query and calls `onReply` exactly once, possibly before it returns. All calls in one event-loop tick are one round
   * trip.
   */
  fetch(query: Query, onReply: (reply: RedisReply) => void, memory: ValueMemory): void;
}

/** TTLs of entries, in milliseconds. */
export interface Lifetimes {
  readonly ttlMs: number;
  /** Maximum share, below 1, by which each TTL is shortened at random. */
  readonly ttlJitter: number;
  /** TTL of negative entries; 0 disables them. */
  readonly negativeTtlMs: number;
}

/** Decides whether loaded values may be stored. */
export interface StorePolicy {
  readonly canStore: boolean;
}

/** Dependencies of {@link Loader}. */
export interface LoaderParts {
  readonly lru: SharedLru;
  readonly store: BackingStore;
  readonly limiter: LoadLimiter;
  readonly counts: ReadMetrics;
  readonly clock: Clock;
  readonly lifetimes: Lifetimes;
  readonly coherence: StorePolicy;
  readonly buffered: BufferedBytes;
  /** Undefined unless traces are exported. */
  readonly tracer?: ReadTracer | undefined;
  /** The variants that may be cached of each value which HTTP serves; absent: none. */
  readonly variants?: readonly VariantNumber[];
  /** Returns a number from 0 to 1, 1 excluded. */
  readonly random?: () => number;
}

/** A load, whatever its result is if the value does not fit. */
type AnyLoad = Pick<Load, 'request' | 'place' | 'span' | 'settleBufferFull' | 'fail'> & {
  settle(outcome: LoadOutcome): void;
};

/** Executes loads: acquires a permit, reads from the backing store and stores the result. Failures are never stored. */
export class Loader {
  readonly #lru: SharedLru;
  readonly #store: BackingStore;
  readonly #limiter: LoadLimiter;
  readonly #counts: ReadMetrics;
  readonly #clock: Clock;
  readonly #lifetimes: Lifetimes;
  readonly #coherence: StorePolicy;
  readonly #buffered: BufferedBytes;
  readonly #variants: readonly VariantNumber[];
  readonly #random: () => number;
  readonly #largeValues = new LargeValues();
  /** Whether a load that no request has joined yet is being started. */
  #isStartingRefresh = false;

  constructor(parts: LoaderParts) {
    this.#lru = parts.lru;
    this.#store = parts.store;
    this.#limiter = parts.limiter;
    this.#counts = parts.counts;
    this.#clock = parts.clock;
    this.#lifetimes = parts.lifetimes;
    this.#coherence = parts.coherence;
    this.#buffered = parts.buffered;
    this.#variants = parts.variants ?? [];
    this.#random = parts.random ?? Math.random;
  }

  /** Starts loads that share one permit and one round trip; each ends individually. */
  start(loads: readonly AnyLoad[]): void {
    this.#start(loads, false);
  }

  /**
   * Starts a load for which no memory has been reserved: a value that was large when it was loaded last, and would have to wait for
   * memory, is not requested, and the load ends with that length.
   */
  startUnreserved(load: AnyLoad): void {
    this.#start([load], true);
  }

  /**
   * Starts a load that no request waits for, if at most half of the permits are in use and no load is queued. Otherwise it ends
   * at once, and a later read starts another one.
   */
  refresh(load: AnyLoad & Pick<Load, 'end'>): void {
    const isAdmitted = this.#limiter.tryAcquireSpare();
    this.#counts.countRefresh(isAdmitted ? 'started' : 'dropped');
    load.end.catch(() => this.#counts.countLoadError());
    this.#isStartingRefresh = true;
    if (isAdmitted) this.#fetchAll([load], true);
    else this.reject([load], 'overloaded');
    this.#isStartingRefresh = false;
  }

  /** Acquires a permit for loads that no request waits for, and that {@link startAdmitted} must start; returns false if none is spare. */
  tryAcquireSpare(): boolean {
    return this.#limiter.tryAcquireSpare();
  }

  /** Starts loads, which share a permit that has been acquired. */
  startAdmitted(loads: readonly AnyLoad[]): void {
    if (loads.length === 0) this.#limiter.release();
    else this.#fetchAll(loads, false);
  }

  /** Ends loads with a failure, without sending them. */
  reject(loads: readonly AnyLoad[], failure: Failure): void {
    for (const load of loads) load.settle(this.#failed(load.request, failure));
  }

  #start(loads: readonly AnyLoad[], reserves: boolean): void {
    const admission = this.#limiter.acquire();
    if (admission instanceof Promise) void this.#queue(admission, loads, reserves);
    else this.#proceed(admission, loads, reserves);
  }

  async #queue(queued: Promise<Admission>, loads: readonly AnyLoad[], reserves: boolean): Promise<void> {
    const since = this.#clock();
    const admission = await queued;
    this.#counts.observeQueue(this.#clock() - since);
    if (admission === 'admitted') for (const { span } of loads) span?.onDequeued();
    this.#proceed(admission, loads, reserves);
  }

  #proceed(admission: Admission, loads: readonly AnyLoad[], reserves: boolean): void {
    if (admission === 'admitted') this.#fetchAll(loads, reserves);
    else this.reject(loads, 'overloaded');
  }

  /** @param reserves whether memory is reserved for values that were large when they were loaded last. */
  #fetchAll(loads: readonly AnyLoad[], reserves: boolean): void {
    const requestedAt = this.#clock();
    let pending = loads.length;
    const finishOne = (): void => {
      if (--pending === 0) this.#limiter.release();
    };
    for (const load of loads) {
      const { query, account } = load.request;
      const room = reserves ? this.#tryReserve(load.request) : undefined;
      if (room instanceof BufferFull) {
        finishOne();
        this.#finish(load, room, requestedAt);
        continue;
      }
      const release = (): void => {
        if (room !== undefined) this.#buffered.releaseUnused(room);
      };
      this.#counts.countLoad();
      try {
        const onReply = (reply: RedisReply): void => {
          finishOne();
          this.#settle(load, reply, requestedAt);
          release();
        };
        this.#store.fetch(query, onReply, room ?? account);
      } catch (bug) {
        finishOne();
        release();
        this.#fail(load, bug);
      }
    }
  }

  /**
   * Reserves memory for a value that was large when it was loaded last; returns its length if it would have to wait for that, and
   * undefined if it need not be reserved.
   */
  #tryReserve({ query, client }: LoadRequest): Reservation | BufferFull | undefined {
    const bytes = this.#largeValues.bytesOf(query);
    if (bytes === undefined) return undefined;
    return this.#buffered.tryReserveForLoad(bytes, client) ?? new BufferFull(bytes);
  }

  #settle(load: AnyLoad, reply: RedisReply, requestedAt: number): void {
    // A load that fails fast does not measure Redis and would lower the observed latency.
    if (reply.kind !== 'unavailable') this.#counts.observeLoad(this.#clock() - requestedAt);
    const { form } = load.request.query;
    if (form === undefined || reply.kind !== 'value') this.#finish(load, reply, requestedAt);
    else this.#render(load, form, reply, requestedAt);
  }

  /** Converts a reply to the form in which it is stored, and finishes the load with it. */
  #render(load: AnyLoad, form: StoredForm, reply: ValueReply, requestedAt: number): void {
    const { account } = load.request;
    const { buffer: memory } = reply.value;
    const finish = (rendered: Rendered): void => {
      this.#finish(load, renderedReply(reply, rendered, this.#buffered.limit), requestedAt);
      if (Buffer.isBuffer(rendered) && rendered.buffer !== memory) account.releaseAfterTick(rendered.buffer);
    };
    let rendered: Rendered | Promise<Rendered>;
    try {
      rendered = form.render(reply.value, account);
    } catch (bug) {
      return this.#fail(load, bug);
    }
    if (!(rendered instanceof Promise)) return finish(rendered);
    // The reply is needed until it has been rendered. If it does not fit, it is one chunk of the socket, which is small.
    const isHeld = account.tryHold(memory);
    void rendered
      .then(finish, (bug: unknown) => this.#fail(load, bug))
      .finally(() => {
        if (isHeld) account.releaseAfterTick(memory);
      });
  }

  #finish(load: AnyLoad, reply: RedisReply, requestedAt: number): void {
    let end: LoadEnd;
    try {
      end = reply.kind === 'buffer-full' ? reply : this.#outcomeOf(load, reply, requestedAt, this.#clock());
    } catch (bug) {
      this.#fail(load, bug);
      return;
    }
    this.#largeValues.note(load.request.query, reply);
    if (end.kind !== 'buffer-full') return load.settle(end);
    this.#abandon(load.request);
    load.settleBufferFull(end);
  }

  #fail(load: AnyLoad, bug: unknown): void {
    this.#abandon(load.request);
    load.fail(bug);
  }

  /** Ends the lease of a load without a result: waiters in other threads look up the key again. */
  #abandon({ lease }: LoadRequest): void {
    if (lease !== undefined) this.#lru.abandon(lease, 'void');
  }

  #outcomeOf(load: AnyLoad, reply: Exclude<RedisReply, BufferFull>, requestedAt: number, now: number): LoadOutcome {
    const { query } = load.request;
    switch (reply.kind) {
      case 'value': {
        const { ttlMs = Infinity } = reply;
        // The key's TTL in Redis has run at most since the request was sent.
        const hardTtlMs = requestedAt + ttlMs - now;
        const lifetimeMs = Math.min(this.#shortened(this.#lifetimes.ttlMs), hardTtlMs);
        return this.#storeValue(load, reply.value, lifetimeMs, hardTtlMs, requestedAt);
      }
      case 'missing': {
        const { ttlMs = Infinity } = reply;
        const hardTtlMs = requestedAt + ttlMs - now;
        if (reply.reply === undefined || query.form !== undefined)
          return this.#storeNegative(load, hardTtlMs, requestedAt);
        const lifetimeMs = Math.min(this.#shortened(this.#lifetimes.negativeTtlMs), hardTtlMs);
        return this.#storeValue(load, reply.reply, lifetimeMs, lifetimeMs, requestedAt);
      }
      case 'timeout':
      case 'unavailable':
        this.#counts.countLoadError();
        return this.#failed(load.request, reply.kind);
      case 'value-too-large':
      case 'wrong-type':
      case 'error-reply':
        return this.#release(load.request, reply, requestedAt);
    }
  }

  /**
   * Stores a value under the lease, if it may be stored.
   *
   * @param hardTtlMs milliseconds after which it must not be served at all, not even as stale.
   */
  #storeValue(load: AnyLoad, value: Buffer, lifetimeMs: number, hardTtlMs: number, requestedAt: number): LoadOutcome {
    const { forward, query } = load.request;
    // Only HTTP has validators, and it reads values and rendered replies.
    const etag = query.selectorLength === 0 || query.form !== undefined ? etagOf(value) : NO_ETAG;
    const freshness = { ageMs: 0, lifetimeMs: Math.max(0, lifetimeMs) };
    const loaded = { kind: 'value', value, etag, freshness } as const;
    if (!this.#canStoreFor(lifetimeMs)) return this.#release(load.request, loaded, requestedAt);
    const stored = this.#isStored(load.request, loaded, requestedAt, (lease, variants) =>
      this.#lru.commit(lease, value, etag, lifetimeMs, hardTtlMs, load.place, variants),
    );
    return { ...loaded, origin: stored ? 'stored' : 'not-stored', forward };
  }

  /** Stores, for at most `maxLifetimeMs`, that what a query reads does not exist. */
  #storeNegative(load: AnyLoad, maxLifetimeMs: number, requestedAt: number): LoadOutcome {
    const lifetimeMs = Math.min(this.#shortened(this.#lifetimes.negativeTtlMs), maxLifetimeMs);
    const freshness = { ageMs: 0, lifetimeMs: Math.max(0, lifetimeMs) };
    const loaded = { kind: 'absent', freshness } as const;
    if (!this.#canStoreFor(lifetimeMs)) return this.#release(load.request, loaded, requestedAt);
    const stored = this.#isStored(load.request, loaded, requestedAt, (lease, variants) =>
      this.#lru.commitNegative(lease, lifetimeMs, load.place, variants),
    );
    return { ...loaded, origin: stored ? 'stored' : 'not-stored', forward: load.request.forward };
  }

  /** Stores a result under the lease of a load; without a valid one, ends what the result shows to be outdated. */
  #isStored(
    { query, lease }: LoadRequest,
    loaded: KeyState,
    requestedAt: number,
    commit: (lease: Lease, variants: readonly EntryId[]) => FillResult,
  ): boolean {
    const variants = this.#variantsOf(query);
    const result = lease === undefined ? 'void' : commit(lease, variants);
    if (result === 'void') this.#dropOutdated(query, loaded, requestedAt, variants);
    return result === 'stored';
  }

  #dropOutdated(query: Query, loaded: KeyState, requestedAt: number, variants: readonly EntryId[]): void {
    const etag = loaded.kind === 'value' && loaded.etag !== NO_ETAG ? loaded.etag : undefined;
    this.#lru.dropOutdated(query, etag, requestedAt, variants);
  }

  /** Shortens a TTL by a random share, so that entries that were loaded together do not expire together. */
  #shortened(ttlMs: number): number {
    const { ttlJitter } = this.#lifetimes;
    return ttlJitter === 0 ? ttlMs : ttlMs * (1 - ttlJitter * this.#random());
  }

  /**
   * Whether a result with this TTL may be stored. Checking before storing leaves no gap: once storing is disabled, all leases
   * are voided and all entries expired.
   */
  #canStoreFor(lifetimeMs: number): boolean {
    return lifetimeMs > 0 && this.#lru.limits.capacity > 0 && this.#coherence.canStore;
  }

  /** Ends a successful load without storing its result. */
  #release({ query, lease, forward }: LoadRequest, loaded: KeyState, requestedAt: number): LoadOutcome {
    const variants = this.#variantsOf(query);
    const isEnded = lease !== undefined && this.#lru.abandon(lease, RESULTS[loaded.kind], variants);
    if (!isEnded) this.#dropOutdated(query, loaded, requestedAt, variants);
    return { ...loaded, origin: 'not-stored', forward };
  }

  /** Returns the variants of what a query reads, which end when it is loaded: they were made of an earlier value. */
  #variantsOf(query: Query): readonly EntryId[] {
    if (this.#variants.length === 0 || !hasVariants(query)) return NO_VARIANTS;
    return this.#variants.map((number) => variantIdOf(query, number));
  }

  /** Ends a failed load. */
  #failed({ query, lease, forward }: LoadRequest, failure: Failure): LoadOutcome {
    if (lease !== undefined) this.#lru.abandon(lease, failure);
    // The expired value has been served: it is not copied again for nobody, with each read while Redis is unavailable.
    if (this.#isStartingRefresh) return { kind: failure, origin: 'not-stored', forward };
    return failedLoad(this.#lru, query, failure, 'not-stored', forward);
  }
}

type ValueReply = Extract<RedisReply, { kind: 'value' }>;

/**
 * Replaces the reply to a query by what was rendered from it.
 *
 * @param maxBufferedBytes limit of all buffered bytes.
 */
function renderedReply(reply: ValueReply, rendered: Rendered, maxBufferedBytes: number): RedisReply {
  const { ttlMs, value } = reply;
  if (rendered === undefined) return ttlMs === undefined ? { kind: 'missing' } : { kind: 'missing', ttlMs };
  if (Buffer.isBuffer(rendered)) return { ...reply, value: rendered };
  if (!(rendered instanceof BufferFull)) return rendered;
  // The next attempt needs memory for the reply as well, and each is charged in whole pages.
  const pages = pagesFor(value.length) + pagesFor(rendered.bytes);
  return pages > pagesFor(maxBufferedBytes) ? TOO_LARGE : new BufferFull(pages * PAGE_BYTES);
}

/** The state of a key as read from Redis. */
type KeyState = Extract<Loaded, { kind: 'value' | 'absent' | 'value-too-large' | 'wrong-type' | 'error-reply' }>;

/** Results passed to waiting threads if nothing is stored. */
const RESULTS: Readonly<Record<KeyState['kind'], LoadResult>> = {
  value: 'unshared',
  absent: 'missing',
  'value-too-large': 'value-too-large',
  'wrong-type': 'wrong-type',
  // The message cannot be passed on: waiting threads send the query themselves.
  'error-reply': 'unshared',
};
