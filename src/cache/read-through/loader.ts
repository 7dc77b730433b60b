import type { NoRoom, RedisReply } from '../../redis/redis-reply.ts';
import type { ValueMemory } from '../../redis/connection/value-memory.ts';
import type { BufferedBytes } from './buffered-bytes.ts';
import type { Clock } from '../shared-lru/clock.ts';
import { etagOf } from '../shared-lru/etag.ts';
import type { Load, LoadRequest } from './load.ts';
import type { Admission, LoadLimiter } from './load-limiter.ts';
import type { FillResult, Lease, LoadResult } from '../shared-lru/cache-types.ts';
import { type Failure, type LoadOutcome, type Loaded, failedLoad } from './read-outcome.ts';
import type { ReadMetrics } from '../../instance/read-metrics.ts';
import type { SharedLru } from '../shared-lru/shared-lru.ts';

/** What the answer to a miss is drawn from. */
export interface BackingStore {
  /**
   * Reads a key and calls `take` once with the reply, possibly before it returns. What is asked in one turn of the event
   * loop is one round trip.
   */
  fetch(key: Buffer, take: (reply: RedisReply) => void, memory: ValueMemory): void;
}

/** For how long what was loaded is held, in milliseconds. */
export interface Lifetimes {
  readonly ttlMs: number;
  /** 0: a missing key is not remembered. */
  readonly negativeTtlMs: number;
}

/** Says whether what is loaded now may be stored. */
export interface StorePolicy {
  readonly canStore: boolean;
}

/** What a loader is made of. */
export interface LoaderParts {
  readonly lru: SharedLru;
  readonly store: BackingStore;
  readonly gate: LoadLimiter;
  readonly counts: ReadMetrics;
  readonly clock: Clock;
  readonly lifetimes: Lifetimes;
  readonly coherence: StorePolicy;
  readonly buffered: BufferedBytes;
}

/** A load, whatever it ends with when there is no room. */
type AnyLoad = Pick<Load, 'request' | 'settleWithoutRoom' | 'fail'> & { settle(outcome: LoadOutcome): void };

/** Carries out loads: asks the store when the gate lets them, and stores what it answers. Failures are never stored. */
export class Loader {
  readonly #lru: SharedLru;
  readonly #store: BackingStore;
  readonly #gate: LoadLimiter;
  readonly #counts: ReadMetrics;
  readonly #clock: Clock;
  readonly #lifetimes: Lifetimes;
  readonly #coherence: StorePolicy;

  constructor(parts: LoaderParts) {
    this.#lru = parts.lru;
    this.#store = parts.store;
    this.#gate = parts.gate;
    this.#counts = parts.counts;
    this.#clock = parts.clock;
    this.#lifetimes = parts.lifetimes;
    this.#coherence = parts.coherence;
  }

  /** Starts loads that go to the store together: one place at the gate, one round trip. Each ends by itself. */
  start(loads: readonly AnyLoad[]): void {
    const entry = this.#gate.acquire();
    if (entry instanceof Promise) void this.#queue(entry, loads);
    else this.#enter(entry, loads);
  }

