import type { RedisReply } from '../redis/redis-reply.ts';
import type { Clock } from './clock.ts';
import { type Etag, etagOf } from './etag.ts';
import type { Entry, LoadGate } from './load-gate.ts';
import type { FillResult, Freshness, Lease, LoadResult, Lookup } from './lookup.ts';
import type { ReadOutcomeName, RequestCounts } from './request-counts.ts';
import type { SharedLru } from './shared-lru.ts';

/** What the answer to a miss is drawn from. */
export interface Store {
  fetch(key: Buffer): Promise<RedisReply>;
}

/** For how long what was loaded is held, in milliseconds. */
export interface Lifetimes {
  readonly ttlMs: number;
  /** 0: a missing key is not remembered. */
  readonly negativeTtlMs: number;
}

/** How a loaded answer came to be: loaded and stored, loaded and not stored, or loaded for somebody else. */
export type Origin = 'stored' | 'not-stored' | 'collapsed';

export type Hit = Extract<Lookup, { kind: 'hit' | 'missing' }>;

export type Loaded =
  | { readonly kind: 'value'; readonly value: Buffer; readonly etag: Etag; readonly freshness: Freshness }
  | { readonly kind: 'absent'; readonly freshness: Freshness }
  | { readonly kind: 'wrong-type' }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'unavailable' }
  /** Too many loads wait already, or this one has waited too long for its turn. */
  | { readonly kind: 'overloaded' };

/** A load's outcome, and how this caller came by it. */
export type LoadOutcome = Loaded & { readonly origin: Origin };

/** The answer to a read: from the cache, or loaded. */
export type ReadOutcome = Hit | LoadOutcome;

/** What a read-through is made of. */
export interface ReadThroughParts {
  readonly lru: SharedLru;
  readonly store: Store;
  readonly gate: LoadGate;
  readonly counts: RequestCounts;
  readonly clock: Clock;
  readonly lifetimes: Lifetimes;
}

/**
 * Answers reads from the cache, and loads what it lacks: a key is loaded once at a time, across all threads, and all who
 * ask for it meanwhile get that load's outcome, whatever it is. Failures are never stored.
 */
export class ReadThrough {
  readonly #lru: SharedLru;
  readonly #store: Store;
  readonly #gate: LoadGate;
  readonly #counts: RequestCounts;
  readonly #clock: Clock;
  readonly #lifetimes: Lifetimes;
  /** Loads that this thread has under way or waits for, by the slot of their lease. */
  readonly #loads = new Map<number, { readonly lease: Lease; readonly outcome: Promise<LoadOutcome> }>();

  constructor(parts: ReadThroughParts) {
    this.#lru = parts.lru;
    this.#store = parts.store;
    this.#gate = parts.gate;
    this.#counts = parts.counts;
    this.#clock = parts.clock;
    this.#lifetimes = parts.lifetimes;
  }

  /** A hit is answered on the spot; only what has to be loaded is a promise. */
  read(key: Buffer): ReadOutcome | Promise<ReadOutcome> {
    return this.#answer(key, this.#lru.lookup(key));
  }

  /**
   * Reads many keys, each as {@link read} does, and answers one outcome per key, in order. Hits alone are answered on the
   * spot; all misses of the call go to the store in one turn of the event loop, and a key that is named twice is loaded
   * once.
   */
  readMany(keys: readonly Buffer[]): readonly ReadOutcome[] | Promise<readonly ReadOutcome[]> {
    const outcomes = keys.map((key) => this.read(key));
    return areKnown(outcomes) ? outcomes : Promise.all(outcomes.map(async (outcome) => outcome));
  }

