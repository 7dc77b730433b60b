import type { Buffer } from 'node:buffer';
import type { ContentCoding } from '../../config/settings.ts';
import type { Query } from '../../redis/query.ts';
import { BufferFull, TOO_LARGE } from '../../redis/redis-reply.ts';
import type { BufferedBytes, MemoryAccount, ReadClient } from '../read-through/buffered-bytes.ts';
import { type DirectedOutcome, type ValueOutcome, hasValue } from '../read-through/read-outcome.ts';
import type { ReadDirectives, ReadOptions, ReadThrough } from '../read-through/read-through.ts';
import type { CachedValue, EntryId, Lease, Lifetime } from '../shared-lru/cache-types.ts';
import { type Etag, etagOf, formatEtag, isSameEtag } from '../shared-lru/etag.ts';
import type { SharedLru } from '../shared-lru/shared-lru.ts';
import { ContentCoder } from './content-coder.ts';
import { COMPRESSED, DECOMPRESSED, type VariantNumber, variantIdOf } from './variant-id.ts';

/** How a variant is made of a value. */
export interface Conversion {
  readonly kind: 'compress' | 'decompress';
  readonly coding: ContentCoding;
  readonly variant: VariantNumber;
  /** A shorter value is served as it is. */
  readonly minBytes: number;
}

export function compression(coding: ContentCoding, minBytes: number): Conversion {
  return { kind: 'compress', coding, variant: COMPRESSED[coding], minBytes };
}

export function decompression(coding: ContentCoding): Conversion {
  return { kind: 'decompress', coding, variant: DECOMPRESSED, minBytes: 0 };
}

/** Why a value has no variant; depends on its bytes alone. */
type NoVariant = 'no-gain' | 'invalid' | 'too-large';

/** The result of a conversion. `busy`: it was not attempted. */
type Converted = Pick<CachedValue, 'value' | 'etag'> | NoVariant | 'busy' | BufferFull;

/** Values that are known to have no variant, for each thread. */
const MAX_UNCONVERTIBLE = 4096;

/** A variant that a client reads: its own id, and the query for the value that it is made of. */
interface WantedVariant {
  readonly query: Query;
  readonly id: EntryId;
  readonly conversion: Conversion;
  readonly directives: ReadDirectives | undefined;
  readonly client: ReadClient | undefined;
}

const NO_DIRECTIVES: ReadDirectives = {};

export interface VariantParts {
  readonly lru: SharedLru;
  readonly reads: ReadThrough;
  readonly buffered: BufferedBytes;
  /** Longest value after decompression. */
  readonly maxBytes: number;
}

/**
 * Reads variants: values that are compressed, or decompressed, for some clients. A variant is made of the cached value, never
 * loaded from Redis, and cached beside it with its age and its TTL. Whatever loads the value anew, or ends it, ends its variants
 * in the same step; so a variant that is found can be served by itself, and otherwise everything that concerns freshness is
 * decided by the read of the value.
 */
export class VariantReads {
  readonly #lru: SharedLru;
  readonly #reads: ReadThrough;
  readonly #buffered: BufferedBytes;
  readonly #limits: { readonly maxBytes: number; readonly maxBufferedBytes: number };
  readonly #coder = new ContentCoder();
  /** Conversions in progress, by value and variant. */
  readonly #inProgress = new Map<string, Promise<Converted>>();
  readonly #unconvertible = new Map<string, NoVariant>();
  readonly #tryHold: (memory: ArrayBufferLike) => boolean;

  constructor({ lru, reads, buffered, maxBytes }: VariantParts) {
    this.#lru = lru;
    this.#reads = reads;
    this.#buffered = buffered;
    this.#limits = { maxBytes, maxBufferedBytes: buffered.limit };
    this.#tryHold = (memory) => buffered.tryHoldForTick(memory);
  }

  /** Whether a value is known not to get smaller. */
  hasNoGain(etag: Etag, conversion: Conversion): boolean {
    return this.#unconvertible.size > 0 && this.#unconvertible.get(nameOf(etag, conversion)) === 'no-gain';
  }

