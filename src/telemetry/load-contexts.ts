import { type SpanContext, TraceFlags } from '@opentelemetry/api';
import type { Lease } from '../cache/shared-lru/cache-types.ts';

/** Words of a row: version and slot of the lease, trace id, span id. */
const VERSION = 0;
const SLOT = 1;
const TRACE_ID = 2;
const SPAN_ID = 6;
const ROW_WORDS = 8;

/**
 * Contexts of the spans of loads in flight, in memory that the threads share, so that a request can be linked to a load of another
 * thread. Each lease has the row that its slot gives; a later load in the same row replaces an earlier one, which then has
 * no links from other threads.
 */
export class LoadContexts {
  readonly #words: Int32Array;
  readonly #rows: number;

  /** @param words memory for rows, zeroed. */
  constructor(words: Int32Array) {
    this.#words = words;
    this.#rows = Math.floor(words.length / ROW_WORDS);
  }

  /** Publishes the context of the span of a load. */
  publish(lease: Lease, { traceId, spanId }: SpanContext): void {
    const words = this.#words;
    const at = this.#rowOf(lease);
    const ids = Buffer.from(traceId + spanId, 'hex');
    Atomics.store(words, at + VERSION, 0);
    Atomics.store(words, at + SLOT, lease.slot);
    for (let i = 0; i < ids.length; i += 4) Atomics.store(words, at + TRACE_ID + i / 4, ids.readInt32BE(i));
    Atomics.store(words, at + VERSION, markOf(lease));
  }

  /** Returns the context of the span of a load of any thread; undefined if it is not sampled, or not known any more. */
  find(lease: Lease): SpanContext | undefined {
    const words = this.#words;
    const at = this.#rowOf(lease);
    const mark = markOf(lease);
    if (Atomics.load(words, at + VERSION) !== mark || Atomics.load(words, at + SLOT) !== lease.slot) return undefined;
    const ids = Buffer.alloc((ROW_WORDS - TRACE_ID) * 4);
    for (let i = 0; i < ids.length; i += 4) ids.writeInt32BE(Atomics.load(words, at + TRACE_ID + i / 4), i);
    // Otherwise another load has replaced it meanwhile.
    if (Atomics.load(words, at + VERSION) !== mark) return undefined;
    const end = (SPAN_ID - TRACE_ID) * 4;
    return {
      traceId: ids.toString('hex', 0, end),
      spanId: ids.toString('hex', end),
      traceFlags: TraceFlags.SAMPLED,
    };
  }

  #rowOf({ slot }: Lease): number {
    return (slot % this.#rows) * ROW_WORDS;
  }
}

/** Returns the version of a lease, which is even, as a number that is not 0. */
function markOf({ version }: Lease): number {
  return version | 1;
}
