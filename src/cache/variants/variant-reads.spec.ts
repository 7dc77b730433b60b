import zlib from 'node:zlib';
import { beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CoherenceState } from '../../instance/coherence-state.ts';
import { InstanceMemory } from '../../instance/instance-memory.ts';
import { ReadMetrics } from '../../instance/read-metrics.ts';
import { Query } from '../../redis/query.ts';
import type { RedisReply } from '../../redis/redis-reply.ts';
import type { BufferedBytes } from '../read-through/buffered-bytes.ts';
import { bufferedBytes } from '../read-through/buffered-bytes.spec-support.ts';
import { LoadLimiter } from '../read-through/load-limiter.ts';
import { type DirectedOutcome, hasValue } from '../read-through/read-outcome.ts';
import { type ReadDirectives, ReadThrough } from '../read-through/read-through.ts';
import type { Lease } from '../shared-lru/cache-types.ts';
import { SharedLru } from '../shared-lru/shared-lru.ts';
import { checkInvariants } from '../shared-lru/shared-memory.spec-support.ts';
import { COMPRESSED, DECOMPRESSED } from './variant-id.ts';
import { VariantReads, compression, decompression } from './variant-reads.ts';

const LEASE_MS = 2000;
const LIMITS = { capacity: 9, maxBytes: 100_000, maxValueBytes: 20_000, maxLeases: 8, leaseMs: LEASE_MS, staleMs: 0 };
const LOAD_LIMITS = { maxConcurrentLoads: 9, maxQueuedLoads: 9, queueTimeoutMs: 60_000 };
const LIFETIMES = { ttlMs: 60_000, ttlJitter: 0, negativeTtlMs: 0 };
const KEY = Query.get(Buffer.from('k'));
const OTHER = Query.get(Buffer.from('other'));

type ReadThroughParts = ConstructorParameters<typeof ReadThrough>[0];
type Store = ReadThroughParts['store'];

interface Setup
  extends Pick<ReadThroughParts, 'lru' | 'clock' | 'variants'>, Partial<Pick<ReadThroughParts, 'lifetimes'>> {
  readonly fetch: Store['fetch'];
  /** Maximum bytes of a value, and of what is buffered if that is limited. */
  readonly maxBytes?: number;
}

/** Creates the reads of one thread, and those of variants of what they load. */
function readsOf({ lru, fetch, clock, variants, lifetimes = LIFETIMES, maxBytes }: Setup) {
  const instance = InstanceMemory.create();
  const buffered = bufferedBytes(instance, 0, maxBytes);
  const reads = new ReadThrough({
    lru,
    store: { fetch },
    limiter: new LoadLimiter(instance, 0, 1, LOAD_LIMITS),
    counts: new ReadMetrics(instance, 0),
    coherence: new CoherenceState(instance),
    clock,
    buffered,
    lifetimes,
    variants,
  });
  const ofVariants = new VariantReads({ lru, reads, buffered, maxBytes: maxBytes ?? LIMITS.maxValueBytes });
  return { reads, variants: ofVariants, buffered };
}

const textOf = (version: string) => `${version}: ${'some text '.repeat(500)}`;

