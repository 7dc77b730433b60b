import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { Query } from '../../redis/query.ts';
import type { ValueMemory } from '../../redis/connection/value-memory.ts';
import { BufferFull, type RedisReply } from '../../redis/redis-reply.ts';
import type { BufferedBytes } from './buffered-bytes.ts';
import { bufferedBytes } from './buffered-bytes.spec-support.ts';
import { CoherenceState } from '../../instance/coherence-state.ts';
import { InstanceMemory, InstanceWord } from '../../instance/instance-memory.ts';
import { LoadLimiter } from './load-limiter.ts';
import type { BackingStore, Lifetimes } from './loader.ts';
import type { ReadOutcome } from './read-outcome.ts';
import { ReadThrough } from './read-through.ts';
import { ReadMetrics } from '../../instance/read-metrics.ts';
import { HitBuffer } from '../shared-lru/hit-buffer.ts';
import type { LruLimits } from '../shared-lru/memory/layout.ts';
import { etagOf } from '../shared-lru/etag.ts';
import { SharedLru } from '../shared-lru/shared-lru.ts';
import { checkInvariants, entriesByRecency } from '../shared-lru/shared-memory.spec-support.ts';

const limits = { capacity: 3, maxBytes: 10_000, maxValueBytes: 100, maxLeases: 8, leaseMs: 2000, staleMs: 0 };
const loadLimits = { maxConcurrentLoads: 9, maxQueuedLoads: 1, queueTimeoutMs: 60_000 };
const LIFETIMES: Lifetimes = { ttlMs: 1000, ttlJitter: 0, negativeTtlMs: 0 };
const key = Query.get(Buffer.from('k'));
const valueReply = (text: string, ttlMs?: number): RedisReply => ({ kind: 'value', value: Buffer.from(text), ttlMs });

/** A backing store whose replies are sent by the test. */
class ManualStore {
  readonly #pending: ((reply: RedisReply) => void)[] = [];
  requests = 0;
  bug: Error | undefined;

  fetch(_query: Query, onReply: (reply: RedisReply) => void): void {
    this.requests++;
    if (this.bug !== undefined) throw this.bug;
    this.#pending.push(onReply);
  }

  get pending(): number {
    return this.#pending.length;
  }