  async #queue(entry: Promise<Admission>, loads: readonly AnyLoad[]): Promise<void> {
    const since = this.#clock();
    const outcome = await entry;
    this.#counts.observeQueue(this.#clock() - since);
    this.#enter(outcome, loads);
  }

  #enter(entry: Admission, loads: readonly AnyLoad[]): void {
    if (entry === 'entered') this.#ask(loads);
    else for (const load of loads) load.settle(this.#failed(load.request, 'overloaded'));
  }

  #ask(loads: readonly AnyLoad[]): void {
    const askedAt = this.#clock();
    let awaited = loads.length;
    const leave = (): void => {
      if (--awaited === 0) this.#gate.release();
    };
    for (const load of loads) {
      this.#counts.countLoad();
      try {
        const take = (reply: RedisReply): void => {
          leave();
          this.#settle(load, reply, askedAt);
        };
        this.#store.fetch(load.request.key, take, load.request.room);
      } catch (bug) {
        leave();
        this.#fail(load, bug);
      }
    }
  }

  #settle(load: AnyLoad, reply: RedisReply, askedAt: number): void {
    const now = this.#clock();
    // A load that fails fast says nothing of how long Redis takes, and would make its latency look splendid.
    if (reply.kind !== 'unavailable') this.#counts.observeLoad(now - askedAt);
    if (reply.kind === 'no-room') {
      this.#forgo(load.request);
      load.settleWithoutRoom(reply);
      return;
    }
    let outcome: LoadOutcome;
    try {
      outcome = this.#outcomeOf(load.request, reply, askedAt, now);
    } catch (bug) {
      this.#fail(load, bug);
      return;
    }
    load.settle(outcome);
  }

  #fail(load: AnyLoad, bug: unknown): void {
    this.#forgo(load.request);
    load.fail(bug);
  }

  /** Ends the lease of a load with nothing to tell: who waits for it in another thread looks again. */
  #forgo({ lease }: LoadRequest): void {
    if (lease !== undefined) this.#lru.abandon(lease, 'void');
  }

  #outcomeOf(load: LoadRequest, reply: Exclude<RedisReply, NoRoom>, askedAt: number, now: number): LoadOutcome {
    const { lease, forward } = load;
    switch (reply.kind) {
      case 'value': {
        const { value, ttlMs = Infinity } = reply;
        const etag = etagOf(value);
        // The key's own time ran from when Redis answered, which was not before it was asked.
        const keyLivesMs = askedAt + ttlMs - now;
        const lifetimeMs = Math.min(this.#lifetimes.ttlMs, keyLivesMs);
        const freshness = { ageMs: 0, lifetimeMs: Math.max(0, lifetimeMs) };
        if (!this.#canStoreFor(lifetimeMs)) return this.#release(load, { kind: 'value', value, etag, freshness });
        const stored = isStored(lease, (held) => this.#lru.commit(held, value, etag, lifetimeMs, keyLivesMs));
        return { kind: 'value', value, etag, freshness, origin: stored ? 'stored' : 'not-stored', forward };
      }
      case 'missing': {
        const { ttlMs = Infinity } = reply;
        const lifetimeMs = Math.min(this.#lifetimes.negativeTtlMs, ttlMs);
        const freshness = { ageMs: 0, lifetimeMs };
        if (!this.#canStoreFor(lifetimeMs)) return this.#release(load, { kind: 'absent', freshness });
        const stored = isStored(lease, (held) => this.#lru.commitNegative(held, lifetimeMs));
        return { kind: 'absent', freshness, origin: stored ? 'stored' : 'not-stored', forward };
      }
      case 'timeout':
      case 'unavailable':
        this.#counts.countLoadError();
        return this.#failed(load, reply.kind);
      case 'value-too-large':
      case 'wrong-type':
        return this.#release(load, reply);
    }
  }

  /**
   * Whether something that lives so long may be stored. That this is asked before it is stored leaves no gap: when it
   * stops being so, all leases are voided after that, and all entries ended.
   */
  #canStoreFor(lifetimeMs: number): boolean {
    return lifetimeMs > 0 && this.#lru.limits.capacity > 0 && this.#coherence.canStore;
  }

  /** Ends a load that has an answer with nothing stored. */
  #release({ lease, forward }: LoadRequest, answer: Answer): LoadOutcome {
    if (lease !== undefined) this.#lru.abandon(lease, RESULTS[answer.kind]);
    return { ...answer, origin: 'not-stored', forward };
  }

  /** Ends a load that has none. */
  #failed({ key, lease, forward }: LoadRequest, failure: Failure): LoadOutcome {
    if (lease !== undefined) this.#lru.abandon(lease, failure);
    return failedLoad(this.#lru, key, failure, 'not-stored', forward);
  }
}

function isStored(lease: Lease | undefined, fill: (lease: Lease) => FillResult): boolean {
  return lease !== undefined && fill(lease) === 'stored';
}

/** What Redis has told of a key. */
type Answer = Extract<Loaded, { kind: 'value' | 'absent' | 'value-too-large' | 'wrong-type' }>;

/** What the threads that wait are told of it, when it is not stored. */
const RESULTS: Readonly<Record<Answer['kind'], LoadResult>> = {
  value: 'unshared',
  absent: 'missing',
  'value-too-large': 'value-too-large',
  'wrong-type': 'wrong-type',
};
