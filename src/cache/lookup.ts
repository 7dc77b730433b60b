/** What the callers of the cache hand to it, and what it answers. */
import type { Etag } from './etag.ts';

/** Names one use of a slot: it is stale once the slot is used for something else or the cache was emptied. */
export interface Handle {
  readonly slot: number;
  readonly version: number;
  readonly epoch: number;
}

/** The right, and the duty, to load one key. Worth nothing once the key was purged, or the lease, overdue, taken back. */
export type Lease = Handle;

/** How old an answer is and how long it may be given, in milliseconds. */
export interface Freshness {
  /** Since the entry was stored. */
  readonly ageMs: number;
  /** From when it was stored to when it expires. */
  readonly lifetimeMs: number;
}

export type Lookup =
  | { readonly kind: 'hit'; readonly value: Buffer; readonly etag: Etag; readonly freshness: Freshness }
  /** The key is known not to exist. */
  | { readonly kind: 'missing'; readonly freshness: Freshness }
  /** Not held, and the caller is the one to load it: it must `fill` or `release` the lease. */
  | { readonly kind: 'miss'; readonly lease: Lease }
  /** Not held, and the holder of this lease, this thread or another, is loading it. */
  | { readonly kind: 'loading'; readonly lease: Lease; readonly own: boolean }
  /** Not held, and no lease can be given: the caller loads for itself, nothing is stored. */
  | { readonly kind: 'unleased' };

/** `void`: the lease had ended. `uncacheable`: larger than the limits allow. */
export type FillResult = 'stored' | 'void' | 'uncacheable';

/** What those who wait for a load are told. `void`: nothing, they have to look again; so they have when it was stored. */
export const LOAD_RESULTS = [
  'void',
  'missing',
  'wrong-type',
  'timeout',
  'unavailable',
  'overloaded',
  /** There is a value, but it is not in the cache. */
  'unshared',
] as const;

export type LoadResult = (typeof LOAD_RESULTS)[number];
