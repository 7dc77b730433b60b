import { beforeEach, describe, expect, it } from '@jest/globals';
import { CoherenceState } from '../../instance/coherence-state.ts';
import { InstanceMemory } from '../../instance/instance-memory.ts';
import { ReadMetrics } from '../../instance/read-metrics.ts';
import { Query } from '../../redis/query.ts';
import type { RedisReply, RedisTtl } from '../../redis/redis-reply.ts';
import type { LoadSpan, ReadTracer, RequestDescription, RequestSpan } from '../read-tracer.ts';
import { SharedLru } from '../shared-lru/shared-lru.ts';
import { bufferedBytes } from './buffered-bytes.spec-support.ts';
import { KeyQueries, type KeyStore } from './key-queries.ts';
import { LoadLimiter } from './load-limiter.ts';
import { type ReadDirectives, type ReadOptions, ReadThrough } from './read-through.ts';

const REQUEST: RequestDescription = { transport: 'http', http: undefined, traceparent: 'p', tracestate: undefined };
const describeRequest = (): RequestDescription => REQUEST;
const TRACED = { describeRequest };
const LOAD_LIMITS = { maxConcurrentLoads: 2, maxQueuedLoads: 5, queueTimeoutMs: 60_000 };
const key = (name: string): Query => Query.get(Buffer.from(name));

/** Records what happens to spans, each line with the name of the span. */
class RecordingTracer implements ReadTracer {
  readonly log: string[] = [];
  samples = true;
  #requests = 0;
  #loads = 0;

  startRequest(request: RequestDescription, queries: readonly Query[]): RequestSpan | undefined {
    if (!this.samples) return undefined;
    const name = `request ${++this.#requests}`;
    this.log.push(`${name} of ${queries.map((query) => query.key.toString()).join('+')}: ${request.traceparent}`);
    return {
      ...{ name },
      onJoined: (load) => void this.log.push(`${name} joins ${(load as LoadSpan & { name: string }).name}`),
      onJoinedElsewhere: ({ slot }) => void this.log.push(`${name} joins the load in slot ${slot} of another thread`),
      end: (outcomes) => void this.log.push(`${name}: ${outcomes.join('+')}`),
      fail: (bug) => void this.log.push(`${name} failed: ${String(bug)}`),
    };
  }

  startLoad(query: Query, cause: RequestSpan | 'refresh'): LoadSpan | undefined {
    if (!this.samples) return undefined;
    const name = `load ${++this.#loads}`;
    const by = cause === 'refresh' ? cause : (cause as RequestSpan & { name: string }).name;
    this.log.push(`${name} of ${query.key.toString()} for ${by}`);
    return {
      ...{ name },
      onDequeued: () => void this.log.push(`${name} dequeued`),
      end: (end) => void this.log.push(`${name}: ${end.kind}`),
      fail: (bug) => void this.log.push(`${name} failed: ${String(bug)}`),
    };
  }

  take(): string[] {
    return this.log.splice(0);
  }
}

