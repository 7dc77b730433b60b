import { Query } from '../../redis/query.ts';
import { type RedisTtl, type RedisType, isFailure } from '../../redis/redis-reply.ts';
import type { ReadMetrics, ReadOutcomeName } from '../../instance/read-metrics.ts';
import { type KeyQueryEnd, type LoadSpan, type ReadTracer, type RequestSpan, ended } from '../read-tracer.ts';
import type { Clock } from '../shared-lru/clock.ts';
import type { ReadClient } from './buffered-bytes.ts';
import type { Admission, LoadLimiter } from './load-limiter.ts';

/** Reads metadata of keys from the backing store. */
export interface KeyStore {
  ttl(key: Buffer): Promise<RedisTtl>;
  type(key: Buffer): Promise<RedisType>;
}

/** Too many reads are queued, or this one has been queued for too long. */
interface Overloaded {
  readonly kind: 'overloaded';
}

export type TtlOutcome = RedisTtl | Overloaded;
export type TypeOutcome = RedisType | Overloaded;

/** The commands that are sent, for spans. */
const PTTL = [Buffer.from('PTTL')];
const TYPE = [Buffer.from('TYPE')];

/**
 * Queries Redis about keys each time: their times to live, of which the cache knows only how long it may hold them, and
 * their types, of which it knows only whether they are strings. These queries acquire permits and are counted as loads are.
 */
export class KeyQueries {
  readonly #store: KeyStore;
  readonly #limiter: LoadLimiter;
  readonly #counts: ReadMetrics;
  readonly #clock: Clock;
  /** Undefined unless traces are exported. */
  readonly #tracer: ReadTracer | undefined;

  constructor(store: KeyStore, limiter: LoadLimiter, counts: ReadMetrics, clock: Clock, tracer?: ReadTracer) {
    this.#store = store;
    this.#limiter = limiter;
    this.#counts = counts;
    this.#clock = clock;
    this.#tracer = tracer;
  }

  /**
   * Returns one outcome per key, in order. All keys are one round trip and one permit.
   *
   * @param client describes the request for its span.
   */
  ttls(keys: readonly Buffer[], client?: Pick<ReadClient, 'describeRequest'>): Promise<readonly TtlOutcome[]> {
    const request = this.#tracer === undefined ? undefined : client?.describeRequest?.();
    const span = request && this.#tracer?.startRequest(request, queriesOf(keys, PTTL));
    const outcomes = this.#query(keys, (key) => this.#store.ttl(key), this.#startSpans(keys, PTTL, span));
    return ended(span, outcomes, (all) => all.map(ttlOutcomeName));
  }

  /**
   * As {@link ttls}, for a request that has read the keys.
   *
   * @param span of the request; undefined if it is not sampled.
   */
  types(keys: readonly Buffer[], span?: RequestSpan): Promise<readonly TypeOutcome[]> {
    return this.#query(keys, (key) => this.#store.type(key), this.#startSpans(keys, TYPE, span));
  }

  /** Starts a span for each query of a request; undefined if it is not sampled. */
  #startSpans(keys: readonly Buffer[], command: readonly Buffer[], request: RequestSpan | undefined): Spans {
    if (request === undefined) return undefined;
    return queriesOf(keys, command).map((query) => this.#tracer?.startLoad(query, request, undefined));
  }

  async #query<Reply extends { readonly kind: string }>(
    keys: readonly Buffer[],
    send: (key: Buffer) => Promise<Reply>,
    spans: Spans,
  ): Promise<readonly (Reply | Overloaded)[]> {
    const admission = this.#limiter.acquire();
    if ((admission instanceof Promise ? await this.#queue(admission, spans) : admission) !== 'admitted') {
      for (const span of spans ?? []) span?.end({ kind: 'overloaded' });
      return keys.map(() => ({ kind: 'overloaded' }));
    }
    try {
      return await Promise.all(keys.map((key, i) => this.#observe(send(key), spans?.[i])));
    } finally {
      this.#limiter.release();
    }
  }

  async #queue(queued: Promise<Admission>, spans: Spans): Promise<Admission> {
    const since = this.#clock();
    const admission = await queued;
    this.#counts.observeQueue(this.#clock() - since);
    if (admission === 'admitted') for (const span of spans ?? []) span?.onDequeued();
    return admission;
  }

  async #observe<Reply extends { readonly kind: string }>(
    reply: Promise<Reply>,
    span: LoadSpan | undefined,
  ): Promise<Reply> {
    const since = this.#clock();
    this.#counts.countLoad();
    const outcome = await reply;
    if (outcome.kind !== 'unavailable') this.#counts.observeLoad(this.#clock() - since);
    if (isFailure(outcome)) this.#counts.countLoadError();
    span?.end(endOf(outcome));
    return outcome;
  }
}

type Spans = readonly (LoadSpan | undefined)[] | undefined;

function queriesOf(keys: readonly Buffer[], command: readonly Buffer[]): Query[] {
  return keys.map((key) => Query.of(key, command));
}

function endOf(outcome: { readonly kind: string }): KeyQueryEnd {
  if (isFailure(outcome)) return { kind: outcome.kind };
  return { kind: outcome.kind === 'missing' ? 'absent' : 'value' };
}

/** Returns the outcome of a read of a TTL as metrics and spans name it. */
export function ttlOutcomeName({ kind }: TtlOutcome): ReadOutcomeName {
  switch (kind) {
    case 'expires':
    case 'persistent':
      return 'miss';
    case 'missing':
      return 'not-found';
    case 'timeout':
    case 'unavailable':
    case 'overloaded':
      return kind;
  }
}