describe.each([
  {
    name: 'compressed',
    conversion: compression('gzip', 1),
    store: (text: string) => Buffer.from(text),
    decode: zlib.gunzipSync,
  },
  { name: 'decompressed', conversion: decompression('gzip'), store: zlib.gzipSync, decode: (value: Buffer) => value },
])('A variant that is $name', ({ conversion, store, decode }) => {
  let now: number;
  let inRedis: string;
  let lru: SharedLru;
  let reads: ReadThrough;
  let variants: VariantReads;

  beforeEach(async () => {
    now = 5000;
    lru = SharedLru.create(LIMITS, 1, () => now);
    const fetch: Store['fetch'] = (_, onReply) =>
      onReply({ kind: 'value', value: store(textOf(inRedis)), ttlMs: undefined });
    ({ reads, variants } = readsOf({ lru, fetch, clock: () => now, variants: [COMPRESSED.gzip, DECOMPRESSED] }));
    inRedis = 'old';
    await reads.read(KEY);
  });

  const read = () => variants.read(KEY, conversion, undefined, {});
  const seen = (outcome: DirectedOutcome) => {
    if (!hasValue(outcome)) return outcome.kind;
    return [outcome.isVariant === true, String(decode(outcome.value)).split(':')[0], outcome.freshness.ageMs];
  };

  it('is stored if its lease expired during the conversion, with the age of the value', async () => {
    const made = read();
    now += LEASE_MS;
    // Another lease ends those that have expired.
    await reads.read(OTHER);
    expect(lru.stats()).toMatchObject({ expiredLeases: 1, leases: 0 });
    expect(seen(await made)).toEqual([true, 'old', 0]);
    const found = read();
    expect(found).not.toBeInstanceOf(Promise);
    expect(seen(await found)).toEqual([true, 'old', LEASE_MS]);
    checkInvariants(lru.buffer);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['purged', async () => Promise.resolve(lru.purge(KEY.key))],
    ['flushed', async () => Promise.resolve(lru.flush())],
    ['expired with all others', async () => Promise.resolve(lru.expireAll())],
    ['loaded anew', async () => reads.read(KEY, { maxAgeMs: 0 })],
  ])('is not stored if the value is %s during the conversion', async (_, end) => {
    const made = read();
    inRedis = 'new';
    await end();
    expect(seen(await made)).toEqual([true, 'old', 0]);
    expect(seen(await read())).toEqual([true, 'new', 0]);
    expect(lru.stats()).toMatchObject({ leases: 0 });
    checkInvariants(lru.buffer);
  });
});

/** A load that has ended, of version `version`. */
interface EndedLoad {
  readonly version: number;
  readonly sentAt: number;
}

type Event =
  | { readonly act: 'write' | 'delete' | 'purge' | 'warm up' }
  | { readonly act: 'read'; readonly as: 'plain' | 'gzip'; readonly directives: ReadDirectives | undefined }
  | { readonly act: 'read another'; readonly key: number }
  | { readonly act: 'reply'; readonly load: number; readonly fails: boolean }
  | { readonly act: 'take leases' | 'end leases' }
  | { readonly act: 'wait'; readonly ms: number };

const act = <Act extends string>(...names: Act[]) => fc.record({ act: fc.constantFrom(...names) });
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 3, arbitrary: act('write', 'write', 'write', 'delete') },
  { weight: 1, arbitrary: act('purge', 'warm up') },
  {
    weight: 10,
    arbitrary: fc.record({
      act: fc.constant('read' as const),
      as: fc.constantFrom('plain' as const, 'gzip' as const),
      directives: fc.constantFrom(undefined, undefined, undefined, { maxAgeMs: 0 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ act: fc.constant('read another' as const), key: fc.nat({ max: 3 }) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      act: fc.constant('reply' as const),
      load: fc.nat({ max: 3 }),
      fails: fc.integer({ min: 0, max: 9 }).map((number) => number === 0),
    }),
  },
  { weight: 3, arbitrary: act('take leases', 'take leases', 'end leases') },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('wait' as const), ms: fc.constantFrom(1, 10, 40) }) },
);

