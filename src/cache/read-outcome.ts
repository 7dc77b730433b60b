import type { Etag } from './etag.ts';
import type { Freshness, Lookup } from './lookup.ts';
import type { ReadOutcomeName } from './request-counts.ts';

/** How a loaded answer came to be: loaded and stored, loaded and not stored, or loaded for somebody else. */
export type Origin = 'stored' | 'not-stored' | 'collapsed';

export type CachedOutcome = Extract<Lookup, { kind: 'hit' | 'missing' }>;

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
export type ReadOutcome = CachedOutcome | LoadOutcome;

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
