import type { Query } from '../../redis/query.ts';
import type { BufferFull } from '../../redis/redis-reply.ts';
import type { Forward, Freshness, CachedValue, Served, Stale } from '../shared-lru/cache-types.ts';
import type { ReadOutcomeName } from '../../instance/read-metrics.ts';
import type { SharedLru } from '../shared-lru/shared-lru.ts';

/** Where a loaded result comes from: loaded and stored, loaded and not stored, or coalesced with another request's load. */
export type Origin = 'stored' | 'not-stored' | 'collapsed';

/** Why a load failed. `overloaded`: the load queue is full, or this load was queued for too long. */
export type Failure = 'timeout' | 'unavailable' | 'overloaded';

export type Loaded =
  | ({ readonly kind: 'value' } & CachedValue)
  | { readonly kind: 'absent'; readonly freshness: Freshness }
  | { readonly kind: 'wrong-type' }
  /** Redis rejected the query: `message` is its error, without the `-`. */
  | { readonly kind: 'error-reply'; readonly message: string }
  /** The value exceeds REDIS_MAX_VALUE_BYTES. */
  | { readonly kind: 'value-too-large' }
  | { readonly kind: Failure }
  /** The load failed, but an expired value may still be served. */
  | (Stale & { readonly failure: Failure });

/** The outcome of a load, its origin, and why the cache could not serve the request. */
export type LoadOutcome = Loaded & { readonly origin: Origin; readonly forward: Forward };

/** How a load ends: with an outcome, or with the size of a value that did not fit in the buffered-bytes limit. */
export type LoadEnd = LoadOutcome | BufferFull;

/** The outcome of a read: from the cache, or loaded. */
export type ReadOutcome = Served | LoadOutcome;

/** An outcome with a value. */
export type ValueOutcome = Extract<ReadOutcome, CachedValue>;

/**
 * The value that was read cannot be decompressed, because it is not in the coding that HTTP_CONTENT_ENCODINGS states, or because it
 * would get too large.
 */
interface Unconvertible {
  readonly kind: 'unconvertible';
  readonly why: 'invalid' | 'too-large';
  /** The read of the value. */
  readonly of: ValueOutcome;
}

/**
 * The outcome of a read with directives, or of a variant. `not-cached`: no acceptable entry, and the request specified
 * only-if-cached.
 */
export type DirectedOutcome = ReadOutcome | Unconvertible | { readonly kind: 'not-cached' };

export function hasValue(outcome: DirectedOutcome): outcome is ValueOutcome {
  return 'value' in outcome;
}

/** Returns the outcome of a failed load: an expired value if one may still be served, the failure otherwise. */
export function failedLoad(
  lru: SharedLru,
  query: Query,
  failure: Failure,
  origin: Origin,
  forward: Forward,
): LoadOutcome {
  const stale = lru.getStale(query);
  return stale === undefined ? { kind: failure, origin, forward } : { ...stale, failure, origin, forward };
}

/** Turns an entry that was found after waiting into the outcome of a coalesced load. */
export function asCollapsed(found: Served, forward: Forward): LoadOutcome {
  return found.kind === 'missing'
    ? { ...found, kind: 'absent', origin: 'collapsed', forward }
    : { ...found, kind: 'value', origin: 'collapsed', forward };
}

/** Replaces a stale outcome with its failure, for a request that does not accept expired values. */
export function withoutStale(outcome: LoadOutcome): LoadOutcome {
  if (outcome.kind !== 'stale') return outcome;
  return { kind: outcome.failure, origin: outcome.origin, forward: outcome.forward };
}

/** Maps a read's outcome to its metric label. */
export function outcomeName(outcome: DirectedOutcome): ReadOutcomeName {
  switch (outcome.kind) {
    case 'value':
      return outcome.origin === 'collapsed' ? 'collapsed' : 'miss';
    case 'absent':
    case 'missing':
      return 'not-found';
    case 'hit':
    case 'stale':
    case 'wrong-type':
    case 'value-too-large':
    case 'timeout':
    case 'unavailable':
    case 'overloaded':
    case 'not-cached':
      return outcome.kind;
    case 'revalidating':
      return 'stale-while-revalidate';
    case 'unconvertible':
      return outcome.why === 'invalid' ? 'invalid-encoding' : 'value-too-large';
    case 'error-reply':
      return outcome.message.startsWith('WRONGTYPE ') ? 'wrong-type' : outcome.kind;
  }
}
