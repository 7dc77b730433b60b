import type { RedisReply } from '../redis/redis-reply.ts';
import type { Clock } from './clock.ts';
import { type Etag, etagOf } from './etag.ts';
import type { FillResult, Freshness, Lease, Lookup, SharedLru } from './shared-lru.ts';

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
  | { readonly kind: 'unavailable'; readonly reason: string };

/** The answer to a read: from the cache, or loaded. */
export type ReadOutcome = Hit | (Loaded & { readonly origin: Origin });

type Led = Loaded & { readonly origin: Origin };

/**
 * Answers reads from the cache, and loads what it lacks: a key is loaded once at a time, and all who ask for it
 * meanwhile get that load's outcome, whatever it is. Failures are never stored.
 */
export class ReadThrough {
  readonly #lru: SharedLru;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #lifetimes: Lifetimes;
  /** Loads that this thread has under way, by the slot of their lease. */
  readonly #loads = new Map<number, { readonly lease: Lease; readonly outcome: Promise<Led> }>();

  constructor(lru: SharedLru, store: Store, clock: Clock, lifetimes: Lifetimes) {
    this.#lru = lru;
    this.#store = store;
    this.#clock = clock;
    this.#lifetimes = lifetimes;
  }

  /** A hit is answered on the spot; only what has to be loaded is a promise. */
  read(key: Buffer): ReadOutcome | Promise<ReadOutcome> {
    const found = this.#lru.lookup(key);
    switch (found.kind) {
      case 'hit':
      case 'missing':
        return found;
      case 'miss':
        return this.#lead(key, found.lease);
      case 'loading':
        return this.#follow(key, found.lease);
      case 'unleased':
        return this.#load(key, undefined);
    }
  }

  #lead(key: Buffer, lease: Lease): Promise<ReadOutcome> {
    const outcome = this.#load(key, lease).finally(() => {
      if (this.#loads.get(lease.slot)?.lease === lease) this.#loads.delete(lease.slot);
    });
    this.#loads.set(lease.slot, { lease, outcome });
    return outcome;
  }

  async #follow(key: Buffer, lease: Lease): Promise<ReadOutcome> {
    const load = this.#loads.get(lease.slot);
    // The lease is held elsewhere, so there is nothing here to wait for.
    if (load?.lease.version !== lease.version) return this.#load(key, undefined);
    return { ...(await load.outcome), origin: 'collapsed' };
  }

  async #load(key: Buffer, lease: Lease | undefined): Promise<Led> {
    const askedAt = this.#clock();
    this.#lru.count('loads');
    try {
      return this.#settle(await this.#store.fetch(key), lease, askedAt);
    } catch (bug) {
      if (lease !== undefined) this.#lru.release(lease);
      throw bug;
    }
  }

  #settle(reply: RedisReply, lease: Lease | undefined, askedAt: number): Led {
    switch (reply.kind) {
      case 'value': {
        const { value, ttlMs = Infinity } = reply;
        const etag = etagOf(value);
        // The key's own time ran from when Redis answered, which was not before it was asked.
        const lifetimeMs = Math.min(this.#lifetimes.ttlMs, askedAt + ttlMs - this.#clock());
        const origin = this.#keep(lease, lifetimeMs, (held) => this.#lru.fill(held, value, etag, lifetimeMs));
        return { kind: 'value', value, etag, freshness: { ageMs: 0, lifetimeMs: Math.max(0, lifetimeMs) }, origin };
      }
      case 'missing': {
        const lifetimeMs = this.#lifetimes.negativeTtlMs;
        const origin = this.#keep(lease, lifetimeMs, (held) => this.#lru.fillMissing(held, lifetimeMs));
        return { kind: 'absent', freshness: { ageMs: 0, lifetimeMs }, origin };
      }
      case 'timeout':
      case 'unavailable':
        this.#lru.count('loadErrors');
        return { ...reply, origin: this.#keep(lease, 0) };
      case 'wrong-type':
        return { ...reply, origin: this.#keep(lease, 0) };
    }
  }

  /** Ends a lease: by storing what was loaded if it may live for a while, else with nothing. */
  #keep(lease: Lease | undefined, lifetimeMs: number, fill?: (lease: Lease) => FillResult): Origin {
    if (lease === undefined) return 'not-stored';
    if (fill !== undefined && lifetimeMs > 0) return fill(lease) === 'stored' ? 'stored' : 'not-stored';
    this.#lru.release(lease);
    return 'not-stored';
  }
}
