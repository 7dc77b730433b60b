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

/** A value as it was held. */
export interface HeldValue {
  readonly value: Buffer;
  readonly etag: Etag;
  readonly freshness: Freshness;
}

/** What is held of a key. */
export type Held =
  | ({ readonly kind: 'hit' } & HeldValue)
  /** The key is known not to exist. */
  | { readonly kind: 'missing'; readonly freshness: Freshness };

/** A value whose time is over: its age is more than its lifetime. */
export type Stale = { readonly kind: 'stale' } & HeldValue;

/**
 * Why what is held does not do, in the words of RFC 9211: nothing is; or a value, but its time is over; or something that
 * is older than the reader wants it.
 */
export type Forward = 'uri-miss' | 'stale' | 'request';

export type Lookup =
  | Held
  /** The caller is the one to load it: it must `fill` or `release` the lease. */
  | { readonly kind: 'miss'; readonly lease: Lease; readonly forward: Forward }
  /** The holder of this lease, this thread or another, is loading it. */
  | { readonly kind: 'loading'; readonly lease: Lease; readonly own: boolean; readonly forward: Forward }
  /** No lease can be given: the caller loads for itself, nothing is stored. */
  | { readonly kind: 'unleased'; readonly forward: Forward };

/** `void`: the lease had ended. `uncacheable`: larger than the limits allow. */
export type FillResult = 'stored' | 'void' | 'uncacheable';

/** What those who wait for a load are told. `void`: nothing, they have to look again; so they have when it was stored. */
export const LOAD_RESULTS = [
  'void',
  'missing',
  'wrong-type',
  'value-too-large',
  'timeout',
  'unavailable',
  'overloaded',
  /** There is a value, but it is not in the cache. */
  'unshared',
] as const;

export type LoadResult = (typeof LOAD_RESULTS)[number];

const ANSWERS: ReadonlySet<LoadResult> = new Set(['missing', 'wrong-type', 'value-too-large', 'unshared']);

/** Whether a load that ended so has told what is in Redis, so that whatever was held of the key is outdated. */
export function isAnswer(result: LoadResult): boolean {
  return ANSWERS.has(result);
}
