import type { WarmUpBatch, WarmUpEnd } from '../cache/read-through/load-coalescer.ts';
import type { StorePolicy } from '../cache/read-through/loader.ts';
import type { Clock } from '../cache/shared-lru/clock.ts';
import type { WarmupResult, WarmupState } from '../instance/warmup-state.ts';
import { LoadWindow } from '../net/load-window.ts';
import type { Query } from '../redis/query.ts';
import type { RedisCheck } from '../redis/redis-reply.ts';
import { queryOfEntry } from './query-of-entry.ts';
import type { WarmupEntry } from './warmup-file.ts';
import { MAX_BATCH_LOADS, WarmupPace } from './warmup-pace.ts';

/** Milliseconds between attempts while nothing can be loaded or stored. */
const RETRY_MS = 1000;
/** Milliseconds between attempts while Redis is busy with loads for requests, at first and at most. */
const [FIRST_BUSY_MS, MAX_BUSY_MS] = [5, 100];
/** Milliseconds without any success after which the warm-up is stopped. */
const GIVE_UP_MS = 600_000;
/** Milliseconds between two log lines about the progress. */
const PROGRESS_MS = 5000;
/** Share of the time that readiness waits within which a warm-up ends, if Redis replies as fast as it is asked. */
const SPREAD_SHARE = 0.8;

/** The entries to load, most recently used first. */
interface EntrySource {
  /** Number of entries. */
  readonly entries: number;
  /** Returns the next entries, at most `count`; none at the end. */
  read(count: number): Promise<readonly WarmupEntry[]>;
}

export interface WarmupParts {
  readonly source: EntrySource;
  readonly cache: { warmUp(queries: readonly Query[], typicalBytes: number): WarmUpBatch | undefined };
  readonly redis: { check(): Promise<RedisCheck> };
  readonly coherence: StorePolicy;
  readonly access: { allowsKey(key: Buffer): boolean };
  readonly state: WarmupState;
  readonly clock: Clock;
  /** Resolves after so many milliseconds, or at once when the warm-up is stopped. */
  readonly sleep: (ms: number) => Promise<void>;
  readonly log: { log(message: string): void; warn(message: string): void };
  /** Maximum number of entries in the cache. */
  readonly capacity: number;
  /** Maximum milliseconds that readiness waits. */
  readonly waitMs: number;
}

/** Why the warm-up has ended. */
type End = 'complete' | 'full' | 'stopped' | 'given-up';

/**
 * Loads the entries of a file in the background, most recently used first, so that the order of use is as before. Its loads give
 * way to those that requests wait for, and store nothing where a request has been before.
 */
export class Warmup {
  readonly #parts: WarmupParts;
  readonly #window = new LoadWindow(MAX_BATCH_LOADS);
  /** Queries that have been read from the source and not been loaded yet. */
  #waiting: Query[] = [];
  #isStopped = false;
  /** Whether Redis must reply to a probe before the next load: it has not yet, or did not. */
  #mustCheck = true;
  #loadedBytes = 0;
  #lastSuccess = 0;
  #lastProgress = 0;

  constructor(parts: WarmupParts) {
    this.#parts = parts;
  }

  /** Ends the warm-up after the batch that is in flight. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Resolves when all entries have been dealt with, the cache is full, or the warm-up has been stopped. */
  async run(): Promise<void> {
    const { source, state, clock, log, waitMs, capacity } = this.#parts;
    const startedAt = clock();
    this.#lastSuccess = startedAt;
    this.#lastProgress = startedAt;
    const pace = new WarmupPace(Math.min(source.entries, capacity), waitMs * SPREAD_SHARE, startedAt);
    const end = await this.#loadAll(pace);
    const seconds = ((clock() - startedAt) / 1000).toFixed(1);
    state.current = end === 'complete' || end === 'full' ? 'complete' : 'stopped';
    const summary = `${this.#summary()} in ${seconds} s`;
    if (end === 'complete') log.log(`warm-up complete: ${summary}`);
    else if (end === 'full') log.log(`warm-up complete, the cache is full: ${summary}`);
    else if (end === 'stopped') log.log(`warm-up stopped: ${summary}`);
    else log.warn(`warm-up stopped, because nothing could be loaded for ${GIVE_UP_MS / 60_000} minutes: ${summary}`);
  }

