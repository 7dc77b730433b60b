import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { RedisReply } from '../../redis/redis-reply.ts';
import { bufferedBytes } from './buffered-bytes.spec-support.ts';
import { CoherenceState } from '../../instance/coherence-state.ts';
import { InstanceMemory, InstanceWord } from '../../instance/instance-memory.ts';
import { LoadLimiter } from './load-limiter.ts';
import type { Lifetimes } from './loader.ts';
import type { ReadOutcome } from './read-outcome.ts';
import { ReadThrough } from './read-through.ts';
import { ReadMetrics } from '../../instance/read-metrics.ts';
import { SharedLru } from '../shared-lru/shared-lru.ts';
import { checkInvariants } from '../shared-lru/shared-memory.spec-support.ts';

const limits = { capacity: 3, maxBytes: 10_000, maxValueBytes: 100, maxLeases: 8, leaseMs: 2000, staleMs: 0 };
const loadLimits = { maxConcurrentLoads: 9, maxQueuedLoads: 1, queueTimeoutMs: 60_000 };
const key = Buffer.from('k');
const valueReply = (text: string, ttlMs?: number): RedisReply => ({ kind: 'value', value: Buffer.from(text), ttlMs });

/** A store whose answers the test gives, when it likes. */
class ManualStore {
  readonly #asked: ((reply: RedisReply) => void)[] = [];
  asked = 0;
  bug: Error | undefined;

  fetch(_key: Buffer, take: (reply: RedisReply) => void): void {
    this.asked++;
    if (this.bug !== undefined) throw this.bug;
    this.#asked.push(take);
  }