describe('The spans of reads', () => {
  let now: number;
  let tracer: RecordingTracer;
  let replies: ((reply: RedisReply) => void)[];
  let reads: ReadThrough;
  /** Of another thread. */
  let other: ReadThrough;

  const value = (text: string): RedisReply => ({ kind: 'value', value: Buffer.from(text), ttlMs: undefined });
  const read = async (name: string, options: ReadOptions, directives?: ReadDirectives): Promise<unknown> =>
    reads.read(key(name), directives, options);
  const reply = (with_: RedisReply): void => replies.shift()?.(with_);

  beforeEach(() => {
    now = 5000;
    tracer = new RecordingTracer();
    replies = [];
    const instance = InstanceMemory.create();
    const limits = { capacity: 10, maxBytes: 10_000, maxValueBytes: 1000, maxLeases: 10, leaseMs: 5000, staleMs: 0 };
    const lru = SharedLru.create({ ...limits, revalidateMs: 1000 }, 1, () => now);
    const readsOf = (threadLru: SharedLru, row: number): ReadThrough =>
      new ReadThrough({
        lru: threadLru,
        store: { fetch: (_query, onReply) => void replies.push(onReply) },
        limiter: new LoadLimiter(instance, row, row + 1, LOAD_LIMITS),
        counts: new ReadMetrics(instance, row),
        coherence: new CoherenceState(instance),
        clock: () => now,
        buffered: bufferedBytes(instance, row),
        lifetimes: { ttlMs: 1000, ttlJitter: 0, negativeTtlMs: 0 },
        tracer,
      });
    reads = readsOf(lru, 0);
    other = readsOf(
      SharedLru.attach(lru.buffer, 2, () => now),
      1,
    );
  });

  it('are those of a miss and its load; a hit has none', async () => {
    const first = read('a', TRACED);
    reply(value('v'));
    await first;
    expect(tracer.take()).toEqual([
      'request 1 of a: p',
      'load 1 of a for request 1',
      'load 1: value',
      'request 1: miss',
    ]);
    expect(reads.read(key('a'), undefined, TRACED)).toMatchObject({ kind: 'hit' });
    expect(tracer.take()).toEqual([]);
  });

  it('link a request to the load of another that it waits for', async () => {
    const both = [read('a', TRACED), read('a', TRACED, { maxAgeMs: 500 })];
    reply(value('v'));
    await Promise.all(both);
    expect(tracer.take()).toEqual([
      ...['request 1 of a: p', 'load 1 of a for request 1', 'request 2 of a: p', 'request 2 joins load 1'],
      ...['load 1: value', 'request 1: miss', 'request 2: collapsed'],
    ]);
  });

  it('link a request to the load of another thread that it waits for', async () => {
    const first = read('a', TRACED);
    const others = [0, 1].map(async () => other.read(key('a'), undefined, TRACED));
    expect(tracer.take().slice(2)).toEqual([
      ...['request 2 of a: p', 'request 2 joins the load in slot 1 of another thread'],
      ...['request 3 of a: p', 'request 3 joins the load in slot 1 of another thread'],
    ]);
    reply(value('v'));
    await Promise.all([first, ...others]);
    expect(tracer.take()).toEqual(expect.arrayContaining(['request 2: collapsed', 'request 3: collapsed']));
  });

  it('say when a queued load has acquired a permit', async () => {
    const all = ['a', 'b', 'c'].map((name) => read(name, TRACED));
    tracer.take();
    reply(value('v'));
    await all[0];
    expect(tracer.take()).toEqual(['load 1: value', 'load 3 dequeued', 'request 1: miss']);
    reply(value('v'));
    reply({ kind: 'timeout' });
    await Promise.all(all);
    expect(tracer.take()).toEqual(['load 2: value', 'load 3: timeout', 'request 2: miss', 'request 3: timeout']);
  });

  it('are one for a request for many keys, and one for each of its loads', async () => {
    const first = read('a', {});
    reply(value('v'));
    await first;
    const many = reads.readMany(['a', 'b', 'c'].map(key), Infinity, TRACED);
    reply(value('v'));
    reply({ kind: 'missing' });
    await many;
    expect(tracer.take()).toEqual([
      ...['request 1 of a+b+c: p', 'load 1 of b for request 1', 'load 2 of c for request 1'],
      ...['load 1: value', 'load 2: absent', 'request 1: hit+miss+not-found'],
    ]);
  });

  it('are those of a request for TTLs, and one for each of its queries; types are part of the request that read the keys', async () => {
    const replies: RedisTtl[] = [{ kind: 'persistent' }, { kind: 'missing' }, { kind: 'timeout' }];
    const limiter = new LoadLimiter(InstanceMemory.create(), 0, 1, {
      ...LOAD_LIMITS,
      maxConcurrentLoads: 1,
      maxQueuedLoads: 1,
    });
    const store: KeyStore = {
      ttl: () => Promise.resolve(replies.shift() as RedisTtl),
      type: () => Promise.resolve({ kind: 'type', type: 'hash' }),
    };
    const counts = new ReadMetrics(InstanceMemory.create(), 0);
    const queries = new KeyQueries(store, limiter, counts, () => now, tracer);
    const keys = [Buffer.from('a'), Buffer.from('b')];
    const [, queued, rejected] = [keys, keys.slice(1), keys.slice(1)].map((some) => queries.ttls(some, TRACED));
    await queued;
    await rejected;
    const log = tracer.take();
    expect(log.slice(0, 8)).toEqual([
      ...['request 1 of a+b: p', 'load 1 of a for request 1', 'load 2 of b for request 1'],
      ...['request 2 of b: p', 'load 3 of b for request 2'],
      ...['request 3 of b: p', 'load 4 of b for request 3', 'load 4: overloaded'],
    ]);
    expect(log.slice(8).sort()).toEqual([
      ...['load 1: value', 'load 2: absent', 'load 3 dequeued', 'load 3: timeout'],
      ...['request 1: miss+not-found', 'request 2: timeout', 'request 3: overloaded'],
    ]);
    await queries.types(keys.slice(1), tracer.startRequest(REQUEST, [key('b')]));
    expect(tracer.take()).toEqual(['request 4 of b: p', 'load 5 of b for request 4', 'load 5: value']);
    replies.push({ kind: 'persistent' });
    await queries.types(keys);
    await queries.ttls(keys.slice(1));
    expect(tracer.take()).toEqual([]);
  });

  it('are those of a refresh in the background, without a request', async () => {
    const first = read('a', {});
    reply(value('v'));
    await first;
    now += 1500;
    expect(reads.read(key('a'), undefined, TRACED)).toMatchObject({ kind: 'revalidating' });
    reply({ kind: 'unavailable', reason: 'connection' });
    expect(tracer.take()).toEqual(['load 1 of a for refresh', 'load 1: unavailable']);
  });

  it('are absent if the request is not described, not sampled, or repeats another', async () => {
    const all = [read('a', {}), read('b', { ...TRACED, alreadyCounted: true })];
    reply(value('v'));
    reply(value('v'));
    tracer.samples = false;
    all.push(read('c', TRACED));
    reply(value('v'));
    await Promise.all(all);
    expect(tracer.take()).toEqual([]);
  });
});
