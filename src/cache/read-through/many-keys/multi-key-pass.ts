import type { Query } from '../../../redis/query.ts';
import { setImmediate as nextTick } from 'node:timers/promises';
import { LoadWindow } from '../../../net/load-window.ts';
import type { RequestSpan } from '../../read-tracer.ts';
import type { SharedLru } from '../../shared-lru/shared-lru.ts';
import type { BoundedResults } from './bounded-results.ts';
import type { MemoryAccount, ReadClient } from '../buffered-bytes.ts';
import { LargeLoadLimiter } from './large-load-limiter.ts';
import { type LoadCoalescer, isCached } from '../load-coalescer.ts';
import type { LoadEnd } from '../read-outcome.ts';

/** Number of keys looked up and requested from Redis in one tick, during which the thread does nothing else. */
const READ_BATCH_SIZE = 1000;

/** Minimum size in bytes of large values, whose loads count against {@link LargeLoadLimiter}. */
const LARGE_BYTES = 2 ** 16;

/** Upper bound in bytes of a value's estimated size at the start of a read: its first batch loads at least 4 keys. */
const MAX_FIRST_ESTIMATE = 2 ** 18;

/** Estimated size of a value that is too large to read; its real size is unknown. */
const TOO_LARGE_BYTES = 2 ** 20;

/** Objects that all multi-key reads of a thread share. */
export class MultiKeyContext {
  readonly lru: SharedLru;
  readonly coalescer: LoadCoalescer;
  readonly largeLoads = new LargeLoadLimiter();
  /** Estimates the size of the first values of the next read from those of recent ones. */
  readonly recentValues = new LoadWindow(READ_BATCH_SIZE);

  constructor(lru: SharedLru, coalescer: LoadCoalescer) {
    this.lru = lru;
    this.coalescer = coalescer;
  }
}

/** The keys of a pass, and where their results go. */
export interface MultiKeyRequest {
  readonly queries: readonly Query[];
  readonly results: BoundedResults;
  /** Memory account that the results are charged to. */
  readonly account: MemoryAccount;
  readonly alreadyCounted: boolean;
  readonly client: ReadClient | undefined;
  /** Of the request; undefined if it is not sampled. */
  readonly span: RequestSpan | undefined;
}

/** One pass over the keys of a multi-key read, batch by batch. */
export class MultiKeyPass {
  readonly #context: MultiKeyContext;
  readonly #request: MultiKeyRequest;
  readonly #window: LoadWindow;
  /** Index of the first key that has not been looked up. */
  #next = 0;
  /** False if all loads of the last batch timed out: then the other misses fail at once, as one time-out is long enough. */
  #replied = true;
  /** Indices of values that are too large to be stored, by query: repeated queries share them. */
  readonly #uncacheable = new Map<string, number>();

  constructor(context: MultiKeyContext, request: MultiKeyRequest) {
    this.#context = context;
    this.#request = request;
    // Large values of other requests must not spread a few small keys over many round trips.
    const estimate = Math.min(MAX_FIRST_ESTIMATE, Math.max(LARGE_BYTES, context.recentValues.estimate));
    this.#window = new LoadWindow(READ_BATCH_SIZE, estimate);
  }

  /** Reads keys until their values reach the cap of the results. Returns undefined if all were cached. */
  run(): Promise<void> | undefined {
    const loads = this.#readBatch();
    return loads.length === 0 && this.#next === this.#request.queries.length ? undefined : this.#readOthers(loads);
  }

  /** Reads the keys after the first batch, one batch per tick, so that other requests are served in between. */
  async #readOthers(first: readonly Promise<void>[]): Promise<void> {
    const { queries, client } = this.#request;
    const { largeLoads } = this.#context;
    await Promise.all(first);
    while (this.#next < queries.length && client?.disconnected !== true) {
      await nextTick();
      const { estimate, size } = this.#window;
      const bytes = estimate < LARGE_BYTES ? 0 : estimate * Math.min(size, queries.length - this.#next);
      if (bytes > 0) await largeLoads.acquire(bytes);
      try {
        await Promise.all(this.#readBatch());
      } finally {
        if (bytes > 0) largeLoads.release(bytes);
      }
    }
  }

  /** Looks up the next keys and starts as many loads as the window allows; returns a promise for each key that is loading. */
  #readBatch(): Promise<void>[] {
    const { queries, results, account, alreadyCounted, span } = this.#request;
    const { coalescer } = this.#context;
    const batch = coalescer.batch(account, span);
    const loads: Promise<void>[] = [];
    const tryHold = (memory: ArrayBufferLike): boolean => account.tryHoldForTick(memory);
    const end = Math.min(this.#next + READ_BATCH_SIZE, queries.length);
    const maxLoads = this.#replied ? this.#window.size : READ_BATCH_SIZE;
    let count = 0;
    for (; this.#next < end && count < maxLoads; this.#next++) {
      const index = this.#next;
      if (!results.isWithinCap(index) || this.#repeatUncacheable(index)) continue;
      const query = queries[index];
      const found = coalescer.lookUp(query, alreadyCounted, Infinity, tryHold);
      if (isCached(found)) results.set(index, found);
      else if (found.kind === 'buffer-full') results.addOverflow(index, found.bytes);
      else {
        const before = batch.size;
        loads.push(coalescer.loadIn(batch, query, found).then((loaded) => this.#putEnd(index, loaded)));
        // A load in flight counts as well, but a key that occurs twice does not.
        count += found.kind === 'loading' ? 1 : batch.size - before;
      }
    }
    if (this.#replied) {
      this.#replied = loads.length === 0;
      batch.start();
    } else {
      batch.reject('timeout');
    }
    return loads;
  }

  /** Reuses the value that an earlier batch has loaded for the same key and not stored; returns whether one existed. */
  #repeatUncacheable(index: number): boolean {
    if (this.#uncacheable.size === 0) return false;
    const { queries, results } = this.#request;
    const earlier = this.#uncacheable.get(queries[index].name);
    const outcome = earlier === undefined ? undefined : results.outcomes[earlier];
    if (outcome?.kind !== 'value') return false;
    results.set(index, { ...outcome, origin: 'collapsed' });
    return true;
  }

  #putEnd(index: number, end: LoadEnd): void {
    const { queries, results } = this.#request;
    const { maxValueBytes } = this.#context.lru.limits;
    if (end.kind === 'buffer-full') results.addOverflow(index, end.bytes);
    else results.set(index, end);
    if (end.kind === 'value' && end.value.length > maxValueBytes) {
      this.#uncacheable.set(queries[index].name, index);
    }
    this.#replied ||= !isTimeout(end);
    const bytes = loadedBytes(end);
    this.#window.observe(bytes);
    this.#context.recentValues.observe(bytes);
  }
}

function isTimeout(end: LoadEnd): boolean {
  return end.kind === 'timeout' || (end.kind === 'stale' && end.failure === 'timeout');
}

/** Size in bytes of the value that a load received; 0 if the load failed or its key has no value. */
function loadedBytes(end: LoadEnd): number {
  if (end.kind === 'buffer-full') return end.bytes;
  if (end.kind === 'value-too-large') return TOO_LARGE_BYTES;
  return end.kind === 'value' ? end.value.length : 0;
}