  #answer(key: Buffer, found: Lookup): ReadOutcome | Promise<ReadOutcome> {
    switch (found.kind) {
      case 'hit':
      case 'missing':
        return found;
      case 'miss':
        return this.#share(found.lease, this.#load(key, found.lease));
      case 'loading':
        return this.#follow(key, found.lease, found.own);
      case 'unleased':
        return this.#load(key, undefined);
    }
  }

  /** Lets those of this thread who ask for the leased key meanwhile have the same outcome. */
  #share(lease: Lease, outcome: Promise<LoadOutcome>): Promise<LoadOutcome> {
    const shared = outcome.finally(() => {
      if (this.#loads.get(lease.slot)?.lease === lease) this.#loads.delete(lease.slot);
    });
    this.#loads.set(lease.slot, { lease, outcome: shared });
    return shared;
  }

  async #follow(key: Buffer, lease: Lease, own: boolean): Promise<LoadOutcome> {
    const load = this.#loads.get(lease.slot);
    if (load?.lease.version === lease.version) return { ...(await load.outcome), origin: 'collapsed' };
    // A lease of this thread that it no longer works on is one that nobody will fill.
    if (own) return this.#load(key, undefined);
    return this.#share(lease, this.#awaitThread(key, lease));
  }

  /** The outcome of a load that another thread has under way. */
  async #awaitThread(key: Buffer, lease: Lease): Promise<LoadOutcome> {
    const result = await this.#lru.result(lease);
    switch (result) {
      case 'missing':
        return { kind: 'absent', freshness: { ageMs: 0, lifetimeMs: 0 }, origin: 'collapsed' };
      case 'wrong-type':
      case 'timeout':
      case 'unavailable':
      case 'overloaded':
        return { kind: result, origin: 'collapsed' };
      case 'unshared':
        return this.#load(key, undefined);
      case 'void':
        // Others of this thread who look now must not wait for this one, which looks again itself.
        if (this.#loads.get(lease.slot)?.lease === lease) this.#loads.delete(lease.slot);
        return this.#lookAgain(key);
    }
  }

  /** After a load by another thread: its outcome is in the cache, unless it was purged, evicted or never came. */
  async #lookAgain(key: Buffer): Promise<LoadOutcome> {
    const outcome = await this.#answer(key, this.#lru.lookup(key, true));
    switch (outcome.kind) {
      case 'hit':
        return { ...outcome, kind: 'value', origin: 'collapsed' };
      case 'missing':
        return { ...outcome, kind: 'absent', origin: 'collapsed' };
      case 'value':
      case 'absent':
      case 'wrong-type':
      case 'timeout':
      case 'unavailable':
      case 'overloaded':
        return outcome;
    }
  }

  async #load(key: Buffer, lease: Lease | undefined): Promise<LoadOutcome> {
    const entry = this.#gate.enter();
    const admitted = entry instanceof Promise ? await this.#queued(entry) : entry;
    if (admitted !== 'entered') return this.#end(lease, { kind: 'overloaded' });
    const askedAt = this.#clock();
    this.#lru.count('loads');
    let reply: RedisReply;
    try {
      reply = await this.#store.fetch(key);
    } catch (bug) {
      if (lease !== undefined) this.#lru.release(lease, 'void');
      throw bug;
    } finally {
      this.#gate.leave();
      this.#counts.observeLoad(this.#clock() - askedAt);
    }
    return this.#settle(reply, lease, askedAt);
  }

  async #queued(entry: Promise<Entry>): Promise<Entry> {
    const since = this.#clock();
    const outcome = await entry;
    this.#counts.observeQueue(this.#clock() - since);
    return outcome;
  }

  #settle(reply: RedisReply, lease: Lease | undefined, askedAt: number): LoadOutcome {
    switch (reply.kind) {
      case 'value': {
        const { value, ttlMs = Infinity } = reply;
        const etag = etagOf(value);
        // The key's own time ran from when Redis answered, which was not before it was asked.
        const lifetimeMs = Math.min(this.#lifetimes.ttlMs, askedAt + ttlMs - this.#clock());
        const outcome = {
          kind: 'value',
          value,
          etag,
          freshness: { ageMs: 0, lifetimeMs: Math.max(0, lifetimeMs) },
        } as const;
        if (lifetimeMs <= 0) return this.#end(lease, outcome);
        return this.#stored(lease, outcome, (held) => this.#lru.fill(held, value, etag, lifetimeMs));
      }
      case 'missing': {
        const lifetimeMs = this.#lifetimes.negativeTtlMs;
        const outcome = { kind: 'absent', freshness: { ageMs: 0, lifetimeMs } } as const;
        if (lifetimeMs <= 0) return this.#end(lease, outcome);
        return this.#stored(lease, outcome, (held) => this.#lru.fillMissing(held, lifetimeMs));
      }
      case 'timeout':
      case 'unavailable':
        this.#lru.count('loadErrors');
        return this.#end(lease, { kind: reply.kind });
      case 'wrong-type':
        return this.#end(lease, reply);
    }
  }

  #stored(lease: Lease | undefined, loaded: Loaded, fill: (lease: Lease) => FillResult): LoadOutcome {
    const stored = lease !== undefined && fill(lease) === 'stored';
    return { ...loaded, origin: stored ? 'stored' : 'not-stored' };
  }

  /** Ends a lease with nothing stored, and tells the threads that wait why. */
  #end(lease: Lease | undefined, loaded: Loaded): LoadOutcome {
    if (lease !== undefined) this.#lru.release(lease, RESULTS[loaded.kind]);
    return { ...loaded, origin: 'not-stored' };
  }
}

const RESULTS: Readonly<Record<Loaded['kind'], LoadResult>> = {
  value: 'unshared',
  absent: 'missing',
  'wrong-type': 'wrong-type',
  timeout: 'timeout',
  unavailable: 'unavailable',
  overloaded: 'overloaded',
};

function areKnown(outcomes: readonly (ReadOutcome | Promise<ReadOutcome>)[]): outcomes is readonly ReadOutcome[] {
  return outcomes.every((outcome) => !(outcome instanceof Promise));
}

/** What a read's outcome is counted as. */
export function outcomeName(outcome: ReadOutcome): ReadOutcomeName {
  switch (outcome.kind) {
    case 'value':
      return outcome.origin === 'collapsed' ? 'collapsed' : 'loaded';
    case 'absent':
      return 'missing';
    case 'hit':
    case 'missing':
    case 'wrong-type':
    case 'timeout':
    case 'unavailable':
    case 'overloaded':
      return outcome.kind;
  }
}
