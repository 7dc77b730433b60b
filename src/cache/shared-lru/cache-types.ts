/** Arguments and results of the cache. */
import type { BufferFull } from '../../redis/redis-reply.ts';
import type { Etag } from './etag.ts';

/** Identifies an entry: the bytes of a key, followed by a selector, which is empty for the value of the key itself. */
export interface EntryId {
  readonly id: Uint8Array;
  /** Bytes of the selector, at the end of {@link id}. */
  readonly selectorLength: number;
}

/** Identifies one use of a slot; invalid once the slot is used for something else or the cache was flushed. */
export interface Handle {
  readonly slot: number;
  readonly version: number;
  readonly epoch: number;
}

/** Progress of one purge, which takes several steps if the key has many queries. */
export class PurgeProgress {
  /** Serial number of the last query that it ends; undefined before the first step. */
  upTo: number | undefined = undefined;
  /** Whether it must end once more what there is then, because it took several steps; false while it does. */
  mustRepeat: boolean | undefined = undefined;
  /** Number of entries ended. */
  purged = 0;
}

/** `more`: a step of the purge was made, but not the last one. `locked`: nothing was done, because the lock is held. */
export type PurgeStep = 'done' | 'more' | 'locked';

/** The right and duty to load one key. Invalid once the key was purged or the lease has expired. */
export type Lease = Handle;

/** Age and lifetime of an entry, in milliseconds. */
export interface Freshness {
  /** Since the entry was stored. */
  readonly ageMs: number;
  /** From storing to expiry. */
  readonly lifetimeMs: number;
}

/** The TTL of an entry, in times of the cache's clock. */
export interface Lifetime {
  readonly stored: number;
  readonly expires: number;
  /** How long it may be served after that, as a slot encodes it. */
  readonly staleShare: number;
}

/** A cached value. */
export interface CachedValue {
  readonly value: Buffer;
  readonly etag: Etag;
  readonly freshness: Freshness;
  /** Whether it is a variant of what was read: compressed, or decompressed. Absent: it is not. */
  readonly isVariant?: boolean;
}

/** A variant that may be served: as it is, or, if it expires soon (`due`) or has expired, while its value is loaded anew. */
export interface Servable {
  readonly kind: 'fresh' | 'due' | 'expired';
  readonly found: CachedValue;
}

/** The entry of a key: a value, or a negative entry. */
export type CachedEntry =
  | ({ readonly kind: 'hit' } & CachedValue)
  /** The key is known not to exist. */
  | { readonly kind: 'missing'; readonly freshness: Freshness };

/** An expired value that is being reloaded: its age exceeds its lifetime. */
type Revalidating = { readonly kind: 'revalidating' } & CachedValue;

/** A look-up that is served from the cache. */
export type Served = CachedEntry | Revalidating;

/** An expired value: its age exceeds its lifetime. */
export type Stale = { readonly kind: 'stale' } & CachedValue;

/**
 * Why the cache could not serve a request, in the terms of RFC 9211: no entry, an expired entry, or an entry older than the
 * request accepts.
 */
export type Forward = 'uri-miss' | 'stale' | 'request';

export type Lookup =
  | Served
  /** The entry is served, and the caller must reload it, without a request that waits, and then commit or abandon the lease. */
  | { readonly kind: 'refresh'; readonly found: Served; readonly lease: Lease }
  /** The caller must load the key and then commit or abandon the lease. */
  | { readonly kind: 'miss'; readonly lease: Lease; readonly forward: Forward }
  /** The holder of this lease, on this thread or another, is loading the key. */
  | { readonly kind: 'loading'; readonly lease: Lease; readonly own: boolean; readonly forward: Forward }
  /** No lease was granted: the caller loads for itself and nothing is stored. */
  | { readonly kind: 'unleased'; readonly forward: Forward }
  /** The entry has a large value, and a copy of it does not fit in the buffered-bytes limit. */
  | BufferFull;

/**
 * Where an entry is stored in the order of use: as the most recently used one, or as the least recently used one, which evicts
 * nothing.
 */
export type Place = 'first' | 'last';

/** `void`: the lease had ended. `uncacheable`: larger than the limits allow. `full`: it would have evicted other entries. */
export type FillResult = 'stored' | 'void' | 'uncacheable' | 'full';

/**
 * `cached`: there is an entry, or a load is in flight. `full`: an entry more would evict others. `refused`: the maximum number
 * of leases is reached, or the id is too long.
 */
export type UncachedLease = Lease | 'cached' | 'full' | 'refused';

/** Results for the waiters of a load. `void`: look up the key again, because the value was stored or the lease was voided. */
export const LOAD_RESULTS = [
  'void',
  'missing',
  'wrong-type',
  'value-too-large',
  'timeout',
  'unavailable',
  'overloaded',
  /** A value exists but was not cached. */
  'unshared',
] as const;

export type LoadResult = (typeof LOAD_RESULTS)[number];

const ANSWERS: ReadonlySet<LoadResult> = new Set(['missing', 'wrong-type', 'value-too-large', 'unshared']);

/** Whether a load with this result learned the state of the key in Redis, so that an existing entry is outdated. */
export function isKeyStateKnown(result: LoadResult): boolean {
  return ANSWERS.has(result);
}
