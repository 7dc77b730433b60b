import { Buffer } from 'node:buffer';
import type { Settings } from '../config/settings.ts';
import { BufferedBytes } from './read-through/buffered-bytes.ts';
import { CacheService } from './cache.service.ts';
import type { Clock } from './shared-lru/clock.ts';
import { InstanceMemory } from '../instance/instance-memory.ts';
import type { KeyStore } from './read-through/key-queries.ts';
import { LoadLimiter } from './read-through/load-limiter.ts';
import type { BackingStore } from './read-through/loader.ts';
import { ReadMetrics } from '../instance/read-metrics.ts';
import { SharedLru } from './shared-lru/shared-lru.ts';

/** The only key of the self-check cache, and its value. */
export const SELF_CHECK_KEY = 'redis-http-cache-proxy:self-check';
export const SELF_CHECK_VALUE = 'redis-http-cache-proxy self-check';

const LIMITS = { capacity: 1, maxBytes: 1024, maxValueBytes: 512, maxLeases: 16, leaseMs: 1000, staleMs: 0 };
const LIFETIMES = { ttlMs: 60_000, ttlJitter: 0, negativeTtlMs: 0 };
/** Lock owner id; any number but 0, because no other thread maps this memory. */
const OWNER = 1;

/** In place of Redis: every key has the same value. Self-checks query neither TTLs nor types. */
const STORE: BackingStore & KeyStore = {
  fetch: (_key, onReply) =>
    void setImmediate(() => onReply({ kind: 'value', value: Buffer.from(SELF_CHECK_VALUE), ttlMs: undefined })),
  ttl: () => Promise.resolve({ kind: 'missing' }),
  type: () => Promise.resolve({ kind: 'missing' }),
};

/** A cache with separate metrics. */
export interface SelfCheckCache {
  readonly cache: CacheService;
  readonly counts: ReadMetrics;
  readonly buffered: BufferedBytes;
}

/**
 * Creates a cache of the same classes as the instance's, but with separate memory and metrics and with a constant in place
 * of Redis. Self-checks therefore neither evict an entry nor count as reads, and the hit path needs no branch for them.
 *
 * @param clock the clock of this thread: a second one would keep V8 from inlining it on the hit path.
 */
export function createSelfCheckCache({ proxy }: Pick<Settings, 'proxy'>, clock: Clock): SelfCheckCache {
  const instance = InstanceMemory.create();
  const lru = SharedLru.create(LIMITS, OWNER, clock);
  const counts = new ReadMetrics(instance, 0);
  const limiter = new LoadLimiter(instance, 0, OWNER, proxy);
  const buffered = new BufferedBytes(instance, 0, proxy, clock);
  const thread = { threadIndex: 0, lockOwnerId: OWNER, clock, lru, instance };
  const policy = { canStore: true };
  const [http, redis] = [{ compression: [], contentEncodings: [] }, { maxValueBytes: LIMITS.maxValueBytes }];
  const cache = new CacheService(thread, STORE, limiter, counts, policy, buffered, LIFETIMES, http, redis);
  return { cache, counts, buffered };
}
