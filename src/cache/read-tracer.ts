import type { ReadOutcomeName, Transport } from '../instance/read-metrics.ts';
import type { Query } from '../redis/query.ts';
import type { Lease } from './shared-lru/cache-types.ts';
import type { Failure, LoadEnd } from './read-through/read-outcome.ts';

/** Injection token of the {@link ReadTracer}; there is none unless traces are exported. */
export const READ_TRACER = Symbol('read tracer');

/** What a span says about a request. */
export interface RequestDescription {
  readonly transport: Transport;
  /** Undefined over the Redis protocol. */
  readonly http: { readonly method: string; readonly route: string } | undefined;
  /** Headers of W3C Trace Context; undefined if absent. */
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
}

/** How a query about a key ended, such as for its TTL: `value` stands for any result. */
export interface KeyQueryEnd {
  readonly kind: 'value' | 'absent' | Failure;
}

/** The span of a load, or of a query about a key. */
export interface LoadSpan {
  /** Notes that the load, which was queued, has acquired a permit. */
  onDequeued(): void;
  end(end: LoadEnd | KeyQueryEnd): void;
  fail(bug: unknown): void;
}

/** The span of a request that waits for loads. */
export interface RequestSpan {
  /** Links the request to the load of another request that it waits for. */
  onJoined(load: LoadSpan): void;
  /** Links the request to the load of another thread that it waits for, by its lease. */
  onJoinedElsewhere(lease: Lease): void;
  /** @param outcomes of its reads. */
  end(outcomes: readonly ReadOutcomeName[]): void;
  fail(bug: unknown): void;
}

/** Ends the span of a request, if it has one, with the outcomes of its reads. */
export function ended<Known>(
  span: RequestSpan | undefined,
  outcome: Promise<Known>,
  namesOf: (known: Known) => readonly ReadOutcomeName[],
): Promise<Known> {
  if (span === undefined) return outcome;
  return outcome.then(
    (known) => {
      span.end(namesOf(known));
      return known;
    },
    (bug: unknown) => {
      span.fail(bug);
      throw bug;
    },
  );
}

/** Starts spans. Each method returns undefined if the span is not sampled. */
export interface ReadTracer {
  /** @param queries what the request reads, cached or not. */
  startRequest(request: RequestDescription, queries: readonly Query[]): RequestSpan | undefined;
  /**
   * @param cause the request that the load is started for; `refresh`: it is started in the background.
   * @param lease of the load, by which requests of other threads wait for it.
   */
  startLoad(query: Query, cause: RequestSpan | 'refresh', lease: Lease | undefined): LoadSpan | undefined;
}
