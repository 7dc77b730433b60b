import { Buffer } from 'node:buffer';
import type { Settings } from '../config/settings.ts';
import { BufferedBytes } from './read-through/buffered-bytes.ts';
import { CacheService } from './cache.service.ts';
import type { Clock } from './shared-lru/clock.ts';
import { InstanceMemory } from '../instance/instance-memory.ts';
import { KeyQueries, type KeyStore } from './read-through/key-queries.ts';
import { LoadLimiter } from './read-through/load-limiter.ts';
import type { BackingStore } from './read-through/loader.ts';
import { ReadThrough } from './read-through/read-through.ts';
import { ReadMetrics } from '../instance/read-metrics.ts';
import { SharedLru } from './shared-lru/shared-lru.ts';

/** The one key that can be read from it, and its value. */
export const SELF_CHECK_KEY = 'redis-http-cache-proxy:self-check';
export const SELF_CHECK_VALUE = 'redis-http-cache-proxy self-check';

const LIMITS = { capacity: 1, maxBytes: 1024, maxValueBytes: 512, maxLeases: 16, leaseMs: 1000, staleMs: 0 };
const LIFETIMES = { ttlMs: 60_000, negativeTtlMs: 0 };
/** It has memory of its own, so any name but 0 will do. */
const OWNER = 1;

const STORE: BackingStore = {
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
  readonly counts: ReadMetrics;
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
  const counts = new ReadMetrics(instance, 0);
  const gate = new LoadLimiter(instance, 0, OWNER, proxy);
  const buffered = new BufferedBytes(instance, 0, proxy, clock);
  const readThrough = new ReadThrough({
    ...{ lru, gate, counts, clock, buffered },
    ...{ store: STORE, lifetimes: LIFETIMES, coherence: { canStore: true } },
  });
  const queries = new KeyQueries(NO_QUERIES, gate, counts, clock);
  const cache = new CacheService(
    { threadIndex: 0, lockOwnerId: OWNER, clock, lru, instance },
    readThrough,
    queries,
    counts,
  );
  return { cache, counts, buffered };
}
