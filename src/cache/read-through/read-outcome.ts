import type { NoRoom } from '../../redis/redis-reply.ts';
import type { Forward, Freshness, CachedEntry, CachedValue, Stale } from '../shared-lru/cache-types.ts';
import type { ReadOutcomeName } from '../../instance/read-metrics.ts';
import type { SharedLru } from '../shared-lru/shared-lru.ts';

/** How a loaded answer came to be: loaded and stored, loaded and not stored, or loaded for somebody else. */
export type Origin = 'stored' | 'not-stored' | 'collapsed';

/**
 * Why a load has learned nothing of its key. `overloaded`: too many loads wait already, or this one has waited too long
 * for its turn.
 */
export type Failure = 'timeout' | 'unavailable' | 'overloaded';

export type Loaded =
  | ({ readonly kind: 'value' } & CachedValue)
  | { readonly kind: 'absent'; readonly freshness: Freshness }
  | { readonly kind: 'wrong-type' }
  /** There is a value, of more bytes than are read. */
  | { readonly kind: 'value-too-large' }
  | { readonly kind: Failure }
  /** The load has failed, but a value is held whose time is over not too long. */
  | (Stale & { readonly failure: Failure });

/** A load's outcome, how this caller came by it, and why what was held did not do. */
export type LoadOutcome = Loaded & { readonly origin: Origin; readonly forward: Forward };

/** What a load ends with: without an outcome if there was no room for the value, which is of so many bytes. */
export type LoadEnd = LoadOutcome | NoRoom;

/** The answer to a read: from the cache, or loaded. */
export type ReadOutcome = CachedEntry | LoadOutcome;

/** The answer to a read with directives. `not-cached`: nothing that would do is held, and nothing was to be loaded. */
export type DirectedOutcome = ReadOutcome | { readonly kind: 'not-cached' };

/** The outcome of a load that has failed: a value whose time is over, where there is one that may still be given. */
export function failedLoad(
  lru: SharedLru,
  key: Buffer,
  failure: Failure,
  origin: Origin,
  forward: Forward,
): LoadOutcome {
  const stale = lru.getStale(key);
  return stale === undefined ? { kind: failure, origin, forward } : { ...stale, failure, origin, forward };
}

/** The same for a reader who wants no value whose time is over. */
export function withoutStale(outcome: LoadOutcome): LoadOutcome {
  if (outcome.kind !== 'stale') return outcome;
  return { kind: outcome.failure, origin: outcome.origin, forward: outcome.forward };
}

/** What a read's outcome is counted as. */
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
  }
}