  async #loadAll(pace: WarmupPace): Promise<End> {
    const { cache, clock, sleep, state } = this.#parts;
    for (let busyMs = FIRST_BUSY_MS; !this.#isStopped;) {
      if (!(await this.#isPossible())) {
        if (clock() - this.#lastSuccess > GIVE_UP_MS) return 'given-up';
        continue;
      }
      const due = Math.min(pace.due(clock()), this.#window.size);
      if (due === 0) {
        await sleep(pace.delayMs(clock()));
        continue;
      }
      await this.#readQueries(due);
      if (this.#waiting.length === 0) return 'complete';
      const batchAt = clock();
      const batch = cache.warmUp(this.#waiting.slice(0, due), this.#typicalBytes);
      if (batch === undefined || (batch.taken === 0 && !batch.isFull)) {
        await sleep(busyMs);
        busyMs = Math.min(MAX_BUSY_MS, 2 * busyMs);
        continue;
      }
      busyMs = FIRST_BUSY_MS;
      const taken = this.#waiting.splice(0, batch.taken);
      pace.start(taken.length, batchAt);
      const ends = await batch.ends;
      pace.end(clock());
      state.count('cached', taken.length - ends.length);
      await this.#note(ends);
      if (batch.isFull) return 'full';
      this.#reportProgress();
    }
    return 'stopped';
  }

  /** Whether loads may succeed and be stored; if not, waits for a moment. */
  async #isPossible(): Promise<boolean> {
    const { coherence, redis, state, sleep, log } = this.#parts;
    let reason: string | undefined;
    if (!coherence.canStore) reason = 'the invalidation stream is not established';
    else if (this.#mustCheck && (await redis.check()).kind !== 'ok') reason = 'Redis is not reachable';
    if (reason === undefined) {
      if (state.current === 'paused') log.log('warm-up continues');
      state.current = 'loading';
      this.#mustCheck = false;
      return true;
    }
    if (state.current !== 'paused' && !this.#isStopped) log.warn(`warm-up paused: ${reason}`);
    state.current = 'paused';
    this.#mustCheck = true;
    await sleep(RETRY_MS);
    return false;
  }

  /** Makes sure that as many queries as are due wait to be loaded, unless the source has no more. */
  async #readQueries(due: number): Promise<void> {
    const { source, access, state } = this.#parts;
    while (this.#waiting.length < due && !this.#isStopped) {
      const entries = await source.read(MAX_BATCH_LOADS);
      if (entries.length === 0) return;
      const queries = entries.flatMap((entry) => (access.allowsKey(entry.key) ? (queryOfEntry(entry) ?? []) : []));
      state.count('skipped', entries.length - queries.length);
      this.#waiting.push(...queries);
    }
  }

  /** Expected length of a value in bytes. */
  get #typicalBytes(): number {
    return Math.ceil(this.#loadedBytes / Math.max(1, this.#parts.state.entries('loaded')));
  }

  /** Counts how the loads of a batch ended. If Redis is gone, they are loaded again later. */
  async #note(ends: readonly WarmUpEnd[]): Promise<void> {
    const { redis, coherence, state, clock } = this.#parts;
    const isLost = (end: WarmUpEnd): boolean =>
      end.kind === 'timeout' ||
      end.kind === 'unavailable' ||
      (!coherence.canStore && end.kind === 'value' && !end.isStored);
    const lost = ends.filter(isLost);
    const isRetried = lost.length > 0 && (!coherence.canStore || (await redis.check()).kind !== 'ok');
    for (const end of ends) {
      this.#window.observe(end.bytes);
      if (isRetried && isLost(end)) continue;
      if (end.isStored && end.kind === 'value') this.#loadedBytes += end.bytes;
      state.count(resultOf(end));
    }
    if (isRetried) this.#waiting.unshift(...lost.map(({ query }) => query));
    if (lost.length < ends.length) this.#lastSuccess = clock();
    this.#mustCheck ||= isRetried;
  }

  #reportProgress(): void {
    const { clock, log, state } = this.#parts;
    if (clock() - this.#lastProgress < PROGRESS_MS) return;
    this.#lastProgress = clock();
    log.log(`warm-up: ${this.#summary()}, ${state.remaining} remaining`);
  }

  #summary(): string {
    const { state, source } = this.#parts;
    const others = (['cached', 'missing', 'failed', 'skipped'] as const)
      .filter((result) => state.entries(result) > 0)
      .map((result) => `, ${state.entries(result)} ${result === 'cached' ? 'cached before' : result}`);
    return `${state.entries('loaded')} of ${source.entries} entries loaded${others.join('')}`;
  }
}

function resultOf({ kind, isStored }: WarmUpEnd): WarmupResult {
  if (kind === 'absent') return 'missing';
  // A value that is not stored was purged meanwhile, or is not for the cache.
  return kind === 'value' && isStored ? 'loaded' : 'failed';
}