describe('A value and its variants, whether loads have a lease or not,', () => {
  const identity = { id: 1, render: (reply: Buffer) => reply };
  const queries = [KEY, Query.of(KEY.key, [Buffer.from('HGETALL')], identity)];

  /** Cache and Redis, whose replies are sent by events. */
  class Session {
    now = 5000;
    version = 1;
    isDeleted = false;
    readonly ended: EndedLoad[] = [];
    readonly reached = new Set<string>();
    readonly #query: Query;
    readonly #lru: SharedLru;
    readonly #reads: ReadThrough;
    readonly #variants: VariantReads;
    readonly #replies: ((reply: 'in time' | 'failure') => void)[] = [];
    readonly #leases: Lease[] = [];
    #others = 0;

    constructor(query: Query, capacity: number) {
      this.#query = query;
      const limits = {
        ...LIMITS,
        capacity,
        maxLeases: 2,
        leaseMs: 30,
        staleMs: 50,
        revalidateMs: 50,
        refreshAhead: 0.2,
      };
      this.#lru = SharedLru.create(limits, 1, () => this.now);
      const { reads, variants } = readsOf({
        lru: this.#lru,
        fetch: (fetched, onReply) => this.#fetch(fetched, onReply),
        clock: () => this.now,
        lifetimes: { ttlMs: 60, ttlJitter: 0, negativeTtlMs: 30 },
        variants: [COMPRESSED.gzip],
      });
      this.#reads = reads;
      this.#variants = variants;
    }

    async run(event: Event): Promise<void> {
      switch (event.act) {
        case 'write':
        case 'delete':
          this.version++;
          this.isDeleted = event.act === 'delete';
          break;
        case 'purge':
          this.#lru.purge(this.#query.key);
          break;
        case 'warm up':
          this.#reads.warmUp([this.#query], 100);
          break;
        case 'read':
          this.#read(event);
          break;
        case 'read another':
          void this.#reads.read(Query.get(Buffer.from(`other ${event.key}`)));
          break;
        case 'reply':
          this.#replies.splice(event.load % Math.max(1, this.#replies.length), 1)[0]?.(
            event.fails ? 'failure' : 'in time',
          );
          break;
        case 'take leases':
          for (
            let found;
            (found = this.#lru.lookup(Query.get(Buffer.from(`taken ${this.#others++}`)))).kind === 'miss';
          ) {
            this.#leases.push(found.lease);
          }
          break;
        case 'end leases':
          for (const lease of this.#leases.splice(0)) this.#lru.abandon(lease);
          break;
        case 'wait':
          this.now += event.ms;
          break;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }

    /** Ends all loads, so that nothing waits. */
    async end(): Promise<void> {
      while (this.#replies.length > 0) await this.run({ act: 'reply', load: 0, fails: false });
    }

    #read({ as, directives }: Extract<Event, { act: 'read' }>): void {
      const conversion = as === 'gzip' ? compression('gzip', 1) : undefined;
      const outcome = this.#variants.read(this.#query, conversion, directives, {});
      if (outcome instanceof Promise) return void outcome.then(() => undefined);
      if (!hasValue(outcome)) return;
      const text = String(outcome.isVariant === true ? zlib.gunzipSync(outcome.value) : outcome.value);
      const version = Number(text.split(':')[0]);
      const storedAt = this.now - outcome.freshness.ageMs;
      const newest = Math.max(0, ...this.ended.filter(({ sentAt }) => sentAt >= storedAt).map((load) => load.version));
      if (outcome.isVariant === true) this.reached.add(version < this.version ? 'an outdated variant' : 'a variant');
      // Older than what a load has shown that was requested after this was stored?
      expect(version).toBeGreaterThanOrEqual(newest);
    }

    #fetch(fetched: Query, onReply: (reply: RedisReply) => void): void {
      const isOther = fetched !== this.#query;
      const { version, isDeleted, now: sentAt } = this;
      this.#replies.push((how) => {
        const before = this.#lru.stats();
        if (how === 'failure') onReply({ kind: 'timeout' });
        else if (isOther) onReply({ kind: 'value', value: Buffer.from('other'), ttlMs: undefined });
        else if (isDeleted) onReply({ kind: 'missing' });
        else onReply({ kind: 'value', value: Buffer.from(textOf(String(version))), ttlMs: undefined });
        if (how === 'failure' || isOther) return;
        this.ended.push({ version, sentAt });
        const { entries, leases } = this.#lru.stats();
        if (entries < before.entries && leases === before.leases) this.reached.add('ended by a load without a lease');
      });
    }
  }

  it.each([
    ['GET', queries[0]],
    ['a query that is rendered', queries[1]],
  ])('are never older than what a later load has shown: %s', async (_, query) => {
    const reached = new Set<string>();
    const events = fc.array(event, { minLength: 1, maxLength: 60, size: 'max' });
    await fc.assert(
      fc.asyncProperty(events, fc.integer({ min: 1, max: 4 }), async (all, capacity) => {
        const session = new Session(query, capacity);
        for (const each of all) await session.run(each);
        await session.end();
        for (const what of session.reached) reached.add(what);
      }),
      { numRuns: 400 },
    );
    expect([...reached].sort()).toEqual(['a variant', 'an outdated variant', 'ended by a load without a lease']);
  });
});