  /**
   * Reads a variant of what a query reads, or the value itself if a variant would not be smaller, cannot be cached, or cannot be
   * made now.
   *
   * @param conversion undefined: the value itself is read.
   */
  read(
    query: Query,
    conversion: Conversion | undefined,
    directives: ReadDirectives | undefined,
    options: ReadOptions,
  ): DirectedOutcome | Promise<DirectedOutcome> {
    if (conversion === undefined) return this.#reads.read(query, directives, options);
    const id = variantIdOf(query, conversion.variant);
    const own = this.#lru.readServable(id, directives?.maxAgeMs ?? Infinity, this.#tryHold);
    const wanted: WantedVariant = { query, id, conversion, directives, client: options.client };
    if (own?.kind === 'buffer-full') return this.#readOnceItFits(wanted, own.bytes);
    const mayServe = own !== undefined && (own.kind !== 'expired' || directives?.onlyIfCached !== true);
    if (mayServe && (own.kind === 'fresh' || this.#lru.describe(query) === undefined)) {
      // What it was made of has been evicted: it is served while that is loaded.
      if (own.kind !== 'fresh' && directives?.onlyIfCached !== true) this.#reads.refresh(query);
      if (options.alreadyCounted !== true) this.#lru.countHit();
      return { ...own.found, kind: own.kind === 'expired' ? 'revalidating' : 'hit', isVariant: true };
    }
    const outcome = this.#reads.read(query, directives, options);
    const replace = (read: DirectedOutcome): DirectedOutcome | Promise<DirectedOutcome> =>
      hasValue(read) ? this.#variantFor(read, wanted) : this.#orStale(read, wanted);
    return outcome instanceof Promise ? outcome.then(replace) : replace(outcome);
  }

  /** Returns the variant of a value that has just been read, whose memory is held until the end of this tick. */
  #variantFor(outcome: ValueOutcome, wanted: WantedVariant): DirectedOutcome | Promise<DirectedOutcome> {
    const made = this.#findOrConvert(outcome, wanted, this.#buffered);
    const finish = (converted: Converted): DirectedOutcome | Promise<DirectedOutcome> => {
      if (!(converted instanceof BufferFull)) return outcomeOf(outcome, converted);
      if (wanted.conversion.kind === 'compress') return outcome;
      return this.#readOnceItFits(wanted, outcome.value.length + converted.bytes);
    };
    return made instanceof Promise ? made.then(finish) : finish(made);
  }