  answer(reply: RedisReply): void {
    this.#asked.shift()?.(reply);
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

function start(lifetimes: Lifetimes = { ttlMs: 1000, negativeTtlMs: 0 }): void {
  now = 5000;
  store = new ManualStore();
  lru = SharedLru.create({ ...limits, staleMs }, 1, () => now);
  instance = InstanceMemory.create();
  reads = threadReads(lru, 0, lifetimes);
}

/** A thread's view of the instance. */
function threadReads(threadLru: SharedLru, row: number, lifetimes: Lifetimes): ReadThrough {
  return new ReadThrough({
    lru: threadLru,
    store,
    gate: new LoadLimiter(instance, row, row + 1, loadLimits),
    counts: new ReadMetrics(instance, row),
    coherence: new CoherenceState(instance),
    clock: () => now,
    buffered: bufferedBytes(instance, row),
    lifetimes,
  });
}

async function load(reply: RedisReply) {
  const outcome = reads.read(key);
  store.answer(reply);
  return outcome;
}

const ask = async (name = key): Promise<ReadOutcome> => reads.read(name);

beforeEach(() => {
  staleMs = 0;
  start();
});

describe('a miss', () => {
  it('is loaded and stored, and the next read is a hit without a promise', async () => {
    expect(await load(valueReply('v'))).toMatchObject({ kind: 'value', value: Buffer.from('v'), origin: 'stored' });
    const hit = reads.read(key);
    expect(hit).not.toBeInstanceOf(Promise);
    expect(hit).toMatchObject({ kind: 'hit', value: Buffer.from('v') });
    expect(store.asked).toBe(1);
  });

  it('is loaded once for all who ask meanwhile', async () => {
    const outcomes = Array.from({ length: 200 }, () => ask());
    store.answer(valueReply('v'));
    const [first, ...others] = await Promise.all(outcomes);
    expect(store.asked).toBe(1);
    expect(first).toMatchObject({ kind: 'value', origin: 'stored' });
    for (const other of others) expect(other).toMatchObject({ kind: 'value', origin: 'collapsed' });
    expect(lru.stats()).toMatchObject({ misses: 1, collapsed: 199 });
    expect(new ReadMetrics(instance, 1).loads).toBe(1);
  });

  it('counts towards the latency of Redis if it was answered or timed out, not if it failed at once', async () => {
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
  ] as const)('that ends as $kind ends so for all who ask, and is not stored', async (reply) => {
    const outcomes = Array.from({ length: 5 }, () => ask());
    store.answer(reply);
    const kinds = (await Promise.all(outcomes)).map(({ kind }) => kind);
    expect(new Set(kinds)).toEqual(new Set([reply.kind === 'missing' ? 'absent' : reply.kind]));
    expect(reads.read(key)).toBeInstanceOf(Promise);
    expect(store.asked).toBe(2);
  });

  it('that meets a bug fails for all who ask, and leaves the key free', async () => {
    const outcomes = [ask(), ask()];
    store.answer({ kind: 'value' } as RedisReply);
    for (const outcome of outcomes) await expect(outcome).rejects.toThrow('input');
    store.bug = new Error('bug');
    await expect(ask()).rejects.toThrow('bug');
    store.bug = undefined;
    expect(await load(valueReply('v'))).toMatchObject({ origin: 'stored' });
    expect(instance.words[InstanceWord.LOADS]).toBe(0);
  });

  it('of a value over the limit is answered and not stored', async () => {
    const large = 'x'.repeat(limits.maxValueBytes + 1);
    expect(await load(valueReply(large))).toMatchObject({ kind: 'value', origin: 'not-stored' });
    expect(lru.stats()).toMatchObject({ entries: 0, uncacheable: 1, leases: 0 });
  });

  it('that was purged while it was loaded is answered and not stored; who asks after the purge waits for a new load', async () => {
    const before = reads.read(key);
    lru.purge(key);
    const after = reads.read(key);
    store.answer(valueReply('old'));
    store.answer(valueReply('new'));
    expect(await before).toMatchObject({ value: Buffer.from('old'), origin: 'not-stored' });
    expect(await after).toMatchObject({ value: Buffer.from('new'), origin: 'stored' });
    expect(reads.read(key)).toMatchObject({ kind: 'hit', value: Buffer.from('new') });
  });

  it('beyond the leases there are is loaded for the one who asks', async () => {
    const others = Array.from({ length: limits.maxLeases }, (_, i) => ask(Buffer.from(`other${i}`)));
    const unleased = reads.read(key);
    for (let i = 0; i <= others.length; i++) store.answer(valueReply('v'));
    expect(await unleased).toMatchObject({ kind: 'value', origin: 'not-stored' });
    await Promise.all(others);
  });
});

describe('many keys at once', () => {
  const named = (...texts: string[]) => texts.map((text) => Buffer.from(text));

  it('are answered in order, without a promise when all are held', async () => {
    await load(valueReply('v'));
    expect(reads.readMany([key, key])).toMatchObject([{ kind: 'hit' }, { kind: 'hit' }]);
    expect(reads.readMany([])).toEqual([]);
    const outcomes = reads.readMany(named('a', 'k', 'b'));
    expect(outcomes).toBeInstanceOf(Promise);
    store.answer(valueReply('of a'));
    store.answer({ kind: 'missing' });
    expect(await outcomes).toMatchObject([
      { kind: 'value', value: Buffer.from('of a'), origin: 'stored' },
      { kind: 'hit', value: Buffer.from('v') },
      { kind: 'absent' },
    ]);
  });

  it('are each loaded once: a key that is named twice, and one that is being loaded already', async () => {
    const single = ask(named('a')[0]);
    const outcomes = reads.readMany(named('a', 'b', 'b'));
    expect(store.asked).toBe(2);
    store.answer(valueReply('of a'));
    store.answer(valueReply('of b'));
    expect(await single).toMatchObject({ origin: 'stored' });
    expect(await outcomes).toMatchObject([
      { value: Buffer.from('of a'), origin: 'collapsed' },
      { value: Buffer.from('of b'), origin: 'stored' },
      { value: Buffer.from('of b'), origin: 'collapsed' },
    ]);
  });

  const letters = (count: number) => Array.from({ length: count }, (_, i) => Buffer.from(`letter${i}`));
  const inFlight = () => instance.words[InstanceWord.LOADS];

  it('take one place at the gate, until the last of them has been answered', async () => {
    const outcomes = reads.readMany(letters(5));
    expect([store.asked, inFlight()]).toEqual([5, 1]);
    for (let i = 0; i < 4; i++) store.answer({ kind: 'missing' });
    expect(inFlight()).toBe(1);
    store.answer({ kind: 'missing' });
    expect(inFlight()).toBe(0);
    expect(await outcomes).toHaveLength(5);
  });

  it('wait for that place together, or are refused together, but for those that are held', async () => {
    await load(valueReply('v'));
    const busy = letters(9).map((letter) => ask(letter));
    const waiting = reads.readMany(named('a', 'k', 'b'));
    expect(await reads.readMany(named('c', 'k', 'd'))).toMatchObject([
      { kind: 'overloaded' },
      { kind: 'hit' },
      { kind: 'overloaded' },
    ]);
    expect(store.asked).toBe(10);
    for (let i = 0; i < 9; i++) store.answer(valueReply('of a letter'));
    await Promise.all(busy);
    expect(store.asked).toBe(12);
    store.answer(valueReply('of a'));
    store.answer(valueReply('of b'));
    expect(await waiting).toMatchObject([{ kind: 'value' }, { kind: 'hit' }, { kind: 'value' }]);
  });

  it('learn of a failure of the round trip each, and so do those who wait for one of them', async () => {
    const outcomes = reads.readMany(named('a', 'b'));
    const single = ask(Buffer.from('b'));
    store.answer({ kind: 'timeout' });
    store.answer({ kind: 'timeout' });
    expect(await outcomes).toMatchObject([{ kind: 'timeout' }, { kind: 'timeout' }]);
    expect(await single).toMatchObject({ kind: 'timeout', origin: 'collapsed' });
  });

  it('are loaded once each when no more leases can be given', async () => {
    const leased = letters(limits.maxLeases).map((letter) => ask(letter));
    const outcomes = reads.readMany(named('a', 'b', 'a', 'b', 'a'));
    expect(store.asked).toBe(limits.maxLeases + 2);
    for (let i = 0; i < limits.maxLeases; i++) store.answer(valueReply('of a letter'));
    store.answer(valueReply('of a'));
    store.answer(valueReply('of b'));
    const values = (await outcomes).map((outcome) => outcome.kind === 'value' && outcome.value.toString());
    expect(values).toEqual(['of a', 'of b', 'of a', 'of b', 'of a']);
    await Promise.all(leased);
  });

  it('are not read any more when those that are held fill what there is room for', async () => {
    await load(valueReply('four'));
    expect(reads.readMany([key, key, Buffer.from('a')], 8)).toMatchObject([
      { kind: 'hit' },
      { kind: 'hit' },
      { kind: 'unread' },
    ]);
    expect(reads.readMany([key, key, key], 5)).toMatchObject([{ kind: 'hit' }, { kind: 'hit' }, { kind: 'unread' }]);
    expect(store.asked).toBe(1);
  });

  it('give as much of what is loaded as of what is held, to the first keys, in whatever order it comes', async () => {
    await load(valueReply('four'));
    const single = ask(Buffer.from('a'));
    const outcomes = reads.readMany(named('b', 'a', 'k', 'c', 'd'), 8);
    store.answer(valueReply('of a'));
    await single;
    store.answer(valueReply('of b'));
    store.answer({ kind: 'missing' });
    store.answer(valueReply('of d'));
    expect(await outcomes).toMatchObject([
      { value: Buffer.from('of b') },
      { value: Buffer.from('of a') },
      { kind: 'unread' },
      { kind: 'absent' },
      { kind: 'unread' },
    ]);
    expect(reads.readMany(named('d'))).toMatchObject([{ kind: 'hit' }]);
  });

  it('hold no more values than they give, however many are loaded, also while some are still to come', async () => {
    const bytes = 100_000;
    const many = letters(50);
    const outcomes = reads.readMany(many, 3 * bytes);
    const values = many.slice(1).map((_, i) => {
      const value = Buffer.alloc(bytes, i);
      store.answer({ kind: 'value', value, ttlMs: undefined });
      return new WeakRef(value);
    });
    await new Promise(setImmediate);
    collectGarbage();
    expect(values.filter((value) => value.deref() !== undefined).length).toBeLessThanOrEqual(3);
    store.answer(valueReply('the last'));
    const given = (await outcomes).filter((outcome) => outcome.kind === 'value');
    expect(given.map(({ value }) => value.length)).toEqual([bytes, bytes, bytes]);
  });

  it('do not wait for ever when two threads ask for the same keys the other way round', async () => {
    const there = threadReads(
      SharedLru.attach(lru.buffer, 2, () => now),
      1,
      { ttlMs: 1000, negativeTtlMs: 0 },
    );
    const outcomes = [
      reads.readMany(named('a')),
      there.readMany(named('b')),
      reads.readMany(named('b', 'c')),
      there.readMany(named('c', 'a')),
    ].map(async (outcome) => (await outcome).map((each) => each.kind === 'value' && each.value.toString()));
    expect(store.asked).toBe(3);
    for (const name of ['a', 'b', 'c']) store.answer(valueReply(`of ${name}`));
    expect(await Promise.all(outcomes)).toEqual([['of a'], ['of b'], ['of b', 'of c'], ['of c', 'of a']]);
    expect(lru.stats()).toMatchObject({ leases: 0 });
  });
});

describe('an entry', () => {
  it('lives for the global expiry', async () => {
    await load(valueReply('v'));
    now += 999;
    expect(reads.read(key)).toMatchObject({ kind: 'hit', freshness: { ageMs: 999, lifetimeMs: 1000 } });
    now += 1;
    expect(reads.read(key)).toBeInstanceOf(Promise);
  });

  it("never outlives the key's own expiry in Redis, counted from when Redis was asked", async () => {
    const outcome = reads.read(key);
    now += 30;
    store.answer(valueReply('v', 100));
    await outcome;
    now += 69;
    expect(reads.read(key)).toMatchObject({ kind: 'hit' });
    now += 1;
    expect(reads.read(key)).toBeInstanceOf(Promise);
  });

  it('is not made of a value that is about to expire', async () => {
    expect(await load(valueReply('v', 0))).toMatchObject({ origin: 'not-stored', freshness: { lifetimeMs: 0 } });
    expect(lru.stats()).toMatchObject({ entries: 0, leases: 0 });
  });
});

describe('while the news of writes is lost', () => {
  it('loads are answered and not stored', async () => {
    start({ ttlMs: 1000, negativeTtlMs: 50 });
    const coherence = new CoherenceState(instance);
    coherence.current = 'resync';
    expect(await load(valueReply('v'))).toMatchObject({ kind: 'value', value: Buffer.from('v'), origin: 'not-stored' });
    expect(await load({ kind: 'missing' })).toMatchObject({ kind: 'absent', origin: 'not-stored' });
    expect(lru.stats()).toMatchObject({ entries: 0, leases: 0 });
    coherence.current = 'tracking';
    expect(await load(valueReply('v'))).toMatchObject({ kind: 'value', origin: 'stored' });
  });

  it('a load from before it is not stored after it, nor answered as held', async () => {
    const before = reads.read(key);
    lru.expireAll();
    store.answer(valueReply('v'));
    expect(await before).toMatchObject({ kind: 'value', origin: 'not-stored' });
    expect(reads.read(key)).toBeInstanceOf(Promise);
  });
});

describe('while Redis cannot answer', () => {
  const failures = [{ kind: 'timeout' }, { kind: 'unavailable', reason: 'LOADING' }] as const;

  /** Stores `value` and lets its time pass. */
  async function storeStale(value = 'old'): Promise<void> {
    staleMs = 500;
    start();
    await load(valueReply(value));
    now += 1000;
  }

  it.each(failures)('as it ends with $kind, a value whose time is over is answered, to all who wait', async (reply) => {
    await storeStale();
    const outcomes = Array.from({ length: 5 }, () => ask());
    store.answer(reply);
    for (const outcome of await Promise.all(outcomes)) {
      expect(outcome).toMatchObject({ kind: 'stale', value: Buffer.from('old'), failure: reply.kind });
      expect(outcome).toMatchObject({ freshness: { ageMs: 1000, lifetimeMs: 1000 } });
    }
    expect(store.asked).toBe(2);
  });

  it.each(failures)('as it ends with $kind, so it is for those who wait in another thread', async (reply) => {
    await storeStale();
    const there = SharedLru.attach(lru.buffer, 2, () => now);
    const other = threadReads(there, 1, { ttlMs: 1000, negativeTtlMs: 0 });
    const outcomes = [ask(), ...Array.from({ length: 3 }, async () => other.read(key))];
    store.answer(reply);
    for (const outcome of await Promise.all(outcomes)) expect(outcome).toMatchObject({ kind: 'stale' });
    expect(store.asked).toBe(2);
    expect(lru.stats()).toMatchObject({ leases: 0 });
  });

  it('nor take the load', async () => {
    await storeStale();
    const busy = Array.from({ length: 10 }, (_, i) => ask(Buffer.from(`busy${i}`)));
    expect(await ask()).toMatchObject({ kind: 'stale', failure: 'overloaded' });
    for (let i = 0; i < 10; i++) {
      store.answer({ kind: 'missing' });
      await new Promise(setImmediate);
    }
    await Promise.all(busy);
  });

  it('a value is answered for as long as the settings say, and the failure after that', async () => {
    await storeStale();
    now += 499;
    expect(await load({ kind: 'timeout' })).toMatchObject({ kind: 'stale' });
    now += 1;
    expect(await load({ kind: 'timeout' })).toMatchObject({ kind: 'timeout' });
  });

  it('a value is answered among others that are asked for at once', async () => {
    await storeStale();
    const outcomes = reads.readMany([key, Buffer.from('b')]);
    store.answer({ kind: 'timeout' });
    store.answer({ kind: 'timeout' });
    expect(await outcomes).toMatchObject([{ kind: 'stale' }, { kind: 'timeout' }]);
  });

  it('nothing is answered that Redis has said to be otherwise since', async () => {
    for (const reply of [{ kind: 'missing' }, { kind: 'wrong-type' }] as const) {
      await storeStale();
      expect(await load(reply)).toMatchObject({ origin: 'not-stored', forward: 'stale' });
      expect(await load({ kind: 'timeout' })).toMatchObject({ kind: 'timeout', forward: 'uri-miss' });
    }
  });

  it('no value is answered whose key has expired in Redis', async () => {
    staleMs = 500;
    start();
    await load(valueReply('v', 100));
    now += 100;
    expect(await load({ kind: 'timeout' })).toMatchObject({ kind: 'timeout', forward: 'uri-miss' });
  });

  it('what is stored when it can again takes the place of what was over', async () => {
    await storeStale();
    expect(await load({ kind: 'timeout' })).toMatchObject({ kind: 'stale' });
    expect(await load(valueReply('new'))).toMatchObject({ kind: 'value', origin: 'stored', forward: 'stale' });
    expect(reads.read(key)).toMatchObject({ kind: 'hit', value: Buffer.from('new') });
  });
});

describe('a reader who wants nothing that is held', () => {
  const anew = async (maxAgeMs = 0) => reads.read(key, { maxAgeMs });

  it('has it loaded, and stored for all, while others go on to hit', async () => {
    await load(valueReply('old'));
    const outcome = anew();
    expect(reads.read(key)).toMatchObject({ kind: 'hit', value: Buffer.from('old') });
    store.answer(valueReply('new'));
    expect(await outcome).toMatchObject({ value: Buffer.from('new'), origin: 'stored', forward: 'request' });
    expect(reads.read(key)).toMatchObject({ kind: 'hit', value: Buffer.from('new') });
  });

  it('is told of the failure of that load, whatever is held, and others keep what is', async () => {
    staleMs = 500;
    start();
    await load(valueReply('old'));
    for (const reply of ['hit', 'stale']) {
      const outcome = anew();
      store.answer({ kind: 'timeout' });
      expect(await outcome).toMatchObject({ kind: 'timeout' });
      const other = ask();
      if (reply === 'stale') store.answer({ kind: 'timeout' });
      expect(await other).toMatchObject({ kind: reply, value: Buffer.from('old') });
      now += 1000;
    }
  });

  it('shares a load that fails with one who takes what is over', async () => {
    staleMs = 500;
    start();
    await load(valueReply('old'));
    now += 1000;
    const outcomes = [anew(), ask(), anew()];
    store.answer({ kind: 'timeout' });
    expect(await Promise.all(outcomes)).toMatchObject([{ kind: 'timeout' }, { kind: 'stale' }, { kind: 'timeout' }]);
    expect(store.asked).toBe(2);
  });

  it('does not take what was asked for before: all such share one more load, after the one under way', async () => {
    const before = ask();
    const outcomes = Array.from({ length: 20 }, () => anew());
    store.answer(valueReply('old'));
    expect(await before).toMatchObject({ value: Buffer.from('old') });
    while (store.asked < 2) await new Promise(setImmediate);
    expect(store.asked).toBe(2);
    store.answer(valueReply('new'));
    for (const outcome of await Promise.all(outcomes)) expect(outcome).toMatchObject({ value: Buffer.from('new') });
    expect(reads.read(key)).toMatchObject({ kind: 'hit', value: Buffer.from('new') });
  });

  it('nor what another thread has asked for before', async () => {
    const there = SharedLru.attach(lru.buffer, 2, () => now);
    const before = threadReads(there, 1, { ttlMs: 1000, negativeTtlMs: 0 }).read(key);
    const outcome = anew();
    store.answer(valueReply('old'));
    await before;
    while (store.asked < 2) await new Promise(setImmediate);
    store.answer(valueReply('new'));
    expect(await outcome).toMatchObject({ value: Buffer.from('new') });
  });

  it('or nothing older than so much, gets what is younger', async () => {
    await load(valueReply('old'));
    now += 100;
    expect(await anew(100)).toMatchObject({ kind: 'hit' });
    const outcome = anew(99);
    store.answer(valueReply('new'));
    expect(await outcome).toMatchObject({ value: Buffer.from('new'), forward: 'request' });
  });
});

describe('a reader who wants only what is held', () => {
  it('gets it, or is told that there is nothing, without a load or a wait', async () => {
    staleMs = 500;
    start({ ttlMs: 1000, negativeTtlMs: 50 });
    const held = (maxAgeMs = Infinity) => reads.read(key, { onlyIfCached: true, maxAgeMs });
    expect(held()).toEqual({ kind: 'not-cached' });
    const loading = reads.read(key);
    expect(held()).toEqual({ kind: 'not-cached' });
    store.answer(valueReply('v'));
    await loading;
    expect(held()).toMatchObject({ kind: 'hit' });
    expect(held(0)).toEqual({ kind: 'not-cached' });
    now += 1000;
    expect(held()).toEqual({ kind: 'not-cached' });
    expect(await load({ kind: 'missing' })).toMatchObject({ kind: 'absent' });
    expect(held()).toMatchObject({ kind: 'missing' });
    expect(store.asked).toBe(2);
  });
});

describe('a missing key', () => {
  it('is remembered for as long as the settings say', async () => {
    start({ ttlMs: 1000, negativeTtlMs: 50 });
    expect(await load({ kind: 'missing' })).toMatchObject({ kind: 'absent', origin: 'stored' });
    now += 49;
    expect(reads.read(key)).toMatchObject({ kind: 'missing' });
    now += 1;
    expect(reads.read(key)).toBeInstanceOf(Promise);
  });

  it('is not remembered for longer than Redis says', async () => {
    start({ ttlMs: 1000, negativeTtlMs: 50 });
    expect(await load({ kind: 'missing', ttlMs: 0 })).toMatchObject({ kind: 'absent', origin: 'not-stored' });
    expect(await load({ kind: 'missing', ttlMs: 20 })).toMatchObject({ freshness: { lifetimeMs: 20 } });
    now += 20;
    expect(reads.read(key)).toBeInstanceOf(Promise);
  });
});

describe('a load in another thread', () => {
  let other: ReadThrough;
  beforeEach(() => {
    other = threadReads(
      SharedLru.attach(lru.buffer, 2, () => now),
      1,
      { ttlMs: 1000, negativeTtlMs: 0 },
    );
  });

  /** Asks both threads, this one first, lets this one's load end with `reply`, and answers what the other was told. */
  async function outcomeElsewhere(reply: RedisReply): Promise<ReadOutcome[]> {
    const here = ask();
    const there = Array.from({ length: 3 }, async () => other.read(key));
    store.answer(reply);
    await here;
    return Promise.all(there);
  }

  it('is waited for, and its value shared', async () => {
    for (const outcome of await outcomeElsewhere(valueReply('v'))) {
      expect(outcome).toMatchObject({ kind: 'value', value: Buffer.from('v'), origin: 'collapsed' });
    }
    expect(store.asked).toBe(1);
    expect(lru.stats()).toMatchObject({ misses: 1, collapsed: 3, hits: 0, leases: 0 });
  });

  it.each([
    { kind: 'missing' },
    { kind: 'wrong-type' },
    { kind: 'timeout' },
    { kind: 'unavailable', reason: 'X' },
  ] as const)('that ends as $kind is told to all threads, and leaves nothing behind', async (reply) => {
    for (const outcome of await outcomeElsewhere(reply)) {
      expect(outcome).toMatchObject({ kind: reply.kind === 'missing' ? 'absent' : reply.kind, origin: 'collapsed' });
    }
    expect(store.asked).toBe(1);
    expect(lru.stats()).toMatchObject({ leases: 0 });
    checkInvariants(lru.buffer);
  });

  it('of a value that is too large to be stored is done once more by each thread, not by each who waits', async () => {
    const here = ask();
    const there = Array.from({ length: 3 }, async () => other.read(key));
    const large = valueReply('x'.repeat(limits.maxValueBytes + 1));
    store.answer(large);
    await here;
    while (store.asked < 2) await new Promise(setImmediate);
    store.answer(large);
    for (const outcome of await Promise.all(there)) expect(outcome).toMatchObject({ kind: 'value' });
    expect(store.asked).toBe(2);
  });

  it('that was voided by a purge is done anew', async () => {
    const here = ask();
    const there = other.read(key);
    lru.purge(key);
    while (store.asked < 2) await new Promise(setImmediate);
    store.answer(valueReply('old'));
    store.answer(valueReply('new'));
    await here;
    expect(await there).toMatchObject({ value: Buffer.from('new') });
  });

  it.each(['dies', 'empties the cache'])('is done anew when its thread %s', async (event) => {
    void ask();
    const there = other.read(key);
    if (event === 'dies') lru.recoverFrom(1);
    else lru.flush();
    while (store.asked < 2) await new Promise(setImmediate);
    store.answer({ kind: 'timeout' });
    store.answer(valueReply('new'));
    expect(await there).toMatchObject({ kind: 'value', value: Buffer.from('new') });
  });
});

describe('a load in another thread that takes longer than its lease', () => {
  it('is waited for as long as nobody can take the lease over, and taken over then', async () => {
    lru = SharedLru.create({ ...limits, leaseMs: 5 }, 1, () => now);
    reads = threadReads(lru, 0, { ttlMs: 1000, negativeTtlMs: 0 });
    const other = threadReads(
      SharedLru.attach(lru.buffer, 2, () => now),
      1,
      { ttlMs: 1000, negativeTtlMs: 0 },
    );
    const slow = ask();
    const there = Array.from({ length: 3 }, async () => other.read(key));
    // The waits end by the real clock, again and again, while by the cache's own no time passes.
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(store.asked).toBe(1);
    now += 5;
    while (store.asked < 2) await new Promise(setImmediate);
    store.answer(valueReply('late'));
    store.answer(valueReply('new'));
    expect(await slow).toMatchObject({ value: Buffer.from('late'), origin: 'not-stored' });
    for (const outcome of await Promise.all(there)) expect(outcome).toMatchObject({ value: Buffer.from('new') });
  });
});

describe('too many loads', () => {
  it('wait for their turn, and beyond that are refused at once, while hits go on', async () => {
    await load(valueReply('v'));
    const loads = Array.from({ length: 9 }, (_, i) => ask(Buffer.from(`busy${i}`)));
    const asked = store.asked;
    expect(asked).toBe(10);
    const waiting = ask(Buffer.from('waiting'));
    expect(await ask(Buffer.from('refused'))).toMatchObject({ kind: 'overloaded' });
    expect(reads.read(key)).toMatchObject({ kind: 'hit' });
    expect(store.asked).toBe(asked);
    store.answer(valueReply('v'));
    await loads[0];
    expect(store.asked).toBe(asked + 1);
    for (let i = 0; i < 9; i++) store.answer(valueReply('v'));
    expect(await waiting).toMatchObject({ kind: 'value' });
    await Promise.all(loads);
  });
});