  reply(reply: RedisReply): void {
    this.#pending.shift()?.(reply);
  }
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

let now: number;
let store: ManualStore;
let lru: SharedLru;
let reads: ReadThrough;
let instance: InstanceMemory;
let staleMs: number;
let random: number;

function start(changed: Partial<Lifetimes> = {}): void {
  const lifetimes = { ...LIFETIMES, ...changed };
  now = 5000;
  store = new ManualStore();
  lru = SharedLru.create({ ...limits, staleMs }, 1, () => now);
  instance = InstanceMemory.create();
  reads = threadReads(lru, 0, lifetimes);
}

/** Creates the read-through cache of one thread. */
function threadReads(
  threadLru: SharedLru,
  row: number,
  lifetimes: Lifetimes,
  buffered = bufferedBytes(instance, row),
  backingStore: BackingStore = store,
): ReadThrough {
  return new ReadThrough({
    lru: threadLru,
    store: backingStore,
    limiter: new LoadLimiter(instance, row, row + 1, loadLimits),
    counts: new ReadMetrics(instance, row),
    coherence: new CoherenceState(instance),
    clock: () => now,
    buffered,
    lifetimes,
    random: () => random,
  });
}

async function load(reply: RedisReply) {
  const outcome = reads.read(key);
  store.reply(reply);
  return outcome;
}

const read = async (name = key): Promise<ReadOutcome> => reads.read(name);

beforeEach(() => {
  staleMs = 0;
  random = 0;
  start();
});

describe('a miss', () => {
  it('is loaded and stored, and the next read is a hit without a promise', async () => {
    expect(await load(valueReply('v'))).toMatchObject({ kind: 'value', value: Buffer.from('v'), origin: 'stored' });
    const hit = reads.read(key);
    expect(hit).not.toBeInstanceOf(Promise);
    expect(hit).toMatchObject({ kind: 'hit', value: Buffer.from('v') });
    expect(store.requests).toBe(1);
  });

  it('is loaded once for all concurrent requests', async () => {
    const outcomes = Array.from({ length: 200 }, () => read());
    store.reply(valueReply('v'));
    const [first, ...others] = await Promise.all(outcomes);
    expect(store.requests).toBe(1);
    expect(first).toMatchObject({ kind: 'value', origin: 'stored' });
    for (const other of others) expect(other).toMatchObject({ kind: 'value', origin: 'collapsed' });
    expect(lru.stats()).toMatchObject({ misses: 1, collapsed: 199 });
    expect(new ReadMetrics(instance, 1).loads).toBe(1);
  });

  it('counts towards the latency of Redis if Redis replied or timed out, not if the load failed fast', async () => {
    const observed = (): number => {
      const { buckets } = new ReadMetrics(instance, 1).loadDurations();
      return buckets.reduce((sum, count) => sum + count, 0);
    };
    await load({ kind: 'missing' });
    await load({ kind: 'timeout' });
    expect(observed()).toBe(2);
    await load({ kind: 'unavailable', reason: 'circuit' });
    expect(observed()).toBe(2);
    expect(new ReadMetrics(instance, 1)).toMatchObject({ loads: 3, loadErrors: 2 });
  });

  it.each([
    { kind: 'missing' },
    { kind: 'wrong-type' },
    { kind: 'timeout' },
    { kind: 'unavailable', reason: 'LOADING' },
  ] as const)(
    'that ends with $kind has the same outcome for all concurrent requests and is not stored',
    async (reply) => {
      const outcomes = Array.from({ length: 5 }, () => read());
      store.reply(reply);
      const kinds = (await Promise.all(outcomes)).map(({ kind }) => kind);
      expect(new Set(kinds)).toEqual(new Set([reply.kind === 'missing' ? 'absent' : reply.kind]));
      expect(reads.read(key)).toBeInstanceOf(Promise);
      expect(store.requests).toBe(2);
    },
  );

  it('that fails because of a bug rejects all concurrent requests and releases the lease', async () => {
    const outcomes = [read(), read()];
    store.reply({ kind: 'value' } as RedisReply);
    for (const outcome of outcomes) await expect(outcome).rejects.toThrow('input');
    store.bug = new Error('bug');
    await expect(read()).rejects.toThrow('bug');
    store.bug = undefined;
    expect(await load(valueReply('v'))).toMatchObject({ origin: 'stored' });
    expect(instance.words[InstanceWord.LOADS]).toBe(0);
  });

  it('of a value over the size limit returns it without storing it', async () => {
    const large = 'x'.repeat(limits.maxValueBytes + 1);
    expect(await load(valueReply(large))).toMatchObject({ kind: 'value', origin: 'not-stored' });
    expect(lru.stats()).toMatchObject({ entries: 0, uncacheable: 1, leases: 0 });
  });

  it('that was purged during its load is not stored; reads after the purge wait for a new load', async () => {
    const before = reads.read(key);
    lru.purge(key.key);
    const after = reads.read(key);
    store.reply(valueReply('old'));
    store.reply(valueReply('new'));
    expect(await before).toMatchObject({ value: Buffer.from('old'), origin: 'not-stored' });
    expect(await after).toMatchObject({ value: Buffer.from('new'), origin: 'stored' });
    expect(reads.read(key)).toMatchObject({ kind: 'hit', value: Buffer.from('new') });
  });

  it('beyond the maximum number of leases is loaded for its own request only', async () => {
    const others = Array.from({ length: limits.maxLeases }, (_, i) => read(Query.get(Buffer.from(`other${i}`))));
    const unleased = reads.read(key);
    for (let i = 0; i <= others.length; i++) store.reply(valueReply('v'));
    expect(await unleased).toMatchObject({ kind: 'value', origin: 'not-stored' });
    await Promise.all(others);
  });
});

describe('a multi-key read', () => {
  const named = (...texts: string[]) => texts.map((text) => Query.get(Buffer.from(text)));

  it('returns outcomes in key order, without a promise if all are hits', async () => {
    await load(valueReply('v'));
    expect(reads.readMany([key, key])).toMatchObject([{ kind: 'hit' }, { kind: 'hit' }]);
    expect(reads.readMany([])).toEqual([]);
    const outcomes = reads.readMany(named('a', 'k', 'b'));
    expect(outcomes).toBeInstanceOf(Promise);
    store.reply(valueReply('of a'));
    store.reply({ kind: 'missing' });
    expect(await outcomes).toMatchObject([
      { kind: 'value', value: Buffer.from('of a'), origin: 'stored' },
      { kind: 'hit', value: Buffer.from('v') },
      { kind: 'absent' },
    ]);
  });

  it('loads each key once, also a key that occurs twice or is being loaded already', async () => {
    const single = read(named('a')[0]);
    const outcomes = reads.readMany(named('a', 'b', 'b'));
    expect(store.requests).toBe(2);
    store.reply(valueReply('of a'));
    store.reply(valueReply('of b'));
    expect(await single).toMatchObject({ origin: 'stored' });
    expect(await outcomes).toMatchObject([
      { value: Buffer.from('of a'), origin: 'collapsed' },
      { value: Buffer.from('of b'), origin: 'stored' },
      { value: Buffer.from('of b'), origin: 'collapsed' },
    ]);
  });

  const letters = (count: number) => Array.from({ length: count }, (_, i) => Query.get(Buffer.from(`letter${i}`)));
  const inFlight = () => instance.words[InstanceWord.LOADS];

  /** Replies to all loads of a multi-key read, batch by batch; returns the sizes of the batches. */
  async function replyInBatches(outcomes: unknown, reply: RedisReply): Promise<number[]> {
    let ended = false;
    const end = Promise.resolve(outcomes).then(() => (ended = true));
    const batches: number[] = [];
    for (; !ended; await new Promise(setImmediate)) {
      const { pending } = store;
      if (pending > 0) batches.push(pending);
      for (let i = 0; i < pending; i++) store.reply(reply);
    }
    await end;
    return batches;
  }
  const valueOf = (bytes: number): RedisReply => ({ kind: 'value', value: Buffer.alloc(bytes), ttlMs: undefined });

  it('loads a thousand small values in three round trips, and later ones in two', async () => {
    expect(await replyInBatches(reads.readMany(letters(1000)), valueOf(100))).toEqual([4, 64, 932]);
    expect(await replyInBatches(reads.readMany(letters(1000)), valueOf(100))).toEqual([16, 984]);
  });

  it('loads a value that is too large to store once, although its key occurs in two batches', async () => {
    const keys = letters(9);
    const outcomes = reads.readMany([...keys, keys[3]]);
    expect(await replyInBatches(outcomes, valueOf(limits.maxValueBytes + 1))).toEqual([4, 5]);
    const found = await outcomes;
    expect(found[3]).toMatchObject({ kind: 'value', origin: 'not-stored' });
    expect(found[9]).toMatchObject({ kind: 'value', origin: 'collapsed' });
  });

  it('loads about 1 MiB of large values at a time', async () => {
    expect(await replyInBatches(reads.readMany(letters(20)), valueOf(2 ** 18))).toEqual([4, 4, 4, 4, 4]);
    expect(await replyInBatches(reads.readMany(letters(8)), valueOf(2 ** 21))).toEqual([4, 1, 1, 1, 1]);
    expect(await replyInBatches(reads.readMany(letters(6)), { kind: 'value-too-large' })).toEqual([4, 1, 1]);
  });

  it('loads small values in few round trips after large ones', async () => {
    await replyInBatches(reads.readMany(letters(8)), valueOf(2 ** 21));
    expect(await replyInBatches(reads.readMany(letters(1000)), valueOf(100))).toEqual([4, 64, 932]);
  });

  it('loads no keys after those whose values reach the cap', async () => {
    expect(await replyInBatches(reads.readMany(letters(100), 2 ** 22), valueOf(2 ** 20))).toEqual([4]);
  });

  it('fails the other keys without a request when all loads of a batch time out', async () => {
    const outcomes = reads.readMany(letters(50));
    expect(await replyInBatches(outcomes, { kind: 'timeout' })).toEqual([4]);
    expect((await outcomes).every(({ kind }) => kind === 'timeout')).toBe(true);
    expect(lru.stats()).toMatchObject({ leases: 0 });
  });

  it('loads no more keys for a client that has disconnected', async () => {
    const outcomes = reads.readMany(letters(50), Infinity, { client: { disconnected: true } });
    expect(await replyInBatches(outcomes, valueOf(100))).toEqual([4]);
  });

  it('holds one load permit until the last reply', async () => {
    const outcomes = reads.readMany(letters(4));
    expect([store.requests, inFlight()]).toEqual([4, 1]);
    for (let i = 0; i < 3; i++) store.reply({ kind: 'missing' });
    expect(inFlight()).toBe(1);
    store.reply({ kind: 'missing' });
    expect(inFlight()).toBe(0);
    expect(await outcomes).toHaveLength(4);
  });

  it('queues all misses for one permit or rejects all of them; hits are not affected', async () => {
    await load(valueReply('v'));
    const busy = letters(9).map((letter) => read(letter));
    const waiting = reads.readMany(named('a', 'k', 'b'));
    expect(await reads.readMany(named('c', 'k', 'd'))).toMatchObject([
      { kind: 'overloaded' },
      { kind: 'hit' },
      { kind: 'overloaded' },
    ]);
    expect(store.requests).toBe(10);
    for (let i = 0; i < 9; i++) store.reply(valueReply('of a letter'));
    await Promise.all(busy);
    expect(store.requests).toBe(12);
    store.reply(valueReply('of a'));
    store.reply(valueReply('of b'));
    expect(await waiting).toMatchObject([{ kind: 'value' }, { kind: 'hit' }, { kind: 'value' }]);
  });

  it('reports a failed round trip for each key, also to reads that wait for one of them', async () => {
    const outcomes = reads.readMany(named('a', 'b'));
    const single = read(Query.get(Buffer.from('b')));
    store.reply({ kind: 'timeout' });
    store.reply({ kind: 'timeout' });
    expect(await outcomes).toMatchObject([{ kind: 'timeout' }, { kind: 'timeout' }]);
    expect(await single).toMatchObject({ kind: 'timeout', origin: 'collapsed' });
  });

  it('loads each key once when no lease is available', async () => {
    const leased = letters(limits.maxLeases).map((letter) => read(letter));
    const outcomes = reads.readMany(named('a', 'b', 'a', 'b', 'a'));
    expect(store.requests).toBe(limits.maxLeases + 2);
    for (let i = 0; i < limits.maxLeases; i++) store.reply(valueReply('of a letter'));
    store.reply(valueReply('of a'));
    store.reply(valueReply('of b'));
    const values = (await outcomes).map((outcome) => outcome.kind === 'value' && outcome.value.toString());
    expect(values).toEqual(['of a', 'of b', 'of a', 'of b', 'of a']);
    await Promise.all(leased);
  });

  it('omits keys without reading them once cached values fill the cap', async () => {
    await load(valueReply('four'));
    expect(reads.readMany([key, key, Query.get(Buffer.from('a'))], 8)).toMatchObject([
      { kind: 'hit' },
      { kind: 'hit' },
      { kind: 'omitted' },
    ]);
    expect(reads.readMany([key, key, key], 5)).toMatchObject([{ kind: 'hit' }, { kind: 'hit' }, { kind: 'omitted' }]);
    expect(store.requests).toBe(1);
  });

  it('applies the cap to cached and loaded values in key order, in whatever order replies arrive', async () => {
    await load(valueReply('four'));
    const single = read(Query.get(Buffer.from('a')));
    const outcomes = reads.readMany(named('b', 'a', 'k', 'c', 'd'), 8);
    store.reply(valueReply('of a'));
    await single;
    store.reply(valueReply('of b'));
    store.reply({ kind: 'missing' });
    store.reply(valueReply('of d'));
    expect(await outcomes).toMatchObject([
      { value: Buffer.from('of b') },
      { value: Buffer.from('of a') },
      { kind: 'omitted' },
      { kind: 'absent' },
      { kind: 'omitted' },
    ]);
    expect(reads.readMany(named('d'))).toMatchObject([{ kind: 'hit' }]);
  });

  it('retains no more values than it returns, also while some loads are pending', async () => {
    const bytes = 100_000;
    const many = letters(50);
    const outcomes = reads.readMany(many, 3 * bytes);
    const values = many.slice(1).map((_, i) => {
      const value = Buffer.alloc(bytes, i);
      store.reply({ kind: 'value', value, ttlMs: undefined });
      return new WeakRef(value);
    });
    await new Promise(setImmediate);
    collectGarbage();
    expect(values.filter((value) => value.deref() !== undefined).length).toBeLessThanOrEqual(3);
    store.reply(valueReply('the last'));
    const returned = (await outcomes).filter((outcome) => outcome.kind === 'value');
    expect(returned.map(({ value }) => value.length)).toEqual([bytes, bytes, bytes]);
  });

  it('does not deadlock with a read of the same keys in another order by another thread', async () => {
    const otherThread = threadReads(
      SharedLru.attach(lru.buffer, 2, () => now),
      1,
      LIFETIMES,
    );
    const outcomes = [
      reads.readMany(named('a')),
      otherThread.readMany(named('b')),
      reads.readMany(named('b', 'c')),
      otherThread.readMany(named('c', 'a')),
    ].map(async (outcome) => (await outcome).map((each) => each.kind === 'value' && each.value.toString()));
    expect(store.requests).toBe(3);
    for (const name of ['a', 'b', 'c']) store.reply(valueReply(`of ${name}`));
    expect(await Promise.all(outcomes)).toEqual([['of a'], ['of b'], ['of b', 'of c'], ['of c', 'of a']]);
    expect(lru.stats()).toMatchObject({ leases: 0 });
  });
});

describe('an entry', () => {
  it('expires after CACHE_TTL_MS', async () => {
    await load(valueReply('v'));
    now += 999;
    expect(reads.read(key)).toMatchObject({ kind: 'hit', freshness: { ageMs: 999, lifetimeMs: 1000 } });
    now += 1;
    expect(reads.read(key)).toBeInstanceOf(Promise);
  });

  it("never outlives the key's TTL in Redis, counted from the time of the request", async () => {
    const outcome = reads.read(key);
    now += 30;
    store.reply(valueReply('v', 100));
    await outcome;
    now += 69;
    expect(reads.read(key)).toMatchObject({ kind: 'hit' });
    now += 1;
    expect(reads.read(key)).toBeInstanceOf(Promise);
  });

  it('is not stored if its key is about to expire', async () => {
    expect(await load(valueReply('v', 0))).toMatchObject({ origin: 'not-stored', freshness: { lifetimeMs: 0 } });
    expect(lru.stats()).toMatchObject({ entries: 0, leases: 0 });
  });
});

describe('the jitter of TTLs', () => {
  it.each([
    [0, 1000],
    [0.5, 800],
    [1, 600],
  ])('of 0.4 with the random number %d stores a value for %d ms', async (number, lifetimeMs) => {
    random = number;
    start({ ttlJitter: 0.4 });
    expect(await load(valueReply('v'))).toMatchObject({ freshness: { lifetimeMs } });
    now += lifetimeMs - 1;
    expect(reads.read(key)).toMatchObject({ kind: 'hit', freshness: { lifetimeMs } });
    now += 1;
    expect(reads.read(key)).toBeInstanceOf(Promise);
  });

  it('does not shorten the TTL of the key itself, and shortens that of a negative entry', async () => {
    random = 1;
    start({ ttlJitter: 0.5, negativeTtlMs: 100 });
    expect(await load(valueReply('v', 300))).toMatchObject({ freshness: { lifetimeMs: 300 } });
    lru.flush();
    expect(await load({ kind: 'missing' })).toMatchObject({ freshness: { lifetimeMs: 50 } });
  });
});

describe('while the invalidation stream is lost', () => {
  it('returns loaded values without storing them', async () => {
    start({ ttlMs: 1000, negativeTtlMs: 50 });
    const coherence = new CoherenceState(instance);
    coherence.current = 'resync';
    expect(await load(valueReply('v'))).toMatchObject({ kind: 'value', value: Buffer.from('v'), origin: 'not-stored' });
    expect(await load({ kind: 'missing' })).toMatchObject({ kind: 'absent', origin: 'not-stored' });
    expect(lru.stats()).toMatchObject({ entries: 0, leases: 0 });
    coherence.current = 'tracking';
    expect(await load(valueReply('v'))).toMatchObject({ kind: 'value', origin: 'stored' });
  });

  it('does not store a load that was in flight when the stream was lost', async () => {
    const before = reads.read(key);
    lru.expireAll();
    store.reply(valueReply('v'));
    expect(await before).toMatchObject({ kind: 'value', origin: 'not-stored' });
    expect(reads.read(key)).toBeInstanceOf(Promise);
  });
});

describe('while Redis is unavailable', () => {
  const failures = [{ kind: 'timeout' }, { kind: 'unavailable', reason: 'LOADING' }] as const;

  /** Stores `value` and lets it expire. */
  async function storeStale(value = 'old'): Promise<void> {
    staleMs = 500;
    start();
    await load(valueReply(value));
    now += 1000;
  }

  it.each(failures)('serves an expired value to all waiting reads after $kind', async (reply) => {
    await storeStale();
    const outcomes = Array.from({ length: 5 }, () => read());
    store.reply(reply);
    for (const outcome of await Promise.all(outcomes)) {
      expect(outcome).toMatchObject({ kind: 'stale', value: Buffer.from('old'), failure: reply.kind });
      expect(outcome).toMatchObject({ freshness: { ageMs: 1000, lifetimeMs: 1000 } });
    }
    expect(store.requests).toBe(2);
  });

  it.each(failures)('serves an expired value to waiting reads of another thread after $kind', async (reply) => {
    await storeStale();
    const otherLru = SharedLru.attach(lru.buffer, 2, () => now);
    const other = threadReads(otherLru, 1, LIFETIMES);
    const outcomes = [read(), ...Array.from({ length: 3 }, async () => other.read(key))];
    store.reply(reply);
    for (const outcome of await Promise.all(outcomes)) expect(outcome).toMatchObject({ kind: 'stale' });
    expect(store.requests).toBe(2);
    expect(lru.stats()).toMatchObject({ leases: 0 });
  });

  it('serves an expired value if the load queue is full', async () => {
    await storeStale();
    const busy = Array.from({ length: 10 }, (_, i) => read(Query.get(Buffer.from(`busy${i}`))));
    expect(await read()).toMatchObject({ kind: 'stale', failure: 'overloaded' });
    for (let i = 0; i < 10; i++) {
      store.reply({ kind: 'missing' });
      await new Promise(setImmediate);
    }
    await Promise.all(busy);
  });

  it('serves an expired value for CACHE_STALE_IF_ERROR_MS, and returns the failure afterwards', async () => {
    await storeStale();
    now += 499;
    expect(await load({ kind: 'timeout' })).toMatchObject({ kind: 'stale' });
    now += 1;
    expect(await load({ kind: 'timeout' })).toMatchObject({ kind: 'timeout' });
  });

  it('serves an expired value in a multi-key read', async () => {
    await storeStale();
    const outcomes = reads.readMany([key, Query.get(Buffer.from('b'))]);
    store.reply({ kind: 'timeout' });
    store.reply({ kind: 'timeout' });
    expect(await outcomes).toMatchObject([{ kind: 'stale' }, { kind: 'timeout' }]);
  });

  it('serves no expired value once Redis has replied that the key is missing or not a string', async () => {
    for (const reply of [{ kind: 'missing' }, { kind: 'wrong-type' }] as const) {
      await storeStale();
      expect(await load(reply)).toMatchObject({ origin: 'not-stored', forward: 'stale' });
      expect(await load({ kind: 'timeout' })).toMatchObject({ kind: 'timeout', forward: 'uri-miss' });
    }
  });

  it('serves no value whose key has expired in Redis', async () => {
    staleMs = 500;
    start();
    await load(valueReply('v', 100));
    now += 100;
    expect(await load({ kind: 'timeout' })).toMatchObject({ kind: 'timeout', forward: 'uri-miss' });
  });

  it('replaces the expired value once Redis replies again', async () => {
    await storeStale();
    expect(await load({ kind: 'timeout' })).toMatchObject({ kind: 'stale' });
    expect(await load(valueReply('new'))).toMatchObject({ kind: 'value', origin: 'stored', forward: 'stale' });
    expect(reads.read(key)).toMatchObject({ kind: 'hit', value: Buffer.from('new') });
  });
});

describe('an entry that is refreshed in the background', () => {
  const FRESH = { kind: 'hit', value: Buffer.from('new') };

  function startWith(more: Partial<LruLimits>, changed: Partial<Lifetimes> = {}): void {
    start(changed);
    lru = SharedLru.create({ ...limits, ...more }, 1, () => now);
    reads = threadReads(lru, 0, { ...LIFETIMES, ...changed });
  }

  const stale = (ageMs: number) => ({
    kind: 'revalidating',
    value: Buffer.from('old'),
    freshness: { ageMs, lifetimeMs: 1000 },
  });

  it('is served at once after it has expired, and loaded once', async () => {
    startWith({ revalidateMs: 500 });
    await load(valueReply('old'));
    now += 1200;
    for (let i = 0; i < 50; i++) expect(reads.read(key)).toMatchObject(stale(1200));
    expect(store.requests).toBe(2);
    store.reply(valueReply('new'));
    expect(reads.read(key)).toMatchObject(FRESH);
    expect(lru.stats()).toMatchObject({ leases: 0, entries: 1, expirations: 1 });
    const counts = new ReadMetrics(instance, 0);
    expect([counts.refreshes('started'), counts.refreshes('dropped'), counts.loads]).toEqual([1, 0, 2]);
  });

  it('is loaded once for all threads', async () => {
    startWith({ revalidateMs: 500 });
    const other = threadReads(
      SharedLru.attach(lru.buffer, 2, () => now),
      1,
      LIFETIMES,
    );
    await load(valueReply('old'));
    now += 1200;
    expect([reads.read(key), other.read(key), reads.read(key)]).toMatchObject([stale(1200), stale(1200), stale(1200)]);
    expect(store.requests).toBe(2);
  });

  it('is served until the window ends if the load fails, each time with another load, and then waited for', async () => {
    startWith({ revalidateMs: 500 });
    await load(valueReply('old'));
    now += 1000;
    for (let failures = 1; failures <= 3; failures++) {
      expect(reads.read(key)).toMatchObject({ kind: 'revalidating' });
      expect(store.requests).toBe(1 + failures);
      store.reply({ kind: 'timeout' });
    }
    now += 499;
    expect(reads.read(key)).toMatchObject(stale(1499));
    store.reply({ kind: 'unavailable', reason: 'X' });
    now += 1;
    const waiting = reads.read(key);
    expect(waiting).toBeInstanceOf(Promise);
    store.reply({ kind: 'timeout' });
    expect(await waiting).toMatchObject({ kind: 'timeout' });
  });

  it('is copied once for each read while Redis is unavailable or the permits are in use', async () => {
    startWith({ revalidateMs: 500, staleMs: 2000 });
    await load(valueReply('old'));
    now += 1200;
    let copies = 0;
    const getStale = lru.getStale.bind(lru);
    lru.getStale = (id) => {
      copies++;
      return getStale(id);
    };
    const unavailable: RedisReply = { kind: 'unavailable', reason: 'circuit' };
    const failing = threadReads(lru, 0, LIFETIMES, undefined, { fetch: (_query, onReply) => onReply(unavailable) });
    expect(failing.read(key)).toMatchObject(stale(1200));
    const waiting = Array.from({ length: 5 }, (_, i) => read(Query.get(Buffer.from(`other${i}`))));
    expect(failing.read(key)).toMatchObject(stale(1200));
    expect(copies).toBe(0);
    while (store.pending > 0) store.reply(valueReply('v'));
    await Promise.all(waiting);
  });

  it('is served stale to a request that joined the load and cannot be served meanwhile', async () => {
    startWith({ revalidateMs: 500, staleMs: 2000 });
    await load(valueReply('old'));
    now += 1499;
    expect(reads.read(key)).toMatchObject({ kind: 'revalidating' });
    now += 1;
    const joined = reads.read(key);
    expect(store.requests).toBe(2);
    store.reply({ kind: 'timeout' });
    expect(await joined).toMatchObject({ kind: 'stale', value: Buffer.from('old') });
  });

  it('is served stale on error after the window', async () => {
    startWith({ revalidateMs: 500, staleMs: 2000 });
    await load(valueReply('old'));
    now += 1500;
    const waiting = reads.read(key);
    store.reply({ kind: 'timeout' });
    expect(await waiting).toMatchObject({ kind: 'stale', value: Buffer.from('old') });
  });

  it('is never served past the TTL of its key', async () => {
    startWith({ revalidateMs: 1500 });
    await load(valueReply('old', 1500));
    now += 1400;
    expect(reads.read(key)).toMatchObject({ kind: 'revalidating' });
    store.reply({ kind: 'timeout' });
    now += 100;
    expect(reads.read(key)).toBeInstanceOf(Promise);
  });

  it.each(['purged', 'flushed', 'expired with all others', 'no longer confirmed'])(
    'is not served once it was %s',
    async (event) => {
      startWith({ revalidateMs: 5000 });
      await load(valueReply('old'));
      if (event === 'purged') lru.purge(key.key);
      else if (event === 'flushed') lru.flush();
      else if (event === 'no longer confirmed') lru.trustUntil(now);
      else lru.expireAll();
      now += 1200;
      expect(reads.read(key)).toBeInstanceOf(Promise);
    },
  );

  it('is not stored if a purge came before the reply', async () => {
    startWith({ revalidateMs: 500 });
    await load(valueReply('old'));
    now += 1200;
    expect(reads.read(key)).toMatchObject({ kind: 'revalidating' });
    lru.purge(key.key);
    store.reply(valueReply('written before'));
    expect(reads.read(key)).toBeInstanceOf(Promise);
    checkInvariants(lru.buffer);
  });

  it('is not served to a request with a maximum age', async () => {
    startWith({ revalidateMs: 500 });
    await load(valueReply('old'));
    now += 1200;
    expect(reads.read(key, { maxAgeMs: 5000 })).toBeInstanceOf(Promise);
    expect(reads.read(key, { onlyIfCached: true })).toEqual({ kind: 'not-cached' });
  });

  it('is dropped if the key has gone', async () => {
    startWith({ revalidateMs: 500 });
    await load(valueReply('old'));
    now += 1200;
    expect(reads.read(key)).toMatchObject({ kind: 'revalidating' });
    store.reply({ kind: 'missing' });
    expect(reads.read(key)).toBeInstanceOf(Promise);
  });

  it('is served in a multi-key read', async () => {
    startWith({ revalidateMs: 500 });
    await load(valueReply('old'));
    now += 1200;
    expect(reads.readMany([key, key])).toMatchObject([stale(1200), stale(1200)]);
    expect(store.requests).toBe(2);
  });

  it('gives way to loads that requests wait for: it is not loaded while half of the permits are in use', async () => {
    startWith({ revalidateMs: 500 });
    await load(valueReply('old'));
    now += 1200;
    const waiting = Array.from({ length: 5 }, (_, i) => read(Query.get(Buffer.from(`other${i}`))));
    expect(reads.read(key)).toMatchObject({ kind: 'revalidating' });
    expect(store.requests).toBe(6);
    store.reply(valueReply('v'));
    expect(reads.read(key)).toMatchObject({ kind: 'revalidating' });
    expect(store.requests).toBe(7);
    const counts = new ReadMetrics(instance, 0);
    expect([counts.refreshes('started'), counts.refreshes('dropped')]).toEqual([1, 1]);
    while (store.pending > 0) store.reply(valueReply('v'));
    await Promise.all(waiting);
    expect(instance.words[InstanceWord.LOADS]).toBe(0);
  });

  it('is loaded for a request of another thread that has joined the load before it was dropped', async () => {
    startWith({ refreshAhead: 0.5 });
    await load(valueReply('old'));
    now += 600;
    const other = SharedLru.attach(lru.buffer, 2, () => now);
    const found = other.lookup(key);
    if (found.kind !== 'refresh') throw new Error(found.kind);
    const outcome = reads.read(key, { maxAgeMs: 100 });
    let isKnown = false;
    other.abandon(found.lease, 'overloaded');
    void Promise.resolve(outcome).then(() => (isKnown = true));
    while (store.requests < 2 && !isKnown) await new Promise(setImmediate);
    if (!isKnown) store.reply(valueReply('new'));
    expect(await outcome).toMatchObject({ kind: 'value', value: Buffer.from('new') });
    expect(instance.words[InstanceWord.LOADS]).toBe(0);
  });

  it('is loaded before it expires if it is read in the last share of its TTL, without a lock or a load before', async () => {
    startWith({ refreshAhead: 0.2 });
    const hit = new HitBuffer();
    const tryGet = (): boolean => lru.tryGetInto(key.id, 0, key.id.length, hit);
    await load(valueReply('old'));
    now += 799;
    expect(tryGet()).toBe(true);
    expect(reads.read(key)).toMatchObject({ kind: 'hit', value: Buffer.from('old') });
    expect(store.requests).toBe(1);
    now += 1;
    expect(tryGet()).toBe(false);
    for (let i = 0; i < 5; i++) expect(reads.read(key)).toMatchObject({ kind: 'hit', value: Buffer.from('old') });
    expect(store.requests).toBe(2);
    store.reply(valueReply('new'));
    expect(tryGet()).toBe(true);
    expect(reads.read(key)).toMatchObject({ ...FRESH, freshness: { ageMs: 0 } });
    checkInvariants(lru.buffer);
  });

  it('is not loaded ahead if it is negative', async () => {
    startWith({ refreshAhead: 0.5 }, { negativeTtlMs: 100 });
    await load({ kind: 'missing' });
    now += 99;
    expect(reads.read(key)).toMatchObject({ kind: 'missing' });
    expect(store.requests).toBe(1);
  });

  it('counts a failure of the load itself as a load error', async () => {
    startWith({ revalidateMs: 500 });
    await load(valueReply('old'));
    now += 1200;
    store.bug = new Error('bug');
    expect(reads.read(key)).toMatchObject({ kind: 'revalidating' });
    await new Promise(setImmediate);
    expect(new ReadMetrics(instance, 0).loadErrors).toBe(1);
    expect(lru.stats().leases).toBe(0);
  });

  it('has a large value, which is copied and served in the same way', async () => {
    const large = 'x'.repeat(50_000);
    startWith({ revalidateMs: 500, maxBytes: 200_000, maxValueBytes: 100_000 });
    await load(valueReply(large));
    now += 1200;
    expect(reads.read(key)).toMatchObject({ kind: 'revalidating', value: Buffer.from(large) });
    expect(store.requests).toBe(2);
    store.reply(valueReply('new'));
    expect(reads.read(key)).toMatchObject(FRESH);
  });
});

describe('a read with a maximum age', () => {
  const reload = async (maxAgeMs = 0) => reads.read(key, { maxAgeMs });

  it('of 0 reloads and stores the value, while other reads are still hits', async () => {
    await load(valueReply('old'));
    const outcome = reload();
    expect(reads.read(key)).toMatchObject({ kind: 'hit', value: Buffer.from('old') });
    store.reply(valueReply('new'));
    expect(await outcome).toMatchObject({ value: Buffer.from('new'), origin: 'stored', forward: 'request' });
    expect(reads.read(key)).toMatchObject({ kind: 'hit', value: Buffer.from('new') });
  });

  it('returns the failure of its load instead of a cached value; other reads keep the entry', async () => {
    staleMs = 500;
    start();
    await load(valueReply('old'));
    for (const reply of ['hit', 'stale']) {
      const outcome = reload();
      store.reply({ kind: 'timeout' });
      expect(await outcome).toMatchObject({ kind: 'timeout' });
      const other = read();
      if (reply === 'stale') store.reply({ kind: 'timeout' });
      expect(await other).toMatchObject({ kind: reply, value: Buffer.from('old') });
      now += 1000;
    }
  });

  it('shares a failing load with a read that accepts expired values', async () => {
    staleMs = 500;
    start();
    await load(valueReply('old'));
    now += 1000;
    const outcomes = [reload(), read(), reload()];
    store.reply({ kind: 'timeout' });
    expect(await Promise.all(outcomes)).toMatchObject([{ kind: 'timeout' }, { kind: 'stale' }, { kind: 'timeout' }]);
    expect(store.requests).toBe(2);
  });

  it('of 0 does not accept an earlier load in flight: all such reads share one more load', async () => {
    const before = read();
    const outcomes = Array.from({ length: 20 }, () => reload());
    store.reply(valueReply('old'));
    expect(await before).toMatchObject({ value: Buffer.from('old') });
    while (store.requests < 2) await new Promise(setImmediate);
    expect(store.requests).toBe(2);
    store.reply(valueReply('new'));
    for (const outcome of await Promise.all(outcomes)) expect(outcome).toMatchObject({ value: Buffer.from('new') });
    expect(reads.read(key)).toMatchObject({ kind: 'hit', value: Buffer.from('new') });
  });

  it('of 0 does not accept an earlier load of another thread', async () => {
    const otherLru = SharedLru.attach(lru.buffer, 2, () => now);
    const before = threadReads(otherLru, 1, LIFETIMES).read(key);
    const outcome = reload();
    store.reply(valueReply('old'));
    await before;
    while (store.requests < 2) await new Promise(setImmediate);
    store.reply(valueReply('new'));
    expect(await outcome).toMatchObject({ value: Buffer.from('new') });
  });

  it('returns a younger entry as a hit, and reloads an older one', async () => {
    await load(valueReply('old'));
    now += 100;
    expect(await reload(100)).toMatchObject({ kind: 'hit' });
    const outcome = reload(99);
    store.reply(valueReply('new'));
    expect(await outcome).toMatchObject({ value: Buffer.from('new'), forward: 'request' });
  });
});

describe('a read with only-if-cached', () => {
  it('returns the entry or not-cached, without a load or a wait', async () => {
    staleMs = 500;
    start({ ttlMs: 1000, negativeTtlMs: 50 });
    const cached = (maxAgeMs = Infinity) => reads.read(key, { onlyIfCached: true, maxAgeMs });
    expect(cached()).toEqual({ kind: 'not-cached' });
    const loading = reads.read(key);
    expect(cached()).toEqual({ kind: 'not-cached' });
    store.reply(valueReply('v'));
    await loading;
    expect(cached()).toMatchObject({ kind: 'hit' });
    expect(cached(0)).toEqual({ kind: 'not-cached' });
    now += 1000;
    expect(cached()).toEqual({ kind: 'not-cached' });
    expect(await load({ kind: 'missing' })).toMatchObject({ kind: 'absent' });
    expect(cached()).toMatchObject({ kind: 'missing' });
    expect(store.requests).toBe(2);
  });
});

describe('a missing key', () => {
  it('is cached for CACHE_NEGATIVE_TTL_MS', async () => {
    start({ ttlMs: 1000, negativeTtlMs: 50 });
    expect(await load({ kind: 'missing' })).toMatchObject({ kind: 'absent', origin: 'stored' });
    now += 49;
    expect(reads.read(key)).toMatchObject({ kind: 'missing' });
    now += 1;
    expect(reads.read(key)).toBeInstanceOf(Promise);
  });

  it('is not cached for longer than the reply allows', async () => {
    start({ ttlMs: 1000, negativeTtlMs: 50 });
    expect(await load({ kind: 'missing', ttlMs: 0 })).toMatchObject({ kind: 'absent', origin: 'not-stored' });
    expect(await load({ kind: 'missing', ttlMs: 20 })).toMatchObject({ freshness: { lifetimeMs: 20 } });
    now += 20;
    expect(reads.read(key)).toBeInstanceOf(Promise);
  });
});

describe('a query other than GET', () => {
  const hgetall = Query.of(key.key, [Buffer.from('HGETALL')]);
  const REPLY = '*2\r\n$1\r\nf\r\n$1\r\nv\r\n';
  const EMPTY: RedisReply = { kind: 'missing', reply: Buffer.from('*0\r\n') };

  async function query(reply: RedisReply, asked = hgetall): Promise<ReadOutcome> {
    const outcome = reads.read(asked);
    store.reply(reply);
    return outcome;
  }

  it('is served from the cache with the reply of Redis', async () => {
    expect(await query(valueReply(REPLY))).toMatchObject({
      kind: 'value',
      value: Buffer.from(REPLY),
      origin: 'stored',
    });
    expect(reads.read(hgetall)).toMatchObject({ kind: 'hit', value: Buffer.from(REPLY) });
  });

  it('about a missing key is served with its reply for the TTL of negative entries', async () => {
    start({ ttlMs: 1000, negativeTtlMs: 100 });
    expect(await query(EMPTY)).toMatchObject({ kind: 'value', value: Buffer.from('*0\r\n'), origin: 'stored' });
    now += 99;
    expect(reads.read(hgetall)).toMatchObject({ kind: 'hit', value: Buffer.from('*0\r\n') });
    now += 1;
    expect(reads.read(hgetall)).toBeInstanceOf(Promise);
  });

  it('about a missing key is not stored if negative entries are disabled', async () => {
    expect(await query(EMPTY)).toMatchObject({ kind: 'value', value: Buffer.from('*0\r\n'), origin: 'not-stored' });
    expect(lru.stats()).toMatchObject({ entries: 0, leases: 0 });
  });

  it('that Redis rejects passes the error on and is not stored', async () => {
    const rejected = { kind: 'error-reply', message: 'WRONGTYPE no hash' } as const;
    expect(await query(rejected)).toMatchObject({ ...rejected, origin: 'not-stored' });
    expect(lru.stats()).toMatchObject({ entries: 0, leases: 0 });
  });

  it('that Redis rejects is sent again by a thread that waits for it', async () => {
    const other = threadReads(
      SharedLru.attach(lru.buffer, 2, () => now),
      1,
      LIFETIMES,
    );
    const own = reads.read(hgetall);
    const waiting = other.read(hgetall);
    const rejected = { kind: 'error-reply', message: 'ERR first' } as const;
    store.reply(rejected);
    expect(await own).toMatchObject(rejected);
    while (store.pending === 0) await new Promise(setImmediate);
    store.reply({ ...rejected, message: 'ERR second' });
    expect(await waiting).toMatchObject({ kind: 'error-reply', message: 'ERR second' });
  });

  describe('whose reply is stored in another form', () => {
    const form = {
      id: 1,
      render: (reply: Buffer) => (reply.includes('-1') ? undefined : Buffer.from(`<${reply.length}>`)),
    };
    const rendered = Query.of(key.key, [Buffer.from('HGET'), Buffer.from('f')], form);

    it('is served in that form, with a validator of its own', async () => {
      const outcome = await query(valueReply('$1\r\nv\r\n'), rendered);
      expect(outcome).toMatchObject({ kind: 'value', value: Buffer.from('<7>'), etag: etagOf(Buffer.from('<7>')) });
      expect(reads.read(rendered)).toMatchObject({ kind: 'hit', value: Buffer.from('<7>') });
    });

    it('is absent if the form has nothing to render, for the TTL of negative entries', async () => {
      start({ ttlMs: 1000, negativeTtlMs: 100 });
      expect(await query(valueReply('$-1\r\n'), rendered)).toMatchObject({ kind: 'absent', origin: 'stored' });
      expect(reads.read(rendered)).toMatchObject({ kind: 'missing', freshness: { lifetimeMs: 100 } });
    });

    it('is not absent beyond the TTL of the key: a reply whose writes are not tracked has a TTL of 0', async () => {
      start({ ttlMs: 1000, negativeTtlMs: 100 });
      expect(await query(valueReply('$-1\r\n', 0), rendered)).toMatchObject({ kind: 'absent', origin: 'not-stored' });
      expect(await query(valueReply('$-1\r\n', 20), rendered)).toMatchObject({ kind: 'absent', origin: 'stored' });
      expect(reads.read(rendered)).toMatchObject({ kind: 'missing', freshness: { lifetimeMs: 20 } });
    });

    it('is absent if the key is missing', async () => {
      expect(await query(EMPTY, rendered)).toMatchObject({ kind: 'absent', origin: 'not-stored' });
    });

    it('fails all its requests if the form throws, and leaves no lease behind', async () => {
      const broken = Query.of(key.key, [Buffer.from('HGET'), Buffer.from('g')], {
        id: 2,
        render: () => {
          throw new Error('bug');
        },
      });
      const requests = [read(broken), read(broken)];
      store.reply(valueReply('$1\r\nv\r\n'));
      for (const { status } of await Promise.allSettled(requests)) expect(status).toBe('rejected');
      expect(lru.stats()).toMatchObject({ leases: 0 });
    });

    it('may be rendered later', async () => {
      let finish!: (body: Buffer) => void;
      const slow = Query.of(key.key, [Buffer.from('HGET'), Buffer.from('s')], {
        id: 4,
        render: () => new Promise((resolve) => (finish = resolve)),
      });
      const outcome = query(valueReply('$1\r\nv\r\n'), slow);
      finish(Buffer.from('body'));
      expect(await outcome).toMatchObject({ kind: 'value', value: Buffer.from('body'), origin: 'stored' });
    });

    it('is read again once there is room for what it renders', async () => {
      const bytes = 2 ** 20;
      const buffered = bufferedBytes(instance, 2, 2 * bytes);
      const large = Query.of(key.key, [Buffer.from('HGET'), Buffer.from('h')], {
        id: 3,
        render: (_reply, memory) => memory.allocate(bytes)?.fill(0) ?? new BufferFull(bytes),
      });
      const small = threadReads(lru, 2, LIFETIMES, buffered);
      const blocker = new ArrayBuffer(2 * bytes - 1024);
      expect(buffered.tryHold(blocker)).toBe(true);
      const outcome = small.read(large);
      store.reply(valueReply('$1\r\nv\r\n'));
      await new Promise(setImmediate);
      expect(store.pending).toBe(0);
      buffered.release(blocker);
      while (store.pending === 0) await new Promise(setImmediate);
      store.reply(valueReply('$1\r\nv\r\n'));
      expect(await outcome).toMatchObject({ kind: 'value', value: Buffer.alloc(bytes) });
    });

    it('is too large if it never fits beside the reply', async () => {
      const limit = 2 ** 20;
      const buffered = bufferedBytes(instance, 2, limit);
      const large = Query.of(key.key, [Buffer.from('HGET'), Buffer.from('h')], {
        id: 3,
        render: (reply) => new BufferFull(limit - reply.length),
      });
      const outcome = threadReads(lru, 2, LIFETIMES, buffered).read(large);
      // Together as long as the limit, but one page longer, as each begins a page of its own.
      store.reply(valueReply('$1\r\nv\r\n'));
      expect(await outcome).toMatchObject({ kind: 'value-too-large' });
      expect(store.requests).toBe(1);
      expect(lru.stats().leases).toBe(0);
    });

    it('is read a second time only, although each of the reply and what it renders begins a page of its own', async () => {
      const length = 2 ** 17 + 1;
      const buffered = bufferedBytes(instance, 2, 2 ** 20);
      const large = Query.of(key.key, [Buffer.from('HGET'), Buffer.from('h')], {
        id: 3,
        render: (_reply, memory) => memory.allocate(length)?.fill(0) ?? new BufferFull(length),
      });
      let isBlocked = true;
      let requests = 0;
      const fetch = (_query: Query, onReply: (reply: RedisReply) => void, memory: ValueMemory): void => {
        requests++;
        if (isBlocked) return onReply(valueReply('$1\r\nv\r\n'.padEnd(length)));
        const value = memory.allocate(length);
        // Others wait for memory and get what is left.
        const others = buffered.reserve(2 ** 20, undefined);
        onReply(value === undefined ? new BufferFull(length) : { kind: 'value', value, ttlMs: undefined });
        if (value !== undefined) memory.releaseAfterTick(value.buffer);
        void others.then((reservation) => reservation && buffered.releaseUnused(reservation));
      };
      const small = threadReads(lru, 2, LIFETIMES, buffered, { fetch });
      const blocker = new ArrayBuffer(2 ** 20 - 1024);
      expect(buffered.tryHold(blocker)).toBe(true);
      const outcome = small.read(large);
      isBlocked = false;
      buffered.release(blocker);
      expect(await outcome).toMatchObject({ kind: 'value', value: Buffer.alloc(length) });
      expect(requests).toBe(2);
      await new Promise(setImmediate);
      await new Promise(setImmediate);
      expect(buffered.total).toBe(0);
    });
  });
});

describe('a load in another thread', () => {
  let other: ReadThrough;
  beforeEach(() => {
    other = threadReads(
      SharedLru.attach(lru.buffer, 2, () => now),
      1,
      LIFETIMES,
    );
  });

  /** Reads on both threads, this one first, ends its load with `reply`, and returns the outcomes of the other thread. */
  async function outcomesInOtherThread(reply: RedisReply): Promise<ReadOutcome[]> {
    const ownRead = read();
    const otherReads = Array.from({ length: 3 }, async () => other.read(key));
    store.reply(reply);
    await ownRead;
    return Promise.all(otherReads);
  }

  it('is joined, and its value shared', async () => {
    for (const outcome of await outcomesInOtherThread(valueReply('v'))) {
      expect(outcome).toMatchObject({ kind: 'value', value: Buffer.from('v'), origin: 'collapsed' });
    }
    expect(store.requests).toBe(1);
    expect(lru.stats()).toMatchObject({ misses: 1, collapsed: 3, hits: 0, leases: 0 });
  });

  it.each([
    { kind: 'missing' },
    { kind: 'wrong-type' },
    { kind: 'timeout' },
    { kind: 'unavailable', reason: 'X' },
  ] as const)('that ends with $kind passes it to all threads and leaves no lease behind', async (reply) => {
    for (const outcome of await outcomesInOtherThread(reply)) {
      expect(outcome).toMatchObject({ kind: reply.kind === 'missing' ? 'absent' : reply.kind, origin: 'collapsed' });
    }
    expect(store.requests).toBe(1);
    expect(lru.stats()).toMatchObject({ leases: 0 });
    checkInvariants(lru.buffer);
  });

  it('of a value that is too large to be stored is repeated once per thread, not once per waiting read', async () => {
    const ownRead = read();
    const otherReads = Array.from({ length: 3 }, async () => other.read(key));
    const large = valueReply('x'.repeat(limits.maxValueBytes + 1));
    store.reply(large);
    await ownRead;
    while (store.requests < 2) await new Promise(setImmediate);
    store.reply(large);
    for (const outcome of await Promise.all(otherReads)) expect(outcome).toMatchObject({ kind: 'value' });
    expect(store.requests).toBe(2);
  });

  it('that was voided by a purge is repeated', async () => {
    const ownRead = read();
    const otherRead = other.read(key);
    lru.purge(key.key);
    while (store.requests < 2) await new Promise(setImmediate);
    store.reply(valueReply('old'));
    store.reply(valueReply('new'));
    await ownRead;
    expect(await otherRead).toMatchObject({ value: Buffer.from('new') });
  });

  it.each(['crashes', 'flushes the cache'])('is repeated if its thread %s', async (event) => {
    void read();
    const otherRead = other.read(key);
    if (event === 'crashes') lru.recoverFrom(1);
    else lru.flush();
    while (store.requests < 2) await new Promise(setImmediate);
    store.reply({ kind: 'timeout' });
    store.reply(valueReply('new'));
    expect(await otherRead).toMatchObject({ kind: 'value', value: Buffer.from('new') });
  });
});

describe('a load in another thread that takes longer than its lease', () => {
  it('is joined until the lease expires, and taken over afterwards', async () => {
    lru = SharedLru.create({ ...limits, leaseMs: 5 }, 1, () => now);
    reads = threadReads(lru, 0, LIFETIMES);
    const other = threadReads(
      SharedLru.attach(lru.buffer, 2, () => now),
      1,
      LIFETIMES,
    );
    const slow = read();
    const otherReads = Array.from({ length: 3 }, async () => other.read(key));
    // The waits time out repeatedly by the real clock, while the clock of the cache stands still.
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(store.requests).toBe(1);
    now += 5;
    while (store.requests < 2) await new Promise(setImmediate);
    store.reply(valueReply('late'));
    store.reply(valueReply('new'));
    expect(await slow).toMatchObject({ value: Buffer.from('late'), origin: 'not-stored' });
    for (const outcome of await Promise.all(otherReads)) expect(outcome).toMatchObject({ value: Buffer.from('new') });
  });
});

describe('too many loads', () => {
  it('are queued, and rejected immediately if the queue is full, while hits are still served', async () => {
    await load(valueReply('v'));
    const loads = Array.from({ length: 9 }, (_, i) => read(Query.get(Buffer.from(`busy${i}`))));
    const requests = store.requests;
    expect(requests).toBe(10);
    const waiting = read(Query.get(Buffer.from('waiting')));
    expect(await read(Query.get(Buffer.from('rejected')))).toMatchObject({ kind: 'overloaded' });
    expect(reads.read(key)).toMatchObject({ kind: 'hit' });
    expect(store.requests).toBe(requests);
    store.reply(valueReply('v'));
    await loads[0];
    expect(store.requests).toBe(requests + 1);
    for (let i = 0; i < 9; i++) store.reply(valueReply('v'));
    expect(await waiting).toMatchObject({ kind: 'value' });
    await Promise.all(loads);
  });
});

describe('a value that was large when it was loaded last', () => {
  const BYTES = 3 * 2 ** 20;
  const large = Buffer.alloc(BYTES);
  const other = Query.get(Buffer.from('other'));
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  let buffered: BufferedBytes;

  beforeEach(async () => {
    buffered = bufferedBytes(instance, 2, 4 * 2 ** 20);
    reads = threadReads(lru, 2, LIFETIMES, buffered);
    for (const query of [key, other]) {
      const outcome = read(query);
      store.reply({ kind: 'value', value: large, ttlMs: undefined });
      expect(await outcome).toMatchObject({ kind: 'value', origin: 'not-stored' });
    }
    expect(store.requests).toBe(2);
  });

  it('is not requested before the load of another one, which takes the memory, has ended', async () => {
    const [first, second, third] = [read(key), read(other), read(other)];
    await settled();
    expect(store.requests).toBe(3);
    store.reply({ kind: 'value', value: large, ttlMs: undefined });
    expect(await first).toMatchObject({ kind: 'value' });
    await settled();
    expect(store.requests).toBe(4);
    store.reply(valueReply('short now'));
    expect(await Promise.all([second, third])).toMatchObject([{ kind: 'value' }, { kind: 'value' }]);
    expect([store.requests, store.pending, lru.stats().leases]).toEqual([4, 0, 0]);
  });

  it('is never requested for a client that disconnects while it waits for memory', async () => {
    buffered.hold(large.buffer);
    const client = { disconnected: false };
    const waiting = reads.read(key, undefined, { client });
    await settled();
    expect([store.requests, buffered.waiting]).toEqual([2, 1]);
    client.disconnected = true;
    expect(await waiting).toMatchObject({ kind: 'overloaded' });
    expect([store.requests, buffered.waiting, lru.stats().leases]).toEqual([2, 0, 0]);
  });

  it('is requested at once again after it was short, like any other', async () => {
    const short = read(key);
    store.reply(valueReply('short'));
    await short;
    now += 2000;
    buffered.hold(large.buffer);
    void read(key);
    expect(store.requests).toBe(4);
  });
});

describe('loads that no request waits for', () => {
  const query = (name: string): Query => Query.get(Buffer.from(name));
  const names = ['a', 'b', 'c', 'd'];
  const order = (): string[] => entriesByRecency(lru.buffer);
  const warmUp = (...wanted: string[]) => reads.warmUp(wanted.map(query), 0);

  it('are stored in the order of use, whatever the order of their replies, after what was read', async () => {
    await load(valueReply('v'));
    const pending: ((reply: RedisReply) => void)[] = [];
    store.fetch = (_, onReply) => void pending.push(onReply);
    const batch = warmUp('a', 'b');
    for (const reply of pending.reverse()) reply(valueReply('v'));
    await expect(batch?.ends).resolves.toMatchObject([
      { kind: 'value', bytes: 1, isStored: true },
      { kind: 'value', bytes: 1, isStored: true },
    ]);
    expect(order()).toEqual(['k', 'a', 'b']);
    expect(lru.stats()).toMatchObject({ hits: 0, misses: 1, collapsed: 0 });
    const counts = new ReadMetrics(instance, 1);
    expect([counts.loads, counts.refreshes('started')]).toEqual([3, 0]);
    checkInvariants(lru.buffer);
  });

  it('leave out what is cached or being loaded, and evict nothing', async () => {
    await load(valueReply('v'));
    const inFlight = read(query('a'));
    const batch = warmUp('k', 'a', 'b', 'c', 'd');
    expect(batch).toMatchObject({ taken: 4, isFull: true });
    for (let i = 0; i < 3; i++) store.reply(valueReply('v'));
    await inFlight;
    expect((await batch?.ends)?.map(({ isStored }) => isStored)).toEqual([true, false]);
    expect(order()).toEqual(['a', 'k', 'b']);
    expect(lru.stats()).toMatchObject({ evictionsByCapacity: 0 });
  });

  it('take no more than fits in the byte budget, given the typical length of a value', () => {
    lru = SharedLru.create({ ...limits, capacity: 100, maxBytes: 100, staleMs }, 1, () => now);
    reads = threadReads(lru, 0, LIFETIMES);
    expect(reads.warmUp(names.map(query), 32)).toMatchObject({ taken: 3, isFull: true });
  });

  it('are the most recently used once a request waits for them, and then evict', async () => {
    for (const name of ['x', 'y']) {
      const first = read(query(name));
      store.reply(valueReply('v'));
      await first;
    }
    const batch = warmUp('a');
    const waiting = read(query('a'));
    const other = read(query('z'));
    store.reply(valueReply('A'));
    store.reply(valueReply('Z'));
    await expect(waiting).resolves.toMatchObject({ kind: 'value', value: Buffer.from('A'), origin: 'collapsed' });
    await Promise.all([batch?.ends, other]);
    expect(order()).toEqual(['z', 'a', 'y']);
  });

  it('are the most recently used if another thread waits for them', async () => {
    const other = SharedLru.attach(lru.buffer, 2, () => now);
    const otherReads = threadReads(other, 1, LIFETIMES);
    await load(valueReply('v'));
    const batch = warmUp('a');
    const waiting = otherReads.read(query('a'));
    store.reply(valueReply('A'));
    await batch?.ends;
    expect(order()).toEqual(['a', 'k']);
    await expect(waiting).resolves.toMatchObject({ kind: 'value', value: Buffer.from('A'), origin: 'collapsed' });
  });

  it('do not start while half of the permits are in use', async () => {
    const others = ['1', '2', '3', '4', '5'].map((name) => read(query(name)));
    expect(warmUp('a')).toBeUndefined();
    expect(store.requests).toBe(5);
    while (store.pending > 0) store.reply(valueReply('v'));
    await Promise.all(others);
    lru.flush();
    expect(warmUp('a')).toMatchObject({ taken: 1 });
  });

  it('give their permit back, also if none was started', async () => {
    await load(valueReply('v'));
    for (let i = 0; i < 20; i++) await warmUp('k')?.ends;
    expect(instance.words[InstanceWord.LOADS]).toBe(0);
  });

  it('store nothing over what was read after a purge of the key', async () => {
    const batch = warmUp('a');
    lru.purge(Buffer.from('a'));
    const fresh = read(query('a'));
    store.reply(valueReply('old'));
    await expect(batch?.ends).resolves.toMatchObject([{ kind: 'value', isStored: false }]);
    store.reply(valueReply('new'));
    await expect(fresh).resolves.toMatchObject({ value: Buffer.from('new'), origin: 'stored' });
  });

  it('end as their replies do, and as failed after a bug', async () => {
    const batch = warmUp('a', 'b');
    store.reply({ kind: 'missing' });
    store.reply({ kind: 'timeout' });
    await expect(batch?.ends).resolves.toMatchObject([{ kind: 'absent' }, { kind: 'timeout' }]);
    store.bug = new Error('bug');
    await expect(warmUp('c')?.ends).resolves.toMatchObject([{ kind: 'failed', isStored: false }]);
    expect(instance.words[InstanceWord.LOADS]).toBe(0);
  });
});
