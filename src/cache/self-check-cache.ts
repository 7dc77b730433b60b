import { Buffer } from 'node:buffer';
import type { Settings } from '../config/settings.ts';
import { BufferedBytes } from './buffered-bytes.ts';
import { CacheService } from './cache.service.ts';
import type { Clock } from './clock.ts';
import { InstanceMemory } from './instance-memory.ts';
import { KeyQueries, type KeyStore } from './key-queries.ts';
import { LoadGate } from './load-gate.ts';
import type { Store } from './loader.ts';
import { ReadThrough } from './read-through.ts';
import { RequestCounts } from './request-counts.ts';
import { SharedLru } from './shared-lru.ts';

/** The one key that can be read from it, and its value. */
export const SELF_CHECK_KEY = 'redis-http-cache-proxy:self-check';
export const SELF_CHECK_VALUE = 'redis-http-cache-proxy self-check';

const LIMITS = { capacity: 1, maxBytes: 1024, maxValueBytes: 512, maxLeases: 16, leaseMs: 1000, staleMs: 0 };
const LIFETIMES = { ttlMs: 60_000, negativeTtlMs: 0 };
/** It has memory of its own, so any name but 0 will do. */
const OWNER = 1;

const STORE: Store = {
  fetch: (_key, take) =>
    void setImmediate(() => take({ kind: 'value', value: Buffer.from(SELF_CHECK_VALUE), ttlMs: undefined })),
};

/** Nothing but the value is read. */
const NO_QUERIES: KeyStore = {
  expiry: () => Promise.resolve({ kind: 'missing' }),
  type: () => Promise.resolve({ kind: 'missing' }),
};

/** A cache with counts of its own. */
export interface SelfCheckCache {
  readonly cache: CacheService;
  readonly counts: RequestCounts;
  readonly buffered: BufferedBytes;
}

/**
 * Makes a cache of the same classes as the instance's, but with memory and counts of its own and a constant in the place of
 * Redis. What a self-check reads neither displaces an entry nor counts as a read, and the path of a hit needs no branch
 * for it.
 *
 * @param clock the one of this thread: a second one would keep V8 from inlining it where hits read it.
 */
export function createSelfCheckCache({ proxy }: Pick<Settings, 'proxy'>, clock: Clock): SelfCheckCache {
  const instance = InstanceMemory.create();
  const lru = SharedLru.create(LIMITS, OWNER, clock);
  const counts = new RequestCounts(instance, 0);
  const gate = new LoadGate(instance, 0, OWNER, proxy);
  const buffered = new BufferedBytes(instance, 0, proxy, clock);
  const readThrough = new ReadThrough({
    ...{ lru, gate, counts, clock, buffered },
    ...{ store: STORE, lifetimes: LIFETIMES, coherence: { mayStore: true } },
  });
  const queries = new KeyQueries(NO_QUERIES, gate, counts, clock);
  const cache = new CacheService({ row: 0, owner: OWNER, clock, lru, instance }, readThrough, queries, counts);
  return { cache, counts, buffered };
}