  /** Replaces a failed load of the value by an expired variant, if one may still be served and the request accepts it. */
  #orStale(outcome: DirectedOutcome, { id, directives }: WantedVariant): DirectedOutcome {
    if (directives?.maxAgeMs !== undefined || directives?.onlyIfCached === true) return outcome;
    if (outcome.kind !== 'timeout' && outcome.kind !== 'unavailable' && outcome.kind !== 'overloaded') return outcome;
    const stale = this.#lru.getStale(id);
    const { kind: failure, origin, forward } = outcome;
    return stale === undefined ? outcome : { ...stale, failure, origin, forward, isVariant: true };
  }

  /** Returns the variant of a value: a cached one, one that is being made, or a new one. */
  #findOrConvert(
    { kind, value, etag }: ValueOutcome,
    wanted: WantedVariant,
    account: MemoryAccount,
  ): Converted | Promise<Converted> {
    const { query, id, conversion } = wanted;
    const compresses = conversion.kind === 'compress';
    if (compresses && value.length < conversion.minBytes) return 'no-gain';
    const name = nameOf(etag, conversion);
    const unconvertible = this.#unconvertible.get(name);
    if (unconvertible !== undefined) return unconvertible;
    const isCached = this.#lifetimeOf(query, etag) !== undefined;
    const cached = isCached ? this.#lru.readAny(id, (memory) => account.tryHoldForTick(memory)) : undefined;
    if (cached !== undefined) return cached;
    // While Redis is unavailable, and for values that are not cached, compressing would take place for each read.
    if (compresses && (!isCached || kind === 'stale')) return 'busy';
    let made = this.#inProgress.get(name);
    if (made === undefined) {
      made = this.#convert(value, etag, wanted, account).finally(() => this.#inProgress.delete(name));
      this.#inProgress.set(name, made);
    }
    const isHeld = account.tryHold(value.buffer);
    return made.finally(() => {
      if (isHeld) account.releaseAfterTick(value.buffer);
    });
  }

  /** Returns the TTL of a value; undefined if it is not the one that is cached now. */
  #lifetimeOf(query: Query, etag: Etag): Lifetime | undefined {
    const cached = this.#lru.describe(query);
    return cached !== undefined && isSameEtag(cached.etag, etag) ? cached.lifetime : undefined;
  }

  /** Converts a value, and stores the variant under a lease that another thread does not have. */
  async #convert(value: Buffer, etag: Etag, wanted: WantedVariant, account: MemoryAccount): Promise<Converted> {
    const { query, id, conversion } = wanted;
    let lease: Lease | undefined;
    try {
      for (let waits = 0; ; waits++) {
        // An entry of any age is too old: if it could be served, it would not be converted anew.
        const found = this.#lru.lookup(id, true, 0);
        if (found.kind === 'miss') lease = found.lease;
        if (found.kind !== 'loading' || found.own || waits > 0) break;
        await this.#lru.result(found.lease);
        const stored =
          this.#lifetimeOf(query, etag) !== undefined
            ? this.#lru.readAny(id, (memory) => account.tryHoldForTick(memory))
            : undefined;
        if (stored !== undefined) return stored;
      }
      // Described under the lease: if the value is loaded anew or purged after this, the lease ends.
      const lifetime = lease === undefined ? undefined : this.#lifetimeOf(query, etag);
      const converted = await this.#code(value, conversion, account);
      if (typeof converted === 'string') {
        if (converted !== 'busy') this.#noteUnconvertible(nameOf(etag, conversion), converted);
        return converted;
      }
      if (converted instanceof BufferFull) return converted;
      account.releaseAfterTick(converted.buffer);
      const made = { value: converted, etag: etagOf(converted) };
      if (lease !== undefined && lifetime !== undefined) {
        const result = this.#lru.commitVariant(lease, made.value, made.etag, lifetime);
        lease = undefined;
        if (result === 'void') this.#storeUnderNewLease(made, etag, wanted);
      }
      return made;
    } finally {
      if (lease !== undefined) this.#lru.abandon(lease);
    }
  }

  /** Stores a variant of a value that is still cached: its lease has expired, because conversions were queued for long. */
  #storeUnderNewLease(made: Pick<CachedValue, 'value' | 'etag'>, etag: Etag, { query, id }: WantedVariant): void {
    const found = this.#lru.lookup(id, true, 0);
    if (found.kind !== 'miss') return;
    const lifetime = this.#lifetimeOf(query, etag);
    if (lifetime === undefined) this.#lru.abandon(found.lease);
    else this.#lru.commitVariant(found.lease, made.value, made.etag, lifetime);
  }

  /** Compresses or decompresses a value, without storing the result. */
  async #code(
    value: Buffer,
    { kind, coding }: Conversion,
    account: MemoryAccount,
  ): Promise<Buffer | NoVariant | 'busy' | BufferFull> {
    if (kind === 'compress') return this.#coder.compress(coding, value, account);
    const decompressed = await this.#coder.decompress(coding, value, this.#limits, account);
    return decompressed === TOO_LARGE ? 'too-large' : (decompressed as Buffer | 'invalid' | BufferFull);
  }

  #noteUnconvertible(name: string, why: NoVariant): void {
    if (this.#unconvertible.size >= MAX_UNCONVERTIBLE) {
      const [oldest] = this.#unconvertible.keys();
      this.#unconvertible.delete(oldest);
    }
    this.#unconvertible.set(name, why);
  }

  /**
   * Waits until value and variant fit in the buffered-bytes limit together, without holding either, and reads them again, as the
   * directives of the request permit.
   */
  async #readOnceItFits(wanted: WantedVariant, neededBytes: number): Promise<DirectedOutcome> {
    const { query, id, directives = NO_DIRECTIVES, client } = wanted;
    const { maxAgeMs = Infinity, onlyIfCached = false } = directives;
    for (let bytes = neededBytes; ;) {
      // Each of the two is charged in whole pages.
      const account = await this.#buffered.reserve(bytes + 2 * this.#buffered.roundingBytes, client);
      if (account === undefined)
        return this.#orStale({ kind: 'overloaded', origin: 'not-stored', forward: 'uri-miss' }, wanted);
      try {
        const own = this.#lru.readServable(id, maxAgeMs, (memory) => account.tryHoldForTick(memory));
        if (own?.kind === 'fresh') return { ...own.found, kind: 'hit', isVariant: true };
        const outcome = await this.#reads.readWithin(query, account, { maxAgeMs, onlyIfCached, client });
        if (outcome.kind === 'buffer-full') {
          bytes = Math.max(bytes, outcome.bytes);
          continue;
        }
        if (!hasValue(outcome)) return this.#orStale(outcome, wanted);
        const converted = await this.#findOrConvert(outcome, wanted, account);
        if (!(converted instanceof BufferFull)) return outcomeOf(outcome, converted);
        bytes = outcome.value.length + converted.bytes;
      } finally {
        this.#buffered.releaseUnused(account);
      }
    }
  }
}

/** Puts a variant in the place of the value that it was made of. */
function outcomeOf(outcome: ValueOutcome, converted: Exclude<Converted, BufferFull>): DirectedOutcome {
  switch (converted) {
    case 'busy':
    case 'no-gain':
      return outcome;
    case 'invalid':
    case 'too-large':
      return { kind: 'unconvertible', why: converted, of: outcome };
    default:
      return { ...outcome, value: converted.value, etag: converted.etag, isVariant: true };
  }
}

function nameOf(etag: Etag, { variant, coding }: Conversion): string {
  return `${variant} ${coding} ${formatEtag(etag)}`;
}