describe('A variant that waits for memory', () => {
  const MAX = 2 ** 20;
  const conversion = decompression('gzip');
  let now: number;
  let inRedis: string | undefined;
  let fetched: number;
  let lru: SharedLru;
  let buffered: BufferedBytes;
  let variants: VariantReads;
  let held: ArrayBuffer;
  const text = (version: string): string => `${version}: `.padEnd(300_000, 'text ');

  beforeEach(async () => {
    now = 5000;
    fetched = 0;
    inRedis = 'old';
    lru = SharedLru.create({ ...LIMITS, maxBytes: 2 ** 22, maxValueBytes: MAX, staleMs: 60_000 }, 1, () => now);
    const fetch: Store['fetch'] = (_, onReply) => {
      fetched++;
      if (inRedis === undefined) onReply({ kind: 'timeout' });
      else onReply({ kind: 'value', value: zlib.gzipSync(text(inRedis)), ttlMs: undefined });
    };
    ({ buffered, variants } = readsOf({ lru, fetch, clock: () => now, variants: [DECOMPRESSED], maxBytes: MAX }));
    expect(await read(undefined)).toBe('old');
    await new Promise((resolve) => setImmediate(resolve));
    held = new ArrayBuffer(MAX);
    buffered.hold(held);
  });

  async function read(directives: ReadDirectives | undefined): Promise<string> {
    const outcome = await variants.read(KEY, conversion, directives, {});
    return hasValue(outcome) ? String(outcome.value).split(':')[0] : outcome.kind;
  }

  /** Starts a read, which waits, and lets it continue after something has happened. */
  async function readAfter(directives: ReadDirectives | undefined, happens: () => void): Promise<string> {
    const waiting = read(directives);
    await new Promise((resolve) => setImmediate(resolve));
    expect(buffered.waiting).toBe(1);
    happens();
    buffered.release(held);
    return waiting;
  }

  const change = (): void => void (inRedis = 'new');

  it('is read as it is cached, without directives', async () => {
    expect([await readAfter(undefined, change), fetched]).toEqual(['old', 1]);
  });

  it('is loaded anew if it gets older than the request accepts', async () => {
    const ages = (): void => {
      change();
      now += 10_000;
    };
    expect([await readAfter({ maxAgeMs: 9000 }, ages), fetched]).toEqual(['new', 2]);
  });

  it('is not served stale to a request with a maximum age if that load fails', async () => {
    const fails = (): void => {
      inRedis = undefined;
      now += LIFETIMES.ttlMs + 1;
    };
    expect([await readAfter({ maxAgeMs: 9000 }, fails), fetched]).toEqual(['timeout', 2]);
  });

  it('is served stale without directives if that load fails', async () => {
    const fails = (): void => {
      inRedis = undefined;
      now += LIFETIMES.ttlMs + 1;
    };
    expect([await readAfter(undefined, fails), fetched]).toEqual(['old', 2]);
  });

  it('is served to a request with only-if-cached, and never loaded for it', async () => {
    expect(await readAfter({ onlyIfCached: true }, change)).toBe('old');
    buffered.hold(held);
    expect([await readAfter({ onlyIfCached: true }, () => lru.flush()), fetched]).toEqual(['not-cached', 1]);
  });

  it('is made of the cached value for a request with only-if-cached', async () => {
    const evict = (): void => {
      expect(lru.lookup(KEY).kind).toBe('hit');
    };
    expect([await readAfter({ onlyIfCached: true }, evict), fetched]).toEqual(['old', 1]);
  });
});
